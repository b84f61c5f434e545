//! A release in a cluster that has nothing yet, from its installation to what is left of it.

use std::fs;

use serde_json::json;
use tenant_pricing_controller::simulator::{SimulatorOptions, TenantSpec};

use super::{CHART, Release, rights};
use crate::harness::{Environment, HELM_3, Output, Test};

const NAMESPACE: &str = "tenant-pricing-system";
const NAME: &str = "tenant-pricing-controller";

/// Runs Helm 4 or Helm 3, by the name of its program.
async fn run(helm: &str, cluster: &Environment, arguments: &[&str]) -> Output {
    cluster.run(helm, &[arguments, &["--namespace", NAMESPACE]].concat(), "").await
}

async fn kubectl(cluster: &Environment, arguments: &[&str]) -> Output {
    cluster.run("kubectl", arguments, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_keeps_the_crds_and_the_users_objects() {
    life_of_a_release("helm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_installs_upgrades_and_keeps_the_same() {
    life_of_a_release(HELM_3).await;
}

/// A release installs everything that the controller needs.
async fn life_of_a_release(helm: &str) {
    // On its own: it watches every namespace, and it is about the CRDs.
    let cluster = Environment::alone().await;
    run(helm, cluster, &["install", NAME, CHART, "--create-namespace"]).await.success();
    tokio::task::block_in_place(|| cluster.wait_for_crds()).unwrap();
    let test = Test::on(cluster, "chart-cluster", SimulatorOptions::default()).await;
    let hosts = format!("allowedHosts[0]={}", test.simulator.url());
    run(helm, cluster, &["upgrade", NAME, CHART, "--set", &hosts]).await.success();

    let release = Release { namespace: NAMESPACE, fullname: NAME };
    rights::are_exactly_those_needed(&test, &release, "default", true).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let labels = json!({"kubernetes.io/metadata.name": test.namespace});
    let allowed = json!({"from": "Selector", "selector": {"matchLabels": labels}});
    test.connection("default", json!({"allowedNamespaces": allowed})).await;
    rights::suffice_for_a_switch(&test, &release, &tenant, json!({})).await;
    rights::allow_nothing_else(&test, &release).await;
    // The rules of the CRDs came along.
    let back = ["patch", "tp", "acme", "--type=merge", "-p", r#"{"spec":{"mode":"trial"}}"#];
    let message = test.kubectl(&back).await.failure();
    assert!(message.contains("is invalid: spec.mode"), "{message}");
    let namespace = test.namespace.clone();
    test.finish().await;

    run(helm, cluster, &["uninstall", NAME]).await.success();
    let left =
        kubectl(cluster, &["get", "deploy,sa,clusterrole,clusterrolebinding", "-A", "-o", "name"]).await;
    assert!(!left.clone().success().contains(NAME), "{left:?}");
    let phase = "jsonpath={.status.switch.phase}";
    let phase = kubectl(cluster, &["get", "tp", "acme", "-n", &namespace, "-o", phase]).await.success();
    assert_eq!(phase, "Completed");
    kubectl(cluster, &["get", "pconn/default", "secret/default", "-n", &namespace]).await.success();

    // The CRDs it left are its own when it comes back, and it upgrades them.
    run(helm, cluster, &["install", NAME, &chart_with_older_crds(cluster)]).await.success();
    assert_eq!(short_name(cluster).await, "older");
    run(helm, cluster, &["upgrade", NAME, CHART]).await.success();
    assert_eq!(short_name(cluster).await, "tp");
    run(helm, cluster, &["uninstall", NAME]).await.success();
    taking_over_crds(helm, cluster).await;
    cluster.end();
}

/// A copy of the chart, with CRDs that differ from those of today.
fn chart_with_older_crds(cluster: &Environment) -> String {
    let copy = cluster.directory.join("older");
    let copied = std::process::Command::new("cp").arg("-R").args([CHART.as_ref(), &*copy]).status().unwrap();
    assert!(copied.success());
    let file = copy.join("files/crds/tenantpricings.yaml");
    let crd = fs::read_to_string(&file).unwrap();
    let older = crd.replace("    - tp\n", "    - older\n");
    assert_ne!(older, crd);
    fs::write(&file, older).unwrap();
    copy.display().to_string()
}

async fn short_name(cluster: &Environment) -> String {
    let path = "jsonpath={.spec.names.shortNames[*]}";
    kubectl(cluster, &["get", "crd", "tenantpricings.tenantpricing.io", "-o", path]).await.success()
}

/// CRDs from another installation are not touched until a value allows it.
async fn taking_over_crds(helm: &str, cluster: &Environment) {
    kubectl(cluster, &["delete", "crd", "--all"]).await.success();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    kubectl(cluster, &["apply", "--server-side", "-f", folder]).await.success();
    let message = run(helm, cluster, &["install", NAME, CHART]).await.failure();
    assert!(message.contains("cannot be imported into the current release: invalid ownership"), "{message}");
    let mut take = vec!["upgrade", "--install", NAME, CHART, "--take-ownership"];
    // Helm 4 applies server-side, where the other installation owns the fields.
    take.extend((helm != HELM_3).then_some("--force-conflicts"));
    run(helm, cluster, &take).await.success();
    let keep = r"jsonpath={.items[*].metadata.annotations.helm\.sh/resource-policy}";
    assert_eq!(kubectl(cluster, &["get", "crd", "-o", keep]).await.success(), "keep keep");
}
