//! The status of an open attempt that others take away.

use serde_json::json;
use tenant_pricing_controller::{
    api::{DesiredMode, Phase, SwitchedBy, TenantPricing},
    simulator::{Fault, FaultAction, FaultId, Operation, TenantSpec},
};

use super::wipe;
use crate::harness::{Controller, PATIENCE, Test, has};

/// A controller whose PUT for `acme` is held at the platform, after the effect or before it.
async fn with_put_held(name: &str, action: FaultAction) -> (Test, Controller, String, FaultId) {
    let test = Test::new(name).await;
    test.exempt("acme");
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let fault = Fault::new(action).on(Operation::PutPricing).tenant(&tenant).once();
    let held = test.simulator.inject(fault);
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    test.until("acme", "is in flight", |object| phase(object) == Some(Phase::InFlight)).await;
    (test, controller, tenant, held)
}

fn phase(object: &TenantPricing) -> Option<Phase> {
    object.status.as_ref()?.switch.as_ref().map(|journal| journal.phase)
}

fn attempt(object: &TenantPricing) -> Option<String> {
    object.status.as_ref()?.switch.as_ref()?.attempt_id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_attempt_is_written_back_before_the_answer() {
    let (test, controller, tenant, held) = with_put_held("foreign-flight", FaultAction::hold()).await;
    let before = test.until("acme", "is in flight", |object| phase(object) == Some(Phase::InFlight)).await;
    // kubectl takes a second, and the request has eight.
    let nothing = json!({"observed": null, "switch": null, "tenantId": null, "conditions": []});
    test.edit_status::<TenantPricing>("acme", json!({"status": nothing})).await;
    let version = |object: &TenantPricing| object.metadata.resource_version.clone();
    let restored = |object: &TenantPricing| {
        phase(object) == Some(Phase::InFlight) && version(object) != version(&before)
    };
    let object = test.until("acme", "is in flight again", restored).await;
    assert!(!controller.log().contains("the platform was asked"), "the request has ended before");
    assert_eq!(object.status.as_ref().unwrap().switch, before.status.as_ref().unwrap().switch);
    // From now on the mode is kept again.
    let patch = ["patch", "tp/acme", "--type=merge", "-p", r#"{"spec":{"mode":null}}"#];
    let refused = test.kubectl(&patch).await;
    assert!(refused.stderr.contains("mode: production cannot be removed now"), "{refused:?}");
    test.simulator.release(held);
    let done = |object: &TenantPricing| phase(object) == Some(Phase::Completed);
    let object = test.until("acme", "is completed", done).await;
    let journal = object.status.as_ref().unwrap().switch.as_ref().unwrap();
    assert_eq!((journal.by, journal.attempts), (Some(SwitchedBy::Controller), 1));
    assert_eq!(attempt(&object), attempt(&before));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_between_the_wipe_and_its_mend_hides_nothing() {
    let (test, controller, tenant, held) =
        with_put_held("foreign-edit", FaultAction::hold_after_effect()).await;
    // The process cannot answer before the edit.
    controller.signal("STOP").await;
    wipe(&test, "tp/acme").await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": null}})).await;
    test.simulator.release(held);
    controller.signal("CONT").await;
    let done = |object: &TenantPricing| phase(object) == Some(Phase::Completed);
    let object = test.until("acme", "is completed", done).await;
    assert_eq!(object.spec.mode, None::<DesiredMode>);
    let journal = object.status.as_ref().unwrap().switch.as_ref().unwrap();
    assert_eq!((journal.by, journal.attempts), (Some(SwitchedBy::Controller), 1));
    assert!(has(&object, "Production", "True"));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wiped_and_killed_one_put_takes_effect() {
    let (test, controller, tenant, held) = with_put_held("foreign-killed", FaultAction::hold()).await;
    // The new process knows nothing of the first request, which is still on its way.
    test.expect_puts(&tenant, 2);
    test.expect_meeting_puts();
    controller.kill().await;
    wipe(&test, "tp/acme").await;
    test.controller().await;
    test.until("acme", "is in production", |object| has(object, "Production", "True")).await;
    test.simulator.release(held);
    let answered = async || {
        let requests = test.simulator.requests().into_iter();
        let puts: Vec<_> = requests.filter(|request| request.operation == Operation::PutPricing).collect();
        puts.iter().all(|put| put.outcome.is_some()).then_some(puts)
    };
    let puts = test.wait_for("both requests are answered", PATIENCE, answered).await;
    assert_eq!(puts.iter().filter(|put| put.took_effect).count(), 1, "{puts:?}");
    assert_eq!(test.simulator.effective_puts(), 1);
    test.finish().await;
}
