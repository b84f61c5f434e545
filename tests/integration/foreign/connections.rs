//! The status of a connection that others write.

use std::time::Duration;

use serde_json::{Value, json};
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{patch_status, stored_status, their_condition, wipe};
use crate::harness::{Test, has, reason, until_connection};

/// The counters move at most once in ten seconds.
const COUNTERS: Duration = Duration::from_secs(40);

/// What the controller logs when the watch shows such a status.
const SEEN: &str = "another manager wrote the status of a connection; the controller restores it";

/// How long nothing may be written.
const CALM: Duration = Duration::from_secs(12);

/// The content of a status, without the times.
fn said(status: &Value) -> Value {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions: Vec<_> = conditions
        .map(|one| {
            json!([one["type"], one["status"], one["reason"], one["message"], one["observedGeneration"]])
        })
        .collect();
    json!([status["observedGeneration"], status["tenantId"], status["tenants"], conditions])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_connection_is_mended() {
    let test = Test::new("foreign-pconn").await;
    test.connection("default", json!({})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let controller = test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}, "mode": "trial"})).await;
    test.until("acme", "is ready", |object: &TenantPricing| has(object, "Ready", "True")).await;
    let is_counted = async || {
        let status = stored_status(&test, "pconn/default").await;
        (status["tenants"]["trial"] == 1).then_some(status)
    };
    let before = test.wait_for("the tenant is counted", COUNTERS, is_counted).await;
    let (reads, tokens) = (test.simulator.reads(), test.simulator.tokens());
    let is_mended =
        async || (said(&stored_status(&test, "pconn/default").await) == said(&before)).then_some(());
    wipe(&test, "pconn/default").await;
    test.wait_for("the wiped status is mended", COUNTERS, is_mended).await;
    for patch in [
        json!({"tenants": {"trial": 17, "production": 4}}),
        json!({"tenantId": "11111111-2222-4333-8444-555555555555"}),
        json!({"conditions": [{
            "type": "Ready", "status": "False", "reason": "CredentialsRejected", "message": "by hand",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }]}),
    ] {
        patch_status(&test, "pconn/default", &json!({"status": patch})).await;
        test.wait_for(&format!("{patch} is mended"), COUNTERS, is_mended).await;
    }
    assert_eq!((test.simulator.reads(), test.simulator.tokens()), (reads, tokens));
    // Each was seen in the watch. The periodic reconcile of the connection would restore them too, but later.
    let seen = controller.log_entries().iter().filter(|entry| entry["message"] == SEEN).count();
    assert!(seen >= 4, "seen {seen} times");
    // The condition of another controller costs nothing.
    let added =
        json!([{"op": "add", "path": "/status/conditions/-", "value": their_condition()}]).to_string();
    let add = ["patch", "pconn/default", "--subresource=status", "--type=json", "-p", &added];
    test.kubectl(&add).await.success();
    test.until_calm(CALM).await;
    let status = stored_status(&test, "pconn/default").await;
    assert!(status["conditions"].as_array().unwrap().iter().any(|one| one["type"] == "example.com/Audited"));
    test.finish().await;
}

/// A former leader may have reported an outage last, and the trouble is another one by now. The connection says so
/// already, so no change of it triggers the object.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_corrects_a_report_about_a_connection() {
    let test = Test::new("stale-report").await;
    // The patch by hand and the answer to it overlap for a moment.
    test.exempt("acme");
    let (id, wrong) = (test.simulator.client_id(), "wrong-secret-55bb");
    test.connection("default", json!({})).await;
    test.keep_secret(wrong);
    test.secret("default", json!({"clientId": id, "clientSecret": wrong})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let controller = test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    let needs_a_person = |object: &TenantPricing| reason(object, "Stalled") == "ConnectionNotReady";
    test.until("acme", "needs a person", needs_a_person).await;
    until_connection(&test, "default", "CredentialsRejected").await;
    controller.kill().await;
    let mut status = stored_status(&test, "tp/acme").await;
    for condition in status["conditions"].as_array_mut().unwrap() {
        if condition["type"] == "Stalled" {
            condition["type"] = json!("Reconciling");
        }
        if condition["type"] != "Production" {
            condition["reason"] = json!("PlatformUnavailable");
        }
    }
    patch_status(&test, "tp/acme", &json!({"status": {"conditions": status["conditions"]}})).await;
    test.controller().await;
    test.until("acme", "needs a person again", needs_a_person).await;
    test.finish().await;
}
