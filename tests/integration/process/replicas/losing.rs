//! A leader that loses the lease, and may not know.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::Phase,
    simulator::{Fault, FaultAction, Operation, TenantSpec},
};

use super::{LEADS_NO_LONGER, STANDS_BY, TAKEOVER, until_leading, until_ready, until_said};
use crate::harness::{Controller, PATIENCE, Test, WriteFault, has};

/// After an outcome that is not known no PUT leaves for 60 s.
const AFTER_GRACE_PERIOD: Duration = Duration::from_secs(140);

fn phase(object: &tenant_pricing_controller::api::TenantPricing) -> Option<Phase> {
    Some(object.status.as_ref()?.switch.as_ref()?.phase)
}

/// How many requests a controller has sent, by its own account.
fn sent(controller: &Controller) -> usize {
    controller.log_entries().iter().filter(|entry| entry["sent"].is_string()).count()
}

/// A leader behind a proxy of its own, and a standby that reaches the API server directly.
async fn one_behind_a_proxy(test: &Test) -> (crate::harness::ApiProxy, Controller, Controller) {
    let proxy = test.api_proxy().await;
    let leader = test.controller_with(&test.controller_options().through(proxy.kubeconfig())).await;
    until_leading(test, &leader).await;
    let standby = test.controller().await;
    until_said(test, &standby, STANDS_BY, 1).await;
    until_ready(test, &standby).await;
    (proxy, leader, standby)
}

/// The process stands still between the announcement and the request.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_after_the_announcement_it_sends_nothing() {
    let test = Test::new("stopped").await;
    test.connection("default", json!({})).await;
    let (proxy, leader, standby) = one_behind_a_proxy(&test).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    // The answer to the announcement is on its way when the process is stopped, and there when it goes on: in time,
    // as far as the process knows without reading its clock.
    proxy.at_next_status_write("acme", WriteFault::DelayAnswer(Duration::from_secs(3)));
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is announced", |object| phase(object) == Some(Phase::InFlight)).await;
    leader.signal("STOP").await;
    until_leading(&test, &standby).await;
    let reason = |object: &_| crate::harness::reason(object, "Reconciling") == "OutcomeUnknown";
    test.until_within(TAKEOVER, "acme", "is found open", reason).await;
    leader.signal("CONT").await;
    until_said(&test, &leader, LEADS_NO_LONGER, 1).await;
    // It knows that nothing left, and records that; or the new leader finds it out after a minute.
    test.until_within(AFTER_GRACE_PERIOD, "acme", "is switched", |object| has(object, "Production", "True"))
        .await;
    let attempts = test.recorded_statuses("acme");
    assert_eq!(test.simulator.puts(&tenant), 1, "the one that was stopped sent nothing: {attempts:#?}");
    assert_eq!(sent(&leader), 0, "the PUT was the new leader's");
    test.finish().await;
}

/// It stops its work, keeps running, and becomes a standby.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_the_api_server_stands_by_again() {
    let test = Test::new("cut-off").await;
    test.connection("default", json!({})).await;
    let (proxy, leader, standby) = one_behind_a_proxy(&test).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let hold = Fault::new(FaultAction::hold()).on(Operation::PutPricing).tenant(&tenant).once();
    let on_hold = test.simulator.inject(hold);
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(on_hold, 1)).await.expect("a PUT");
    proxy.away(true);
    test.simulator.release(on_hold);
    until_said(&test, &leader, LEADS_NO_LONGER, 1).await;
    until_leading(&test, &standby).await;
    test.until_within(TAKEOVER, "acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(leader.exit_code().await, None, "it lives on");
    let of_connections = ["clock_skew_seconds{", "connection_ready{", "switch_budget_left{"]
        .map(|name| format!("tenantpricing_{name}"));
    for (controller, expected) in [(&standby, 3), (&leader, 0)] {
        test.wait_for("only the leader shows the state of connections", PATIENCE, async || {
            let (_, _, exposition) = controller.ask_admin("/metrics").await?;
            let shown = of_connections.iter().filter(|series| exposition.contains(*series)).count();
            (shown == expected).then_some(())
        })
        .await;
    }
    // What comes now is the other one's.
    let next = test.simulator.add_tenant(TenantSpec::customer("Bolt & Sons"));
    test.production("bolt", &next, json!({})).await;
    test.until("bolt", "is switched", |object| has(object, "Production", "True")).await;
    // It comes back, and leads again when its turn comes.
    proxy.away(false);
    standby.terminate().await;
    assert_eq!(standby.wait(PATIENCE).await, Some(0));
    until_said(&test, &leader, super::LEADS, 2).await;
    let last = test.simulator.add_tenant(TenantSpec::customer("Cedar Ltd"));
    test.production("cedar", &last, json!({})).await;
    test.until_within(TAKEOVER, "cedar", "is switched", |object| has(object, "Production", "True")).await;
    for tenant in [&tenant, &next, &last] {
        assert_eq!(test.simulator.puts(tenant), 1);
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_for_a_minute_a_leader_goes_on_as_a_standby() {
    let test = Test::new("stopped-idle").await;
    test.connection("default", json!({})).await;
    let (leader, standby) = super::two(&test).await;
    leader.signal("STOP").await;
    until_leading(&test, &standby).await;
    let tenants = test.simulator.add_customers(10, "Customer");
    for (number, tenant) in tenants.iter().enumerate() {
        test.production(&format!("customer-{number}"), tenant, json!({})).await;
    }
    // Its watch shows all of them at once, before it can have read the lease.
    leader.signal("CONT").await;
    for number in 0..tenants.len() {
        let name = format!("customer-{number}");
        test.until_within(TAKEOVER, &name, "is switched", |object| has(object, "Production", "True")).await;
    }
    until_said(&test, &leader, LEADS_NO_LONGER, 1).await;
    for tenant in &tenants {
        assert_eq!(test.simulator.puts(tenant), 1);
    }
    assert_eq!(sent(&leader), 0, "{}", leader.log());
    test.finish().await;
}

/// It begins no work that could end after its lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_begins_nothing_too_late() {
    let test = Test::new("unrenewed").await;
    test.connection("default", json!({})).await;
    let (proxy, leader, _standby) = one_behind_a_proxy(&test).await;
    proxy.lose_leases(true);
    // Of the fifteen seconds the request may take eight, and two are kept free. It leads for ten nevertheless.
    tokio::time::sleep(Duration::from_secs(6)).await; // the lease's age is what is tested
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.production("acme", &tenant, json!({})).await;
    test.until_within(TAKEOVER, "acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(sent(&leader), 0, "{}", leader.log());
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

/// The announcement was in time. The lease became too old afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_announced_switch_is_not_sent_with_too_old_a_lease() {
    let test = Test::new("unrenewed-later").await;
    test.connection("default", json!({})).await;
    let (proxy, leader, _standby) = one_behind_a_proxy(&test).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    // The answer to the announcement is late, but comes within the five seconds in which the request may leave.
    proxy.at_next_status_write("acme", WriteFault::DelayAnswer(Duration::from_millis(4500)));
    proxy.lose_leases(true);
    tokio::time::sleep(Duration::from_secs(2)).await; // the lease's age is what is tested
    test.production("acme", &tenant, json!({})).await;
    test.until_within(AFTER_GRACE_PERIOD, "acme", "is switched", |object| has(object, "Production", "True"))
        .await;
    assert_eq!(sent(&leader), 0, "{}", leader.log());
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}
