//! The process ends in the middle of a switch, by SIGKILL or by SIGTERM.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, PlatformConnection, SwitchedBy, TenantPricing},
    simulator::{FaultAction, FaultId, Operation, TenantSpec},
};

use super::{
    AFTER_GRACE_PERIOD, GRACE_PERIOD, announced, at_work, attempts, between, connected, customer_with,
    hold_prewrite_read, is_switched, journal, on_put, outcome_is_unknown, phase, puts,
};
use crate::harness::{Controller, PATIENCE, Test, has, reason, until_connection};

/// The longest time between SIGTERM and the end; the reports of the harness take a moment themselves.
const GRACE: Duration = Duration::from_secs(22);

/// A controller whose PUT for `acme` is held at the platform.
async fn with_put_held(name: &str, actions: &[FaultAction]) -> (Test, Controller, String, FaultId) {
    let test = connected(name).await;
    let controller = test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = hold_put(&test, &tenant, actions).await;
    (test, controller, tenant, held)
}

/// Asks for the switch of a tenant, whose PUTs meet these actions, and waits for the first of them.
async fn hold_put(test: &Test, tenant: &str, actions: &[FaultAction]) -> FaultId {
    let faults: Vec<FaultId> =
        actions.iter().map(|action| test.simulator.inject(on_put(tenant, action.clone()))).collect();
    test.production("acme", tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(faults[0], 1)).await.expect("a PUT");
    faults[0]
}

/// Nothing is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_effect_the_outcome_is_read() {
    let (test, controller, tenant, _) =
        with_put_held("killed-after", &[FaultAction::hold_after_effect()]).await;
    controller.kill().await;
    test.controller().await;
    let object = test.until("acme", "is switched", is_switched).await;
    let journal = journal(&object).unwrap();
    let found = (journal.phase, journal.by, journal.attempts);
    assert_eq!(found, (Phase::Completed, Some(SwitchedBy::Controller), 1));
    assert_eq!((test.simulator.puts(&tenant), announced(&test, "acme").len()), (1, 1));
    test.finish().await;
}

/// The minute counts from when the new process saw the open entry.
#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_effect_the_retry_waits_a_minute() {
    let test = connected("killed-before").await;
    let controller = test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    // Created first, and the first by name: it is the older one whether or not both get the same second.
    test.tenant_pricing("aaa", json!({"tenant": {"id": tenant}})).await;
    let held = hold_put(&test, &tenant, &[FaultAction::hold(), FaultAction::DropBefore]).await;
    test.expect_puts(&tenant, 2);
    controller.kill().await;
    test.simulator.release(held);
    // The older object asks now as well; it has to wait, too.
    test.edit::<TenantPricing>("aaa", json!({"spec": {"mode": "production"}})).await;
    let before = test.simulator.requests().len();
    test.controller().await;
    for name in ["acme", "aaa"] {
        test.until(name, "waits", outcome_is_unknown).await;
    }
    for name in ["acme", "aaa"] {
        test.until_within(AFTER_GRACE_PERIOD, name, "is in production", is_switched).await;
    }
    let first_read = test.simulator.requests()[before].started_after;
    let puts = puts(&test, &tenant);
    assert_eq!(puts.len(), 2);
    assert!(between(first_read, puts[1].started_after) >= GRACE_PERIOD, "{puts:?}");
    test.finish().await;
}

/// The request is still in flight when the process is killed.
#[tokio::test(flavor = "multi_thread")]
async fn killed_before_a_late_effect_the_effect_is_found() {
    let (test, controller, tenant, held) = with_put_held("killed-late", &[FaultAction::hold()]).await;
    controller.kill().await;
    test.controller().await;
    test.until("acme", "waits", outcome_is_unknown).await;
    test.simulator.release(held);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((attempts(&object), test.simulator.puts(&tenant)), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_during_a_put_it_stores_the_outcome() {
    let (test, controller, tenant, held) = with_put_held("ended-during", &[FaultAction::hold()]).await;
    controller.terminate().await;
    test.wait_for("the process has heard", PATIENCE, async || {
        controller.log().contains("shutting down").then_some(())
    })
    .await;
    assert_eq!(controller.exit_code().await, None, "it waits for the request");
    test.simulator.release(held);
    assert_eq!(controller.wait(GRACE).await, Some(0));
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!(phase(&object), Some(Phase::Completed), "no other process was needed");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

/// The next process resolves the outcome.
#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_during_a_put_without_answer_it_ends_in_time() {
    let (test, controller, tenant, held) = with_put_held("ended-silent", &[FaultAction::hold()]).await;
    controller.terminate().await;
    assert_eq!(controller.wait(GRACE).await, Some(0));
    let object = test.until("acme", "waits", outcome_is_unknown).await;
    assert_eq!(phase(&object), Some(Phase::InFlight));
    test.controller().await;
    test.simulator.release(held);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((attempts(&object), test.simulator.puts(&tenant)), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_with_a_silent_platform_it_ends_in_time() {
    let (test, controller, tenant, _) = with_put_held("ended-mute", &[FaultAction::hold()]).await;
    test.simulator.inject(tenant_pricing_controller::simulator::Fault::new(FaultAction::hold()));
    controller.terminate().await;
    assert_eq!(controller.wait(GRACE).await, Some(0));
    let object = test.until("acme", "is open", |object| phase(object) == Some(Phase::InFlight)).await;
    assert_eq!((attempts(&object), test.simulator.puts(&tenant)), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_before_the_announcement_nothing_is_begun() {
    let test = connected("ended-before").await;
    let controller = test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = hold_prewrite_read(&test, &tenant);
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a pre-write read");
    controller.terminate().await;
    test.wait_for("the process has heard", PATIENCE, async || {
        controller.log().contains("shutting down").then_some(())
    })
    .await;
    test.simulator.release(held);
    assert_eq!(controller.wait(GRACE).await, Some(0));
    assert_eq!((test.simulator.puts(&tenant), announced(&test, "acme").len()), (0, 0));
    // The next one does it.
    test.controller().await;
    test.until("acme", "is switched", is_switched).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_a_switch_is_sent_once() {
    let test = at_work("killed-anywhere").await;
    let steps = [Operation::FetchTenants, Operation::FetchTenant, Operation::FetchPricing];
    for (number, step) in steps.into_iter().enumerate() {
        let name = format!("customer-{number}");
        let tenant = test.simulator.add_tenant(TenantSpec::customer(&name));
        let fault = tenant_pricing_controller::simulator::Fault::new(FaultAction::hold());
        let held = test.simulator.inject(fault.on(step).tenant(&tenant).once());
        test.production(&name, &tenant, json!({})).await;
        tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("the step");
        test.controllers().last().unwrap().kill().await;
        test.simulator.release(held);
        test.controller().await;
        let object = test.until(&name, "is switched", |object| has(object, "Production", "True")).await;
        assert_eq!((attempts(&object), test.simulator.puts(&tenant)), (1, 1), "killed at {step:?}");
    }
    test.finish().await;
}

/// No attempt begins before the open attempts of all namespaces are known.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_attempts_wait_for_all_open_ones() {
    let (test, other) = tokio::join!(connected("started-here"), Test::new("started-there"));
    test.edit::<PlatformConnection>("default", json!({"spec": {"allowedNamespaces": {"from": "All"}}})).await;
    let proxy = test.api_proxy().await;
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    options.namespaces.insert(0, other.namespace.clone());
    let controller = test.controller_with(&options).await;
    let tenant = customer_with(&test, "Acme GmbH", FaultAction::DropBefore);
    let through = json!({"connectionRef": {"name": "default", "namespace": test.namespace}});
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "waits", outcome_is_unknown).await;
    controller.kill().await;
    proxy.hold_list(Some(&test.namespace));
    other.production("acme", &tenant, through.clone()).await;
    let seen = test.simulator.add_tenant(TenantSpec::customer("Seen GmbH"));
    let spec = json!({"tenant": {"id": seen}, "connectionRef": through["connectionRef"]});
    other.tenant_pricing("seen", spec).await;
    test.controller_with(&options).await;
    // Its connection is checked at once; a switch would follow within milliseconds.
    let before = test.simulator.requests().len();
    test.wait_for("the connection is tried", PATIENCE, async || {
        let requests = test.simulator.requests();
        requests[before..].iter().any(|request| request.operation == Operation::FetchClient).then_some(())
    })
    .await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    // Reads go on meanwhile.
    other.until("seen", "is read", |object| has(object, "Ready", "True")).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // the silence is what is tested
    assert_eq!(test.simulator.puts(&tenant), 1);
    proxy.hold_list(None);
    // The older one owns the tenant, and its outcome is not known yet.
    other.until("acme", "waits", |object| reason(object, "Stalled") == "DuplicateTenant").await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
    other.finish().await;
}
