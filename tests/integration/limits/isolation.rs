//! One failing tenant affects no other, and slowness is no failure.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, LoggedRequest, Operation};

use super::{all_until, create, is_in_production, is_ready, requests_of};
use crate::harness::{PATIENCE, Test, has, reason, until_connection};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_keeps_failing_slows_no_other() {
    let test = Test::new("bad-tenant").await;
    let tenants = test.simulator.add_customers(102, "Customer");
    let bad = &tenants[0];
    // No batch has it, and alone it makes the platform think for as long as it likes and then fail.
    test.simulator.inject(Fault::new(FaultAction::OmitTenant).tenant(bad));
    let alone = |action| Fault::new(action).on(Operation::FetchTenant).tenant(bad);
    let held = test.simulator.inject(alone(FaultAction::hold()));
    test.simulator.inject(alone(FaultAction::error(500, 1000)));
    test.connection("default", json!({})).await;
    create(&test, "bad", &tenants[..1], &json!({"mode": "trial"})).await;
    create(&test, "good", &tenants[1..101], &json!({"mode": "trial"})).await;
    test.controller().await;
    let asked = tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await;
    assert!(asked.is_ok(), "a tenant that is missing in a batch is read alone");
    // It is in flight, and stays so until it is released below: the others do not wait for it.
    all_until(&test, "good", 100, PATIENCE, "is ready", is_ready).await;
    test.reconcile_now("good-7", "in-the-meantime").await;
    create(&test, "new", &tenants[101..], &json!({"mode": "production"})).await;
    all_until(&test, "new", 1, PATIENCE, "is switched", is_in_production).await;
    let alone = |test: &Test| {
        let requests = requests_of(test, Operation::FetchTenant).into_iter();
        requests.filter(|request| request.tenants.contains(bad)).collect::<Vec<LoggedRequest>>()
    };
    assert!(alone(&test).iter().all(|request| request.outcome.is_none()), "it was still held");
    test.simulator.release(held);
    let object = test.until("bad-0", "reports it", |object| has(object, "Reconciling", "True")).await;
    assert_eq!(reason(&object, "Reconciling"), "PlatformUnavailable");
    test.wait_for("it is tried again", 2 * PATIENCE, async || (alone(&test).len() >= 4).then_some(())).await;
    // Its failures, however many, neither open the breaker for the others nor cause another read of them.
    let pauses: Vec<_> = alone(&test)
        .windows(2)
        .map(|pair| pair[1].started_after.saturating_sub(pair[0].finished_after.unwrap_or_default()))
        .collect();
    assert!(pauses.iter().all(|pause| pause.as_millis() >= 900), "{pauses:?}");
    test.reconcile_now("good-8", "after-all-that").await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let batches = requests_of(&test, Operation::FetchTenants);
    let with_good = batches.iter().filter(|request| request.tenants.contains(&tenants[50])).count();
    assert!(with_good <= 2, "a good one was read {with_good} times");
    test.simulator.clear_faults();
    all_until(&test, "bad", 1, 2 * PATIENCE, "is ready", is_ready).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_takes_its_time_is_believed_when_it_answers() {
    let test = Test::new("slow-platform").await;
    let tenants = test.simulator.add_customers(20, "Customer");
    // Longer than what was seen may lie about before it is used.
    let slow = FaultAction::delay(Duration::from_secs(7));
    test.simulator.inject(Fault::new(slow).on(Operation::FetchTenants));
    test.connection("default", json!({})).await;
    create(&test, "customer", &tenants, &json!({"mode": "trial"})).await;
    test.controller().await;
    all_until(&test, "customer", 20, PATIENCE, "is ready", is_ready).await;
    let batches = requests_of(&test, Operation::FetchTenants).len();
    assert!(batches <= 3, "{batches} requests for 20 tenants");
    test.finish().await;
}
