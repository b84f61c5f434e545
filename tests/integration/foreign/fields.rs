//! Fields of the status that other managers own as well are removed when they must be.

use std::time::Duration;

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::TenantSpec,
};

use super::{has_their_condition, patch_status, patch_status_json, stored_status, their_condition};
use crate::harness::{Controller, PATIENCE, Test, condition, has, reason};

/// How long nothing may be written.
const CALM: Duration = Duration::from_secs(5);

/// A switch that waits for the first of a month.
async fn waiting(name: &str) -> (Test, Controller) {
    let test = Test::new(name).await;
    test.exempt("acme");
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let controller = test.controller().await;
    test.production("acme", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
    test.until("acme", "waits", is_planned).await;
    (test, controller)
}

fn is_planned(object: &TenantPricing) -> bool {
    phase(object) == Some(Phase::Scheduled) && reason(object, "Ready") == "SwitchScheduled"
}

fn phase(object: &TenantPricing) -> Option<Phase> {
    object.status.as_ref()?.switch.as_ref().map(|journal| journal.phase)
}

fn is_cancelled(object: &TenantPricing) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| status.switch.is_none() && reason(object, "Ready") == "Observed")
}

async fn cancel(test: &Test) -> TenantPricing {
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": null}})).await;
    test.until("acme", "is cancelled", is_cancelled).await
}

/// The managers that own a field of the status.
async fn owners(test: &Test, field: &str) -> Vec<String> {
    let arguments = ["get", "tp", "acme", "-o", "json", "--show-managed-fields"];
    let object: Value = serde_json::from_str(&test.kubectl(&arguments).await.success()).unwrap();
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let owning = entries.filter(|entry| entry["fieldsV1"].pointer(field).is_some());
    owning.map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_two_owners_is_cancelled() {
    let (test, _) = waiting("foreign-plan").await;
    // A backup that is restored over the same status: each field has two owners then. The plan goes and comes back
    // in one step, as kubectl takes what does not change for none of its own.
    let status = stored_status(&test, "tp/acme").await;
    let backup = [
        json!([{"op": "remove", "path": "/status/switch"}]),
        json!([{"op": "add", "path": "/status/switch", "value": status["switch"]}]),
    ];
    for controller in test.controllers() {
        controller.signal("STOP").await;
    }
    for step in backup {
        patch_status_json(&test, "tp/acme", &step).await;
    }
    for controller in test.controllers() {
        controller.signal("CONT").await;
    }
    test.reconcile_now("acme", "once").await;
    let field = "/f:status/f:switch/f:scheduledFor";
    assert_eq!(owners(&test, field).await.len(), 2, "the test shows nothing");
    cancel(&test).await;
    test.until_calm(CALM).await;
    test.until_events("acme", &["SwitchScheduled", "SwitchCancelled"]).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_one_foreign_field_is_cancelled() {
    let (test, controller) = waiting("foreign-field").await;
    let at = stored_status(&test, "tp/acme").await["switch"]["scheduledFor"].clone();
    controller.signal("STOP").await;
    for value in [json!("2027-02-01T00:00:00Z"), at] {
        patch_status(&test, "tp/acme", &json!({"status": {"switch": {"scheduledFor": value}}})).await;
    }
    // What is left of the plan then makes no sense to the API server: its phase is missing.
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": null}})).await;
    controller.signal("CONT").await;
    test.until("acme", "is cancelled", is_cancelled).await;
    test.until_calm(CALM).await;
    assert!(!controller.log().contains("failed to write the status"));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_stall_goes_and_a_foreign_condition_stays() {
    let (test, _) = waiting("foreign-stall").await;
    let stalled = json!({
        "type": "Stalled", "status": "True", "reason": "Drill", "message": "by hand",
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    });
    for value in [their_condition(), stalled] {
        let add = json!([{"op": "add", "path": "/status/conditions/-", "value": value}]);
        patch_status_json(&test, "tp/acme", &add).await;
    }
    let is_mended =
        |object: &TenantPricing| condition(object, "Stalled").is_none() && has_their_condition(object);
    test.until("acme", "is not stalled", is_mended).await;
    test.until_calm(CALM).await;
    let object = test.until("acme", "still waits", is_planned).await;
    assert!(is_mended(&object));
    test.until_events("acme", &["SwitchScheduled"]).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_with_a_foreign_message_goes_when_it_is_over() {
    let test = Test::new("foreign-message").await;
    test.exempt("acme");
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.simulator.update_tenant(&tenant, |tenant| tenant.enabled = false);
    let controller = test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    let stalled = |object: &TenantPricing| reason(object, "Stalled") == "TenantDisabled";
    let object = test.until("acme", "is stalled", stalled).await;
    // Another manager owns the message from now on, and it is what it was.
    let conditions = json!(object.status.as_ref().unwrap().conditions);
    let at = conditions.as_array().unwrap().iter().position(|one| one["type"] == "Stalled").unwrap();
    let message = conditions[at]["message"].clone();
    controller.signal("STOP").await;
    for value in [json!("by hand"), message] {
        let path = format!("/status/conditions/{at}/message");
        patch_status_json(&test, "tp/acme", &json!([{"op": "replace", "path": path, "value": value}])).await;
    }
    controller.signal("CONT").await;
    test.simulator.update_tenant(&tenant, |tenant| tenant.enabled = true);
    test.request_reconcile("acme", "now").await;
    let done =
        |object: &TenantPricing| has(object, "Ready", "True") && condition(object, "Stalled").is_none();
    test.until("acme", "is switched", done).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.until_calm(CALM).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_removes_the_fields_of_other_managers() {
    let (test, controller) = waiting("foreign-announced").await;
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    // What stands in the journal beside the attempt is to go, too.
    let patch = json!({"status": {"switch": {"completedAt": "2026-11-01T00:00:00Z", "by": "Platform"}}});
    patch_status(&test, "tp/acme", &patch).await;
    test.set_time("2026-12-01T10:00:00Z".parse().unwrap());
    test.controller().await;
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    let mut statuses = test.recorded_statuses("acme").into_iter();
    let open = statuses.rfind(|status| status["switch"]["phase"] == "InFlight").unwrap();
    assert_eq!((&open["switch"]["completedAt"], &open["switch"]["by"]), (&Value::Null, &Value::Null));
    assert_eq!(test.simulator.total_puts(), 1);
    test.finish().await;
}
