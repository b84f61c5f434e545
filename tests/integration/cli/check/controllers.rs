//! The controller: its Deployment, its version, its Lease, and two elections.

use serde_json::json;

use super::{
    RELEASE, assert_finding, available, edit_deployment, findings, install, release, report, run, until,
};
use crate::harness::Test;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_deployment_is_an_error() {
    let test = Test::new("check-no-deployment").await;
    let output = run(&test, &["-o", "json"]).await;
    assert_eq!(output.code, 1);
    let report = super::parse(&output);
    let words = ["no Deployment of the chart in namespace", "nothing is switched"];
    assert_finding(&report, "controller-installed", "error", &words);
    assert_finding(&report, "controller-rights", "skipped", &["There is no Deployment"]);
    assert_finding(&report, "object-watched", "skipped", &["There is no Deployment"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_versions_and_arguments_are_checked() {
    let test = Test::new("check-deployment").await;
    install(&test, &[]).await;
    assert_finding(&report(&test).await, "controller-available", "ok", &["1 of 1"]);
    available(&test, RELEASE, 0).await;
    assert_finding(
        &report(&test).await,
        "controller-available",
        "error",
        &["None of 1", "Nothing is switched"],
    );
    edit_deployment(&test, json!({"spec": {"replicas": 2}})).await;
    available(&test, RELEASE, 1).await;
    assert_finding(&report(&test).await, "controller-available", "warning", &["1 of 2"]);
    edit_deployment(&test, json!({"spec": {"replicas": 0}})).await;
    let stopped = report(&test).await;
    assert_finding(&stopped, "controller-available", "warning", &["It is stopped", "the platform may"]);
    assert_finding(&stopped, "controller-lease", "skipped", &["It is stopped"]);

    assert_finding(&stopped, "controller-version", "ok", &[env!("CARGO_PKG_VERSION")]);
    let image = |image: &str| json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]);
    let set = async |patch: serde_json::Value| {
        let patch = patch.to_string();
        test.kubectl(&["patch", "deployment", RELEASE, "--type=json", "-p", &patch]).await.success();
    };
    set(image("registry.example/controller:9.9.9")).await;
    assert_finding(&report(&test).await, "controller-version", "warning", &["The controller is 9.9.9"]);
    set(json!([{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--from-the-future"}])).await;
    let unknown = report(&test).await;
    assert_finding(&unknown, "controller-settings", "warning", &["'--from-the-future'"]);
    assert_finding(&unknown, "object-watched", "skipped", &["not known"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_no_replica_renews_is_an_error() {
    let test = Test::new("check-lease").await;
    install(&test, &[]).await;
    assert_finding(&report(&test).await, "controller-lease", "error", &["There is no Lease", RELEASE]);
    let lease = |holder: &str| {
        let spec = json!({"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"});
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": RELEASE}, "spec": spec})
    };
    test.apply(&lease("").to_string()).await;
    assert_finding(&report(&test).await, "controller-lease", "error", &["No replica holds Lease"]);
    test.apply(&lease("pod-that-died").to_string()).await;
    let words = ["pod-that-died holds Lease", "last at 2026-01-01T00:00:00Z", "Nothing is switched"];
    assert_finding(&report(&test).await, "controller-lease", "error", &words);
    test.kubectl(&["delete", "lease", RELEASE]).await.success();
    let controller = test.controller().await;
    until(&test, "controller-lease", "ok", &["holds Lease"]).await;
    controller.kill().await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_elections_over_the_same_objects_are_an_error() {
    let test = Test::new("check-elections").await;
    install(&test, &["watchLabelSelector=shard=a"]).await;
    release(&test, "second", &["watchLabelSelector=shard!=a"]).await;
    let id = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    for (name, shard) in [("acme", "a"), ("bolt", "b")] {
        let object = json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
            "metadata": {"name": name, "labels": {"shard": shard}}, "spec": {"tenant": {"id": id}},
        });
        test.apply(&object.to_string()).await;
    }
    let apart = report(&test).await;
    assert_finding(&apart, "one-election", "ok", &["2 installations", "share no object"]);
    assert_finding(&apart, "object-watched", "ok", &["2 TenantPricings"]);
    assert_eq!(findings(&apart, "controller-installed").len(), 2);
    let (own, second) = (&test.namespace, "second-tenant-pricing-controller");
    test.helm(&["upgrade", "second", super::CHART, "--reuse-values", "--set", "watchLabelSelector=shard"])
        .await
        .success();
    let words = [
        &*format!("{own}/{second} and {own}/{RELEASE} both watch the objects {own}/acme"),
        "could both switch",
    ];
    assert_finding(&report(&test).await, "one-election", "error", &words);
    test.helm(&["upgrade", "second", super::CHART, "--reuse-values", "--set", "watchLabelSelector="])
        .await
        .success();
    test.helm(&["upgrade", RELEASE, super::CHART, "--reuse-values", "--set", "watchLabelSelector="])
        .await
        .success();
    assert_finding(
        &report(&test).await,
        "one-election",
        "error",
        &[&format!("both watch the namespaces {own}")],
    );
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_a_controller_elsewhere_is_an_error() {
    let test = Test::new("check-elsewhere").await;
    // The controller beside the Deployment has the Lease of the default name.
    install(&test, &["leaderElection.leaseName=another"]).await;
    test.controller().await;
    let report =
        until(&test, "one-election", "error", &["no Deployment was found", "could both switch"]).await;
    let subject = format!("{}/tenant-pricing-controller", test.namespace);
    assert_eq!(findings(&report, "one-election")[0]["subject"], subject.as_str());
    // Without a Deployment it is the only one.
    test.helm(&["uninstall", RELEASE]).await.success();
    let alone = super::report(&test).await;
    assert_finding(&alone, "controller-installed", "warning", &["no Deployment", "renews Lease"]);
    assert_finding(&alone, "one-election", "ok", &["There is one"]);
    assert_eq!(alone["errors"], 0, "{alone:#}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_error_does() {
    let test = Test::new("check-wait").await;
    install(&test, &[]).await;
    test.controller().await;
    test.connection("default", json!({})).await;
    available(&test, RELEASE, 0).await;
    // One round takes seconds on a loaded machine.
    let timeout = run(&test, &["--wait", "--timeout", "15s", "-o", "short"]).await;
    assert_eq!(timeout.code, 1);
    assert!(timeout.stderr.contains("waiting: controller-available "), "{timeout:?}");
    assert!(timeout.stdout.contains("✘ controller-available"), "{timeout:?}");
    let waiting = run(&test, &["--wait", "--timeout", "2m"]);
    let mended = async {
        // Nothing shows that the first round is over. Whenever the replica comes, the command ends well.
        available(&test, RELEASE, 1).await;
    };
    let (output, ()) = tokio::join!(waiting, mended);
    assert!(output.code == 0 && output.stdout.contains("No faults found"), "{output:?}");
    let refused = run(&test, &["--timeout", "1s"]).await.failure();
    assert!(refused.contains("--wait"), "{refused}");
    test.finish().await;
}
