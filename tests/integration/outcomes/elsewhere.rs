//! An open entry is resolved where it was begun, whatever happens to its object meanwhile.

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, PlatformConnection, SwitchedBy, TenantPricing},
    simulator::{FaultAction, Simulator, SimulatorOptions, TenantSpec},
};

use super::{AFTER_GRACE_PERIOD, attempts, customer_with, is_switched, journal, outcome_is_unknown, phase};
use crate::harness::{Test, condition, has, reason};

fn is_lost(object: &TenantPricing) -> bool {
    has(object, "Stalled", "True") && reason(object, "Stalled") == "OutcomeUnknown"
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_entry_waits_while_its_object_points_elsewhere() {
    let test = Test::new("elsewhere").await;
    let elsewhere = Simulator::start(SimulatorOptions::default()).await.unwrap();
    test.connection("default", json!({})).await;
    test.connection("other", json!({"url": elsewhere.url()})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(elsewhere.url());
    let controller = test.controller_with(&options).await;
    let tenant = customer_with(&test, "Acme GmbH", FaultAction::DropBefore);
    // The other platform has a tenant of the same id, in production: it must not be taken for the outcome.
    elsewhere.add_tenant(TenantSpec::customer("Acme GmbH").id(&tenant).mode("production"));
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "waits", outcome_is_unknown).await;
    let leading_away =
        [json!({"connectionRef": {"name": "other"}}), json!({"connectionRef": {"name": "missing"}})];
    for spec in leading_away {
        test.edit::<TenantPricing>("acme", json!({"spec": spec})).await;
        let object = test.until("acme", "is lost", is_lost).await;
        assert_eq!(phase(&object), Some(Phase::InFlight));
        assert!(
            reason(&object, "Production") == "Trial",
            "the answer of another platform counts for nothing"
        );
        test.edit::<TenantPricing>("acme", json!({"spec": {"connectionRef": {"name": "default"}}})).await;
        test.until("acme", "waits", outcome_is_unknown).await;
    }
    test.edit::<PlatformConnection>("default", json!({"spec": {"url": elsewhere.url()}})).await;
    test.until("acme", "is lost", is_lost).await;
    // A restart makes no difference.
    controller.kill().await;
    test.controller_with(&options).await;
    test.request_reconcile("acme", "1").await;
    let echoed = |object: &TenantPricing| {
        object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some("1")
    };
    let object = test.until("acme", "is read", echoed).await;
    assert!(is_lost(&object));
    test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.mode = "production".into());
    test.edit::<PlatformConnection>("default", json!({"spec": {"url": test.simulator.url()}})).await;
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((phase(&object), attempts(&object)), (Some(Phase::Completed), 1));
    assert_eq!((test.simulator.puts(&tenant), elsewhere.total_puts()), (1, 0));
    test.finish().await;
}

/// It sends nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_object_records_the_outcome_of_its_open_entry() {
    let test = super::at_work("suspended-open").await;
    let suspend = json!({"spec": {"suspend": true}});
    let mut tenants = Vec::new();
    for name in ["effect", "no-effect"] {
        let tenant = customer_with(&test, name, FaultAction::DropBefore);
        test.production(name, &tenant, json!({})).await;
        tenants.push(tenant);
    }
    for name in ["effect", "no-effect"] {
        test.until(name, "waits", outcome_is_unknown).await;
        test.edit::<TenantPricing>(name, suspend.clone()).await;
        let seen = |object: &TenantPricing| object.status.as_ref().unwrap().observed_generation == 2;
        let object = test.until(name, "is read", seen).await;
        assert!(outcome_is_unknown(&object) && phase(&object) == Some(Phase::InFlight), "{name}");
    }
    test.simulator.update_tenant(&tenants[0], |tenant| tenant.pricing.mode = "production".into());
    let object = test.until("effect", "is recorded", is_switched).await;
    assert_eq!(
        journal(&object).map(|it| (it.phase, it.by)),
        Some((Phase::Completed, Some(SwitchedBy::Controller)))
    );
    assert_eq!(reason(&object, "Ready"), "Suspended");
    // A minute later it is certain that the other had no effect; it is closed, and no object is blocked.
    let closed = |object: &TenantPricing| phase(object) == Some(Phase::Scheduled);
    let object = test.until_within(AFTER_GRACE_PERIOD, "no-effect", "is closed", closed).await;
    assert_eq!((reason(&object, "Ready"), attempts(&object)), ("Suspended", 1));
    test.kubectl_patch("tp", "no-effect", r#"{"spec":{"mode":"trial","suspend":false}}"#).await.success();
    let object = test.until("no-effect", "is cancelled", |object| reason(object, "Ready") == "InSync").await;
    assert!(journal(&object).is_none());
    assert_eq!(tenants.iter().map(|tenant| test.simulator.puts(tenant)).collect::<Vec<_>>(), [1, 1]);
    test.finish().await;
}

/// It names the entry's object, and continues once the entry is resolved.
#[tokio::test(flavor = "multi_thread")]
async fn beside_an_unresolvable_entry_an_older_object_stalls() {
    let test = super::at_work("stalled-elsewhere").await;
    test.connection("other", json!({})).await;
    let tenant = customer_with(&test, "Acme GmbH", FaultAction::DropBefore);
    test.tenant_pricing("older", json!({"tenant": {"id": tenant}})).await;
    test.until("older", "is read", |object| has(object, "Ready", "True")).await;
    test.production("younger", &tenant, json!({"connectionRef": {"name": "other"}})).await;
    test.until("younger", "waits", outcome_is_unknown).await;
    test.edit::<TenantPricing>("older", json!({"spec": {"mode": "production"}})).await;
    test.until("older", "waits", outcome_is_unknown).await;
    // Its path to the platform is gone. The older one sees that, and does not report that waiting helps.
    test.kubectl(&["delete", "pconn", "other"]).await.success();
    test.until("younger", "is lost", is_lost).await;
    let object = test.until("older", "reports it", is_lost).await;
    let message = condition(&object, "Stalled").unwrap().message.clone();
    assert!(message.contains(&format!("TenantPricing {}/younger", test.namespace)), "{message}");
    assert!(journal(&object).is_none_or(|journal| journal.phase == Phase::Scheduled), "it announced nothing");
    test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.mode = "production".into());
    test.connection("other", json!({})).await;
    test.until("younger", "is recorded", |object| phase(object) == Some(Phase::Completed)).await;
    test.until("older", "is in production", is_switched).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}
