//! The answer to the PUT is lost, or proves nothing.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy, TenantPricing},
    simulator::{Fault, FaultAction, LoggedRequest, Operation, Outcome, TenantSpec},
};

use super::{
    AFTER_GRACE_PERIOD, GRACE_PERIOD, answered_after_effect, at_work, attempts, between, connected, course,
    customer_with, is_switched, journal, on_put, outcome_is_unknown, pauses, puts,
};
use crate::harness::{Gateway, PATIENCE, Test, has, reason};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_after_the_effect_is_resolved_by_reading() {
    let test = at_work("lost-after").await;
    let cases = [
        ("dropped", FaultAction::DropAfterEffect),
        ("error-500", answered_after_effect(500, "upstream connect error")),
        ("error-502", answered_after_effect(502, "<html>")),
        ("error-503", answered_after_effect(503, "")),
        ("error-504", answered_after_effect(504, "")),
        ("gave-up-408", answered_after_effect(408, "")),
        ("gave-up-499", answered_after_effect(499, "")),
        ("nonsense-999", answered_after_effect(999, "")),
        ("truncated", FaultAction::TruncatedBody),
        ("not-json", FaultAction::MalformedJson),
        ("empty", FaultAction::EmptyBody),
        ("login-page", answered_after_effect(200, "<html>sign in</html>")),
        ("firewall-403", answered_after_effect(403, "<html>blocked</html>")),
        ("ingress-404", answered_after_effect(404, "default backend - 404")),
        ("huge", FaultAction::Oversized { bytes: 10 * 1024 * 1024 }),
        // Beyond the 8 s that a PUT may take.
        ("late", FaultAction::delay_after_effect(Duration::from_secs(9))),
    ];
    // One after the other: this many failures at once would open the circuit breaker for a while.
    for (name, action) in cases {
        let tenant = customer_with(&test, name, action);
        test.production(name, &tenant, json!({})).await;
        let object = test.until(name, "is switched", is_switched).await;
        assert_eq!(reason(&object, "Production"), "SwitchedByController", "{name}");
        let journal = journal(&object).unwrap();
        let found = (journal.phase, journal.by, journal.attempts);
        assert_eq!(found, (Phase::Completed, Some(SwitchedBy::Controller), 1), "{name}");
        assert_eq!(test.simulator.puts(&tenant), 1, "{name}");
    }
    test.finish().await;
}

/// The platform switches the tenant and answers with a pause. The outcome is read once it is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_behind_the_effect_delays_the_read_back() {
    let test = at_work("throttled-after").await;
    let throttled =
        FaultAction::Error { status: 503, code: 1000.into(), retry_after: Some(3), after_effect: true };
    let tenant = customer_with(&test, "Acme GmbH", throttled);
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "waits", outcome_is_unknown).await;
    assert_eq!(journal(&object).unwrap().phase, Phase::InFlight);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((reason(&object, "Production"), attempts(&object)), ("SwitchedByController", 1));
    let asked = puts(&test, &tenant)[0].finished_after.unwrap();
    let requests = test.simulator.requests();
    let next = requests.iter().find(|request| request.started_after > asked).unwrap();
    assert!(
        between(asked, next.started_after) >= Duration::from_secs(3),
        "nothing is asked during the pause: {next:?}"
    );
    test.finish().await;
}

/// Nothing is sent for a minute, and then once more.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_before_the_effect_delays_the_retry() {
    let test = at_work("lost-before").await;
    let cases = [
        ("dropped", FaultAction::DropBefore),
        ("error-500", FaultAction::answer(500, "upstream connect error")),
        ("gave-up-408", FaultAction::answer(408, "")),
        ("gave-up-499", FaultAction::answer(499, "")),
    ];
    let mut tenants = Vec::new();
    for (name, action) in cases {
        let tenant = customer_with(&test, name, action);
        test.expect_puts(&tenant, 2);
        test.production(name, &tenant, json!({})).await;
        // One after the other: a connection that one breaks may be the one over which another is sent.
        let object = test.until(name, "waits", outcome_is_unknown).await;
        assert_eq!(journal(&object).unwrap().phase, Phase::InFlight, "{name}");
        tenants.push((name, tenant));
    }
    for patch in [r#"{"spec":{"mode":"trial"}}"#, r#"{"spec":{"mode":null}}"#] {
        let refusal = test.kubectl(&["patch", "tp", "dropped", "--type=merge", "-p", patch]).await.failure();
        assert!(refusal.contains("status.switch.phase is InFlight"), "{patch}: {refusal}");
    }
    for (name, tenant) in &tenants {
        let object = test.until_within(AFTER_GRACE_PERIOD, name, "is switched", is_switched).await;
        assert_eq!((reason(&object, "Production"), attempts(&object)), ("SwitchedByController", 2), "{name}");
        let pauses = pauses(&test, tenant);
        assert!(pauses.len() == 1 && pauses[0] >= GRACE_PERIOD, "{name}: {pauses:?}");
        let expected = ["none", "InFlight", "Scheduled", "InFlight", "Completed"];
        assert_eq!(course(&test, name), expected, "{name}: the first entry is closed before the second");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_answer_to_the_put_is_no_outcome() {
    let test = at_work("foreign-put").await;
    let cases = [
        ("firewall-403", FaultAction::answer(403, "<html>blocked</html>")),
        ("ingress-404", FaultAction::answer(404, "default backend - 404")),
        ("login-page-200", FaultAction::answer(200, "<html>sign in</html>")),
        ("proxy-401", FaultAction::answer(401, "")),
    ];
    let mut tenants = Vec::new();
    for (name, action) in cases {
        let tenant = customer_with(&test, name, action);
        test.expect_puts(&tenant, 2);
        test.production(name, &tenant, json!({})).await;
        let object = test.until(name, "waits", outcome_is_unknown).await;
        assert_eq!(journal(&object).unwrap().phase, Phase::InFlight, "{name}");
        tenants.push((name, tenant));
    }
    for (name, tenant) in &tenants {
        let object = test.until_within(AFTER_GRACE_PERIOD, name, "is switched", is_switched).await;
        assert_eq!((reason(&object, "Production"), attempts(&object)), ("SwitchedByController", 2), "{name}");
        let pauses = pauses(&test, tenant);
        assert!(pauses.len() == 1 && pauses[0] >= GRACE_PERIOD, "{name}: {pauses:?}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_blocks_other_objects_of_the_tenant() {
    let test = at_work("shared-unknown").await;
    let tenant = customer_with(&test, "Acme GmbH", FaultAction::DropBefore);
    test.expect_puts(&tenant, 2);
    // The older one only observes at first; once it asks as well, it owns the tenant.
    test.tenant_pricing("older", json!({"tenant": {"id": tenant}})).await;
    test.until("older", "is read", |object| has(object, "Ready", "True")).await;
    test.production("younger", &tenant, json!({})).await;
    test.until("younger", "waits", outcome_is_unknown).await;
    test.edit::<TenantPricing>("older", json!({"spec": {"mode": "production"}})).await;
    let object = test.until("older", "waits", outcome_is_unknown).await;
    assert!(
        journal(&object).is_none_or(|journal| journal.phase == Phase::Scheduled),
        "it has announced nothing"
    );
    test.until_within(AFTER_GRACE_PERIOD, "older", "is in production", is_switched).await;
    let is_duplicate = |object: &_| reason(object, "Stalled") == "DuplicateTenant";
    test.until_within(AFTER_GRACE_PERIOD, "younger", "leaves it to the older one", is_duplicate).await;
    let pauses = pauses(&test, &tenant);
    assert!(pauses.len() == 1 && pauses[0] >= GRACE_PERIOD, "{pauses:?}");
    test.finish().await;
}

/// Both are about the same tenant.
#[tokio::test(flavor = "multi_thread")]
async fn two_objects_never_do_a_prewrite_read_at_once() {
    let test = at_work("claimed").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    // Not only one pre-write read, but each.
    let every_prewrite_read = Fault::new(FaultAction::hold()).on(Operation::FetchTenant).tenant(&tenant);
    let held = test.simulator.inject(every_prewrite_read);
    test.production("first", &tenant, json!({})).await;
    test.simulator.wait_for_hits(held, 1).await;
    test.production("second", &tenant, json!({})).await;
    // The second is admitted again and again, each time with a read in a batch, and gets no further.
    let reads = |requests: &[LoggedRequest], operation| {
        requests.iter().filter(|it| it.operation == operation && it.tenants.contains(&tenant)).count()
    };
    test.simulator
        .wait_for_requests(|requests| {
            reads(requests, Operation::FetchTenants) >= 4 || reads(requests, Operation::FetchPricing) >= 2
        })
        .await;
    test.simulator.release(held);
    for name in ["first", "second"] {
        test.until(name, "is in production", is_switched).await;
    }
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

/// The request certainly did not leave, so there is no grace period.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_without_a_connection_is_closed_and_retried() {
    let test = Test::new("refused-connection").await;
    let gateway = Gateway::to(test.simulator.address()).await;
    test.connection("default", json!({"url": gateway.url()})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(gateway.url());
    test.controller_with(&options).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = super::hold_prewrite_read(&test, &tenant);
    test.production("acme", &tenant, json!({})).await;
    test.simulator.wait_for_hits(held, 1).await;
    // Both requests of the pre-write read have their connections; the PUT takes one of its own.
    let is_pricing = |operation| operation == Operation::FetchPricing;
    test.simulator.wait_for_requests(|requests| requests.iter().any(|it| is_pricing(it.operation))).await;
    gateway.close().await;
    test.simulator.release(held);
    let closed = |object: &_| attempts(object) >= 1 && super::phase(object) == Some(Phase::Scheduled);
    let object = test.until("acme", "is closed", closed).await;
    assert_eq!(reason(&object, "Reconciling"), "PlatformUnavailable");
    assert_eq!(test.simulator.puts(&tenant), 0);
    gateway.reopen().await;
    let object = test.until("acme", "is switched", is_switched).await;
    assert!(attempts(&object) >= 2, "{:?}", journal(&object));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_effect_late_is_found_out_and_not_sent_again() {
    let test = at_work("late-effect").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold()));
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "waits", outcome_is_unknown).await;
    test.simulator.release(held);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((reason(&object, "Production"), attempts(&object)), ("SwitchedByController", 1));
    let put = &puts(&test, &tenant)[0];
    assert!(put.took_effect && put.outcome == Some(Outcome::ClientGone), "{put:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_lagged_does_not_delay_the_next_attempt() {
    let test = connected("lagging-watch").await;
    let proxy = test.api_proxy().await;
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    test.controller_with(&options).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.expect_puts(&tenant, 2);
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold()));
    test.simulator.inject(on_put(&tenant, FaultAction::DropBefore));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    // What is written from now on is not shown: reconcile after reconcile sees a stale cache.
    proxy.freeze_watches();
    test.simulator.release(held);
    test.until("acme", "waits", outcome_is_unknown).await;
    let before = test.simulator.reads();
    test.wait_for("it is read nevertheless", 2 * PATIENCE, async || {
        (test.simulator.reads() >= before + 6).then_some(())
    })
    .await;
    proxy.thaw_watches();
    test.until_within(AFTER_GRACE_PERIOD, "acme", "is switched", is_switched).await;
    // The first pause after a failure is at most four seconds.
    let pauses = pauses(&test, &tenant);
    assert!(pauses.len() == 1 && pauses[0] < GRACE_PERIOD + Duration::from_secs(30), "{pauses:?}");
    test.finish().await;
}
