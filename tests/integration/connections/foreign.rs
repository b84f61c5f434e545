//! Something between controller and platform answers instead. That is an outage, and says nothing about a tenant.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, FaultId, Operation, TenantSpec};

use crate::harness::{PATIENCE, Test, has, until_connection};

/// Three objects in sync: one in trial, one in production, one by name.
async fn in_sync(name: &str) -> (Test, [&'static str; 3]) {
    let test = Test::new(name).await;
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let trial = test.simulator.add_tenant(TenantSpec::customer("In trial"));
    let production = test.simulator.add_tenant(TenantSpec::customer("In production"));
    test.simulator.add_tenant(TenantSpec::customer("By name"));
    test.controller().await;
    test.tenant_pricing("trial", json!({"tenant": {"id": trial}, "mode": "trial"})).await;
    test.production("production", &production, json!({})).await;
    test.tenant_pricing("named", json!({"tenant": {"name": "By name"}})).await;
    let names = ["trial", "production", "named"];
    for name in names {
        test.until(name, "is ready", |object| has(object, "Ready", "True")).await;
    }
    test.until("production", "is switched", |object| has(object, "Production", "True")).await;
    (test, names)
}

async fn until_hit(test: &Test, fault: FaultId, times: u32) {
    let hit = tokio::time::timeout(3 * PATIENCE, test.simulator.wait_for_hits(fault, times)).await;
    assert!(hit.is_ok(), "the platform is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_404_is_an_outage_and_no_news_of_a_tenant() {
    let (test, names) = in_sync("foreign-404").await;
    let before: Vec<usize> = names.iter().map(|name| test.recorded_statuses(name).len()).collect();
    let fault = test.simulator.inject(Fault::new(FaultAction::Answer {
        status: 404,
        body: "default backend - 404".to_owned(),
        headers: [("content-type".to_owned(), "text/plain".to_owned())].into(),
        after_effect: false,
    }));
    let said = until_connection(&test, "default", "PlatformUnavailable").await;
    assert!(said.contains("404") && said.contains("does not come from the platform"), "{said}");
    until_hit(&test, fault, 5).await;
    test.simulator.clear_faults();
    until_connection(&test, "default", "CredentialsAccepted").await;
    for (name, before) in names.iter().zip(before) {
        assert_eq!(test.recorded_statuses(name).len(), before, "{name} is not written");
        let warnings = test.events(name).await;
        assert!(warnings.iter().all(|event| event.type_.as_deref() != Some("Warning")), "{warnings:?}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_answer_to_a_batch_alone_changes_no_object() {
    let (test, names) = in_sync("foreign-batch").await;
    let before: Vec<usize> = names.iter().map(|name| test.recorded_statuses(name).len()).collect();
    for action in [
        FaultAction::answer(403, "<html>blocked</html>"),
        FaultAction::answer(200, "<html>sign in</html>"),
        FaultAction::answer(401, ""),
        // With the platform's body: yet a batch leaves out what is not there.
        FaultAction::error(404, 1005),
    ] {
        let fault = test.simulator.inject(Fault::new(action).on(Operation::FetchTenants));
        until_hit(&test, fault, 1).await;
        test.simulator.clear_faults();
    }
    until_connection(&test, "default", "CredentialsAccepted").await;
    for (name, before) in names.iter().zip(before) {
        assert_eq!(test.recorded_statuses(name).len(), before, "{name} is not written");
    }
    // A new object finds everything open.
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Later"));
    test.production("later", &tenant, json!({})).await;
    let switched = |object: &_| has(object, "Production", "True");
    test.until_within(Duration::from_secs(90), "later", "is switched", switched).await;
    test.finish().await;
}
