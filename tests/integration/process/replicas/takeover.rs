//! One replica ends, and the other goes on.

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy},
    simulator::{Fault, FaultAction, FaultId, Operation, TenantSpec},
};

use super::{LEADS, TAKEOVER, holder, identity, lease, two, until_leading, until_said};
use crate::harness::{Controller, PATIENCE, Test, has, reason};

const RELEASED: &str = "released the lease";

/// When a controller said something that begins like this, to the microsecond, by its log.
fn time_of(controller: &Controller, message: &str) -> jiff::Timestamp {
    super::saying(controller, message)[0]["timestamp"].as_str().unwrap().parse().unwrap()
}

/// A leader whose PUT for `acme` is held at the platform, and a standby.
async fn with_put_held(name: &str) -> (Test, [Controller; 2], String, FaultId) {
    let test = Test::new(name).await;
    test.connection("default", json!({})).await;
    let (leader, standby) = two(&test).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let fault = Fault::new(FaultAction::hold()).on(Operation::PutPricing).tenant(&tenant).once();
    let held = test.simulator.inject(fault);
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    (test, [leader, standby], tenant, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_the_put_the_next_leader_reads_the_outcome() {
    let (test, [leader, standby], tenant, held) = with_put_held("takeover-killed").await;
    leader.kill().await;
    test.simulator.release(held);
    until_leading(&test, &standby).await;
    let object =
        test.until_within(TAKEOVER, "acme", "is switched", |object| has(object, "Production", "True")).await;
    let journal = object.status.unwrap().switch.unwrap();
    let found = (journal.phase, journal.by, journal.attempts);
    assert_eq!(found, (Phase::Completed, Some(SwitchedBy::Controller), 1));
    assert_eq!(lease(&test).await.unwrap().lease_transitions, Some(1));
    // It goes on with what comes.
    let next = test.simulator.add_tenant(TenantSpec::customer("Bolt & Sons"));
    test.production("bolt", &next, json!({})).await;
    test.until("bolt", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!((test.simulator.puts(&tenant), test.simulator.puts(&next)), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_it_releases_the_lease_for_the_next() {
    let test = Test::new("takeover-term").await;
    test.connection("default", json!({})).await;
    let (leader, standby) = two(&test).await;
    leader.terminate().await;
    assert_eq!(leader.wait(PATIENCE).await, Some(0));
    assert_eq!(super::said(&leader, RELEASED), 1, "{}", leader.log());
    until_leading(&test, &standby).await;
    // It did not have to wait until the lease ran out: it was heard of.
    let taken = time_of(&standby, LEADS).duration_since(time_of(&leader, RELEASED));
    assert!(taken < jiff::SignedDuration::from_secs(14), "as if it had not been given up: {taken}");
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_a_connection_check_is_not_waited_for() {
    let test = Test::new("takeover-tried").await;
    test.connection("default", json!({})).await;
    let held = test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchClient));
    let leader = test.controller().await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a try");
    leader.terminate().await;
    assert_eq!(leader.wait(PATIENCE).await, Some(0));
    let took = time_of(&leader, RELEASED).duration_since(time_of(&leader, "shutting down"));
    assert!(took < jiff::SignedDuration::from_secs(15), "as long as a read may take: {took}");
    test.finish().await;
}

/// It renews its lease until the outcome is stored.
#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_during_a_put_it_renews_until_the_outcome() {
    let (test, [leader, standby], tenant, held) = with_put_held("takeover-during").await;
    leader.terminate().await;
    until_said(&test, &leader, "shutting down", 1).await;
    let renewed = lease(&test).await.unwrap().renew_time;
    test.wait_for("the lease is renewed nevertheless", PATIENCE, async || {
        lease(&test).await.filter(|lease| lease.renew_time != renewed)
    })
    .await;
    assert_eq!(Some(holder(&test).await), identity(&leader));
    assert_eq!(leader.exit_code().await, None, "it waits for the request");
    test.simulator.release(held);
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    assert_eq!(leader.wait(PATIENCE).await, Some(0));
    until_leading(&test, &standby).await;
    // No stored status shows that the outcome had to be found out.
    let reasons = test.recorded_statuses("acme");
    assert!(!reasons.iter().any(|status| status.to_string().contains("OutcomeUnknown")), "{reasons:#?}");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_that_come_and_go_exactly_one_acts_at_a_time() {
    let test = Test::new("takeover-three").await;
    test.connection("default", json!({})).await;
    let (first, second) = two(&test).await;
    let third = test.controller().await;
    for (round, ended) in [&first, &second, &third].into_iter().enumerate() {
        let name = format!("customer-{round}");
        let tenant = test.simulator.add_tenant(TenantSpec::customer(&name));
        test.production(&name, &tenant, json!({})).await;
        test.until_within(TAKEOVER, &name, "is switched", |object| has(object, "Production", "True")).await;
        assert_eq!(test.simulator.puts(&tenant), 1);
        // The current leader ends, so that each round has another leader.
        let now = holder(&test).await;
        let leader = [&first, &second, &third].into_iter().find(|one| identity(one) == Some(now.clone()));
        let leader = leader.unwrap_or(ended);
        leader.terminate().await;
        assert_eq!(leader.wait(PATIENCE).await, Some(0));
    }
    assert_eq!(lease(&test).await.unwrap().lease_transitions, Some(2));
    test.finish().await;
}
