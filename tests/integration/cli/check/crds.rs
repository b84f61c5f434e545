//! The CRDs, on a control plane of their own, and the whole cluster without `-n`.

use serde_json::{Value, json};
use tokio::process::Command;

use super::{CHART, assert_finding, parse};
use crate::harness::{Environment, Output, PLUGIN};

/// Runs `check` as the administrator of a control plane.
pub(super) async fn check(cluster: &Environment, arguments: &[&str]) -> Output {
    let mut command = Command::new(PLUGIN);
    command.arg("check").args(arguments).env("KUBECONFIG", cluster.kubeconfig());
    let output = command.output().await.unwrap();
    Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

async fn report(cluster: &Environment) -> Value {
    parse(&check(cluster, &["-o", "json"]).await)
}

async fn kubectl(cluster: &Environment, arguments: &[&str]) -> String {
    cluster.run("kubectl", arguments, "").await.success()
}

/// Changes the CRD of TenantPricings by a JSON patch.
async fn edit(cluster: &Environment, patch: Value) {
    let crd = "tenantpricings.tenantpricing.io";
    kubectl(cluster, &["patch", "crd", crd, "--type=json", "-p", &patch.to_string()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crds_that_are_missing_or_changed_are_named() {
    const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let cluster = Environment::alone().await;
    let bare = report(cluster).await;
    assert_finding(&bare, "crd-served", "error", &["does not know this kind"]);
    assert_finding(&bare, "crd-matches", "skipped", &["not installed"]);
    assert_finding(&bare, "connection-ready", "skipped", &["An earlier check failed"]);
    assert_finding(&bare, "controller-installed", "error", &["in any namespace"]);
    let pre = check(cluster, &["--pre", "-n", "default", "-o", "json"]).await;
    assert_eq!(pre.code, 0, "{pre:?}");
    assert_finding(&parse(&pre), "crd-served", "ok", &["The chart installs it"]);

    let helm = ["install", "tenant-pricing-controller", CHART, "--namespace", "system", "--create-namespace"];
    cluster.run("helm", &helm, "").await.success();
    tokio::task::block_in_place(|| cluster.wait_for_crds()).unwrap();
    let whole = report(cluster).await;
    assert_finding(&whole, "crd-served", "ok", &["established"]);
    assert_finding(&whole, "crd-matches", "ok", &["the one of this program"]);
    assert_finding(
        &whole,
        "controller-rights",
        "ok",
        &["system/tenant-pricing-controller has all 17 rights"],
    );
    assert_finding(&whole, "switch-policy", "skipped", &["It is not installed"]);
    // A second release that watches all namespaces, too.
    let second = ["install", "second", CHART, "--namespace", "other", "--create-namespace"];
    cluster.run("helm", &[&second[..], &["--set", "crds.enabled=false"]].concat(), "").await.success();
    let words = [
        "other/second-tenant-pricing-controller and system/tenant-pricing-controller both watch all namespaces",
        "could both switch",
    ];
    assert_finding(&report(cluster).await, "one-election", "error", &words);
    cluster.run("helm", &["uninstall", "second", "--namespace", "other"], "").await.success();

    edit(cluster, json!([{"op": "remove", "path": format!("{SPEC}/suspend")}])).await;
    let older = report(cluster).await;
    assert_finding(&older, "crd-matches", "error", &["older than this program", "lacks spec.suspend."]);
    assert_finding(&older, "crd-matches", "ok", &[]);
    let field = json!({"type": "boolean", "description": "Whether it waits."});
    edit(cluster, json!([{"op": "add", "path": format!("{SPEC}/held"), "value": field}])).await;
    assert_finding(&report(cluster).await, "crd-matches", "error", &["differs", "spec.held", "spec.suspend"]);
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    kubectl(cluster, &["apply", "--server-side", "--force-conflicts", "-f", crds]).await;
    edit(cluster, json!([{"op": "add", "path": format!("{SPEC}/held"), "value": field}])).await;
    let newer = report(cluster).await;
    assert_finding(&newer, "crd-matches", "warning", &["newer than this program", "spec.held"]);
    edit(cluster, json!([{"op": "remove", "path": format!("{SPEC}/held")}])).await;
    edit(cluster, json!([{"op": "replace", "path": "/spec/names/shortNames", "value": ["older"]}])).await;
    let texts = report(cluster).await;
    assert_finding(&texts, "crd-matches", "warning", &["texts alone: shortNames"]);
    kubectl(cluster, &["delete", "crd", "tenantpricings.tenantpricing.io"]).await;
    let gone = report(cluster).await;
    assert_finding(&gone, "crd-served", "error", &["takes no object of it"]);
    cluster.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_without_a_binding_is_a_warning() {
    let cluster = Environment::alone().await;
    let helm = ["install", "pricing", CHART, "--namespace", "system", "--create-namespace"];
    let with_policies = [&helm[..], &["--set", "switchAuthorization.enabled=true"]].concat();
    cluster.run("helm", &with_policies, "").await.success();
    let all = report(cluster).await;
    let policies = super::findings(&all, "switch-policy");
    assert_eq!(policies.len(), 3, "{policies:#?}");
    assert!(policies.iter().all(|policy| policy["verdict"] == "ok"), "{policies:#?}");
    assert_finding(&all, "switch-policy", "ok", &["in force: Deny"]);
    assert_finding(&all, "switch-policy", "ok", &["in force: Warn"]);
    let name = policies[0]["subject"].as_str().unwrap();
    kubectl(cluster, &["delete", "validatingadmissionpolicybinding", name]).await;
    let unbound = report(cluster).await;
    assert_finding(&unbound, "switch-policy", "warning", &["No binding names this policy"]);
    assert_finding(&unbound, "switch-policy", "ok", &["in force"]);
    cluster.end();
}
