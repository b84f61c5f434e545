//! `cancel`: before, during and after the attempt.

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::{Fault, FaultAction, Operation},
};

use super::{observed, patches, scheduled, stored, switched};
use crate::harness::{Test, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_switch_is_cancelled_and_nothing_is_billed() {
    let test = Test::new("cancel").await;
    let tenant = scheduled(&test).await;
    let editor = test.editor().await;
    let output = editor.run(&["cancel", "acme"]).await;
    for shown in
        ["Edit:        spec.mode: production -> not set", "Outcome:     cancelled", "nothing is billed"]
    {
        assert!(output.stderr.contains(shown), "{shown}\n{}", output.stderr);
    }
    let printed = output.success();
    assert!(printed.contains("/acme: Done (Observed). "), "{printed}");
    assert!(printed.contains("Billed: Nothing: the tenant was in trial"), "{printed}");
    let object = test.until("acme", "is observed", |object| reason(object, "Ready") == "Observed").await;
    assert_eq!(object.status.unwrap().switch, None, "the plan is gone");
    let again = editor.run(&["cancel", "acme"]).await.success();
    assert!(again.contains("nothing to do, no switch is asked for"), "{again}");
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (0, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_production_stays_on_the_bill() {
    let test = Test::new("cancel-late").await;
    observed(&test).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
    switched(&test).await;
    let editor = test.editor().await;
    let error = editor.run(&["cancel", "acme"]).await.failure();
    assert!(error.contains("the tenant is past trial, and there is no way back"), "{error}");
    assert!(error.contains("was the first month on the bill"), "{error}");
    assert_eq!(patches(&editor).await, 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_attempt_is_not_cancelled() {
    let test = Test::new("cancel-open").await;
    let tenant = observed(&test).await;
    let fault = Fault::new(FaultAction::hold()).on(Operation::PutPricing).tenant(&tenant).once();
    let held = test.simulator.inject(fault);
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
    let is_open = |object: &TenantPricing| {
        let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
        journal.is_some_and(|journal| journal.phase == Phase::InFlight)
    };
    test.until("acme", "is in flight", is_open).await;
    let editor = test.editor().await;
    let error = editor.run(&["cancel", "acme"]).await.failure();
    assert!(error.contains("acme cannot be cancelled now: an attempt is open"), "{error}");
    assert!(
        error.contains("The tenant may be billed: the outcome of the last attempt is not known"),
        "{error}"
    );
    assert_eq!(patches(&editor).await, 0);
    assert_eq!(stored(&test, "acme").await["spec"]["mode"], "production");
    test.simulator.release(held);
    switched(&test).await;
    test.finish().await;
}
