//! The platform refuses the PUT definitely: the attempt is over at once.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::{Fault, FaultAction, Operation, Simulator, SimulatorOptions, TenantSpec},
};

use super::{
    announced, at_work, attempts, between, course, customer_with, is_switched, on_put, pauses, phase, puts,
};
use crate::harness::{has, reason};

/// The condition gives the platform's reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_definite_refusal_closes_the_entry_and_is_not_repeated() {
    let test = at_work("refused").await;
    let elsewhere = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let cases = [
        ("other", FaultAction::error(400, 4711), "PlatformRefused"),
        ("forbidden", FaultAction::error(403, 1002), "AccessDenied"),
        ("without-a-code", FaultAction::answer(403, r#"{"error":{}}"#), "AccessDenied"),
        ("locked", FaultAction::error(423, 423), "TenantLocked"),
        ("locked-by-code", FaultAction::error(400, 1012), "TenantLocked"),
        ("rules", FaultAction::error(400, 1027), "PlatformRefused"),
        ("rules-as-text", FaultAction::error(409, "1027"), "PlatformRefused"),
        ("parent", FaultAction::error(400, 1003), "PlatformRefused"),
        ("gone", FaultAction::error(404, 1005), "TenantNotFound"),
        ("redirected", FaultAction::Redirect { status: 302, location: elsewhere.url() }, "PlatformRefused"),
        ("moved", FaultAction::Redirect { status: 307, location: elsewhere.url() }, "PlatformRefused"),
    ];
    let mut tenants = Vec::new();
    for (name, action, expected) in cases {
        let tenant = customer_with(&test, name, action);
        test.production(name, &tenant, json!({})).await;
        tenants.push((name, tenant, expected));
    }
    for (name, tenant, expected) in &tenants {
        let refused = |object: &TenantPricing| has(object, "Stalled", "True");
        let object = test.until(name, "is refused", refused).await;
        assert_eq!(reason(&object, "Stalled"), *expected, "{name}");
        assert_eq!((phase(&object), attempts(&object)), (Some(Phase::Scheduled), 1), "{name}");
        assert_eq!(test.simulator.puts(tenant), 1, "{name}");
    }
    // Another one's version conflicts are retried after two and four seconds; until then none of these is.
    let conflicting = test.simulator.add_tenant(TenantSpec::customer("conflicting"));
    test.simulator.inject(
        Fault::new(FaultAction::error(409, 1001)).on(Operation::PutPricing).tenant(&conflicting).times(2),
    );
    test.expect_puts(&conflicting, 3);
    test.production("conflicting", &conflicting, json!({})).await;
    let object = test.until("conflicting", "is switched", is_switched).await;
    assert_eq!((attempts(&object), announced(&test, "conflicting").len()), (3, 3));
    let pauses = pauses(&test, &conflicting);
    assert!(pauses[0] >= Duration::from_secs(2) && pauses[1] >= Duration::from_secs(4), "{pauses:?}");
    for (name, tenant, _) in &tenants {
        assert_eq!(test.simulator.puts(tenant), 1, "{name}");
    }
    assert!(elsewhere.requests().is_empty(), "a redirect is not followed");
    // A user who asks for it gets a new attempt, announced again; a user who cancels is heard.
    test.expect_puts(&tenants[0].1, 2);
    test.request_reconcile("other", "1").await;
    let object = test.until("other", "is switched", is_switched).await;
    assert_eq!((attempts(&object), announced(&test, "other").len()), (2, 2));
    for (name, tenant, _) in &tenants[1..] {
        test.edit::<TenantPricing>(name, json!({"spec": {"mode": "trial"}})).await;
        let cancelled = |object: &TenantPricing| reason(object, "Ready") == "InSync";
        let object = test.until(name, "is cancelled", cancelled).await;
        assert_eq!((phase(&object), test.simulator.puts(tenant)), (None, 1), "{name}");
    }
    test.finish().await;
}

/// The retry uses a new token.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_answered_401_is_announced_again_before_a_retry() {
    let test = at_work("put-401").await;
    let tenant = customer_with(&test, "Acme GmbH", FaultAction::error(401, 401));
    test.expect_puts(&tenant, 2);
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((attempts(&object), announced(&test, "acme").len()), (2, 2));
    assert_eq!(course(&test, "acme"), ["none", "InFlight", "Scheduled", "InFlight", "Completed"]);
    assert_eq!((test.simulator.puts(&tenant), test.simulator.tokens()), (2, 2));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_asked_for_instead_of_the_switch_is_kept() {
    for (name, pause) in [
        ("throttled-seconds", FaultAction::RetryAfterSeconds { status: 429, seconds: 3 }),
        ("throttled-date", FaultAction::RetryAfterDate { status: 429, seconds: 4 }),
    ] {
        let test = at_work(name).await;
        let tenant = customer_with(&test, "Acme GmbH", pause);
        test.expect_puts(&tenant, 2);
        test.production("acme", &tenant, json!({})).await;
        let object = test.until("acme", "is switched", is_switched).await;
        assert_eq!((attempts(&object), announced(&test, "acme").len()), (2, 2));
        let refused = puts(&test, &tenant)[0].finished_after.unwrap();
        let requests = test.simulator.requests();
        let next = requests.iter().find(|request| request.started_after > refused).unwrap();
        assert!(between(refused, next.started_after) >= Duration::from_secs(3), "{name}: {next:?}");
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_busy_is_tried_again_with_growing_pauses() {
    let test = at_work("busy").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let busy = Fault::new(FaultAction::error(400, 1011)).on(Operation::PutPricing).times(2);
    test.simulator.inject(busy);
    test.expect_puts(&tenant, 3);
    test.production("acme", &tenant, json!({})).await;
    let closed = |object: &TenantPricing| phase(object) == Some(Phase::Scheduled);
    let object = test.until("acme", "is closed", closed).await;
    assert_eq!(reason(&object, "Reconciling"), "TenantBusy");
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(attempts(&object), 3);
    let pauses = pauses(&test, &tenant);
    assert!(pauses[0] >= Duration::from_secs(2) && pauses[1] >= Duration::from_secs(4), "{pauses:?}");
    test.finish().await;
}

/// It changes between the pre-write read and the PUT.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_changed_before_the_put_is_read_again() {
    let test = at_work("version").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold()));
    test.expect_puts(&tenant, 2);
    test.production("acme", &tenant, json!({})).await;
    test.simulator.wait_for_hits(held, 1).await;
    // An administrator changes the currency: the version of the pre-write read is stale now.
    test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.version += 1);
    test.simulator.release(held);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(attempts(&object), 2);
    assert_eq!(puts(&test, &tenant)[0].status(), Some(409));
    test.finish().await;
}
