//! Objects: those whose connection is missing, those that no controller watches, and clocks that differ.

use serde_json::json;
use tenant_pricing_controller::api::TenantPricing;

use super::{CHART, RELEASE, assert_finding, install, report};
use crate::harness::Test;

const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_a_connection_are_named() {
    let test = Test::new("check-no-connection").await;
    let empty = report(&test).await;
    assert_finding(&empty, "connection-ready", "warning", &["There is no PlatformConnection in namespace"]);
    for name in ["a", "b", "c", "d", "e"] {
        test.tenant_pricing(name, json!({"tenant": {"id": ID}})).await;
    }
    let namespace = &test.namespace;
    let words = [
        &*format!("There is no PlatformConnection {namespace}/default."),
        &*format!("{namespace}/a, {namespace}/b, {namespace}/c and 2 more"),
    ];
    assert_finding(&report(&test).await, "object-connection", "error", &words);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_no_controller_watches_are_named() {
    let test = Test::new("check-unwatched").await;
    install(&test, &[]).await;
    test.tenant_pricing("acme", json!({"tenant": {"id": ID}})).await;
    assert_finding(&report(&test).await, "object-watched", "ok", &["1 TenantPricing in namespace"]);
    let words = [&*format!("No controller watches {}/acme.", test.namespace), "no condition says so"];
    for value in ["watchLabelSelector=shard=a", "watchLabelSelector=,watchNamespaces={default}"] {
        test.helm(&["upgrade", RELEASE, CHART, "--reuse-values", "--set", value]).await.success();
        assert_finding(&report(&test).await, "object-watched", "error", &words);
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_are_reported_as_the_objects_do() {
    let test = Test::new("check-clocks").await;
    test.tenant_pricing("acme", json!({"tenant": {"id": ID}})).await;
    assert_finding(&report(&test).await, "object-clock", "ok", &[]);
    let condition = json!({"type": "Reconciling", "status": "True", "reason": "ClockSkew",
        "message": "The clocks differ by 2 h.", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
    test.edit_status::<TenantPricing>(
        "acme",
        json!({"status": {"observedGeneration": 1, "conditions": [condition]}}),
    )
    .await;
    let words = [&*format!("{}/acme: The clocks differ by 2 h.", test.namespace)];
    assert_finding(&report(&test).await, "object-clock", "error", &words);
    test.finish().await;
}
