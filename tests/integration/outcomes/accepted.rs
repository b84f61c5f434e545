//! The platform accepts the PUT, and its reads go on showing trial for longer than any time that a process waits.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy, TenantPricing},
    simulator::{Fault, FaultAction, FaultId, Operation, TenantSpec},
};

use super::{
    GRACE_PERIOD, at_work, attempts, connected, is_switched, journal, on_put, outcome_is_unknown, phase,
};
use crate::harness::{PATIENCE, Test, condition, has, reason};

/// A customer whose reads show trial whatever happens, until the fault is cleared.
fn stale_customer(test: &Test, name: &str) -> (String, FaultId) {
    let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
    let fault = test.simulator.inject(Fault::new(FaultAction::StaleRead).tenant(&tenant));
    (tenant, fault)
}

fn is_accepted(object: &TenantPricing) -> bool {
    journal(object).is_some_and(|journal| journal.accepted_at.is_some())
}

/// The object's words about its switch when all is over.
fn record(object: &TenantPricing) -> (Phase, Option<SwitchedBy>, u32, &str) {
    let journal = journal(object).unwrap();
    (journal.phase, journal.by, journal.attempts, reason(object, "Production"))
}

const DONE: (Phase, Option<SwitchedBy>, u32, &str) =
    (Phase::Completed, Some(SwitchedBy::Controller), 1, "SwitchedByController");

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_switch_that_does_not_show_is_not_sent_again() {
    let test = at_work("accepted").await;
    let (kept, stale) = stale_customer(&test, "Kept AG");
    let (gone, stale_too) = stale_customer(&test, "Gone AG");
    for (name, tenant) in [("kept", &kept), ("gone", &gone)] {
        test.production(name, tenant, json!({})).await;
        let object = test.until(name, "is accepted", is_accepted).await;
        assert!(outcome_is_unknown(&object), "{name}");
        let said = &condition(&object, "Ready").unwrap().message;
        assert!(said.contains("accepted the switch and still shows trial; it is billed"), "{said}");
        let production = &condition(&object, "Production").unwrap().message;
        assert!(!production.contains("nothing is billed"), "{production}");
    }
    // Another object for the first tenant; and the second one's object is deleted and created again.
    test.production("another", &kept, json!({})).await;
    test.kubectl(&["delete", "tp", "gone"]).await.success();
    test.production("gone", &gone, json!({})).await;
    let again = test.until("gone", "waits", outcome_is_unknown).await;
    assert!(!is_accepted(&again), "it did not ask for that switch");
    for patch in [r#"{"spec":{"mode":"trial"}}"#, r#"{"spec":{"mode":null}}"#] {
        let refusal = test.kubectl(&["patch", "tp", "kept", "--type=merge", "-p", patch]).await.failure();
        assert!(refusal.contains("status.switch.phase is InFlight"), "{patch}: {refusal}");
    }
    test.edit::<TenantPricing>("kept", json!({"spec": {"suspend": true}})).await;
    // After this time an outcome that is not known would be closed, and tried again.
    tokio::time::sleep(GRACE_PERIOD + Duration::from_secs(5)).await;
    for name in ["kept", "gone", "another"] {
        test.request_reconcile(name, "after the grace period").await;
    }
    let object = test.until("kept", "is open", |object| phase(object) == Some(Phase::InFlight)).await;
    assert_eq!(attempts(&object), 1);
    assert_eq!((test.simulator.puts(&kept), test.simulator.puts(&gone)), (1, 1));
    test.edit::<TenantPricing>("kept", json!({"spec": {"suspend": false}})).await;
    for fault in [stale, stale_too] {
        test.simulator.clear_fault(fault);
    }
    let object = test.until("kept", "is switched", is_switched).await;
    assert_eq!(record(&object), DONE);
    test.request_reconcile("gone", "reads are right").await;
    test.until("gone", "is in production", is_switched).await;
    assert_eq!((test.simulator.puts(&kept), test.simulator.puts(&gone)), (1, 1));
    let notes = test.event_notes("kept").await;
    assert!(notes.iter().all(|(reason, _)| reason != "SwitchCancelled" && reason != "SwitchedByPlatform"));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_knows_what_the_platform_accepted() {
    let test = connected("accepted-restart").await;
    let controller = test.controller().await;
    let (tenant, stale) = stale_customer(&test, "Acme GmbH");
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is accepted", is_accepted).await;
    controller.kill().await;
    // Ten minutes go by while no controller runs.
    test.set_time(test.simulator.now() + SignedDuration::from_mins(11));
    test.controller().await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "OutcomeUnknown");
    let said = &condition(&object, "Stalled").unwrap().message;
    assert!(said.contains("still shows trial; it is billed") && said.contains("support"), "{said}");
    // After this time the new process would close an outcome that it does not know.
    tokio::time::sleep(GRACE_PERIOD + Duration::from_secs(5)).await;
    test.request_reconcile("acme", "after the grace period").await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.simulator.clear_fault(stale);
    test.request_reconcile("acme", "reads are right").await;
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(record(&object), DONE);
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_whose_first_write_conflicts_is_stored_later() {
    let test = at_work("accepted-conflict").await;
    let (tenant, stale) = stale_customer(&test, "Acme GmbH");
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold_after_effect()));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    // The status that follows the answer is written over the version that was announced.
    test.edit::<TenantPricing>("acme", json!({"metadata": {"labels": {"edited": "meanwhile"}}})).await;
    test.simulator.release(held);
    let object = test.until("acme", "is accepted", is_accepted).await;
    assert_eq!((phase(&object), attempts(&object)), (Some(Phase::InFlight), 1));
    test.simulator.clear_fault(stale);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(record(&object), DONE);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_stores_its_acceptance_over_an_edit() {
    let test = connected("accepted-ending").await;
    let controller = test.controller().await;
    let (tenant, stale) = stale_customer(&test, "Acme GmbH");
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold_after_effect()));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    // The status that follows the answer conflicts, and no other reconcile of this process comes after it.
    test.edit::<TenantPricing>("acme", json!({"metadata": {"labels": {"edited": "meanwhile"}}})).await;
    controller.terminate().await;
    let ends = async || controller.log().contains("shutting down").then_some(());
    test.wait_for("the controller is about to end", PATIENCE, ends).await;
    test.simulator.release(held);
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    let object = test.until("acme", "is accepted", is_accepted).await;
    assert_eq!((phase(&object), attempts(&object)), (Some(Phase::InFlight), 1));
    test.simulator.clear_fault(stale);
    test.controller().await;
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(record(&object), DONE);
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_is_stored_while_the_read_back_hangs() {
    let test = at_work("accepted-slow-read").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold_after_effect()));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    let hangs =
        test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenant).tenant(&tenant));
    test.simulator.release(held);
    let object = test.until("acme", "is accepted", is_accepted).await;
    assert_eq!((phase(&object), attempts(&object)), (Some(Phase::InFlight), 1));
    test.simulator.clear_fault(hangs);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(record(&object), DONE);
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_shows_at_once_stores_no_acceptance() {
    let test = at_work("accepted-shown").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(record(&object), DONE);
    assert!(!is_accepted(&object));
    test.finish().await;
}
