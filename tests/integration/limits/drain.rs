//! The first of a month: many switches are due in the same second, and drain within rate limit and budget.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{LoggedRequest, Operation},
};

use super::{all_until, assert_pace, create, is_in_production, is_ready, put_order, requests_of};
use crate::harness::{Controller, PATIENCE, Test, reason};

const IN_NOVEMBER: &str = "2026-11-23T12:00:00Z";
const DECEMBER: &str = "2026-12-01T00:00:00Z";

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

fn is_scheduled(object: &TenantPricing) -> bool {
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    let scheduled_for = journal.and_then(|journal| journal.scheduled_for.as_ref());
    reason(object, "Ready") == "SwitchScheduled"
        && scheduled_for.is_some_and(|instant| instant.0 == at(DECEMBER))
}

/// How many switches are scheduled for December before the controller has ended.
async fn scheduled(name: &str, count: usize, connection: Value) -> (Test, Vec<String>) {
    let test = Test::new(name).await;
    test.set_time(at(IN_NOVEMBER));
    let tenants = test.simulator.add_customers(count, "Customer");
    test.connection("default", connection).await;
    let controller = test.controller().await;
    let spec = json!({"mode": "production", "switch": {"at": "MonthStart"}});
    create(&test, "customer", &tenants, &spec).await;
    all_until(&test, "customer", count, PATIENCE, "is scheduled", is_scheduled).await;
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    (test, tenants)
}

/// All of the switches are due in the same second.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_overtakes_a_hundred_switches_that_keep_the_pace() {
    const RATE: u32 = 20;
    let connection = json!({"requestsPerSecond": RATE, "switch": {"budget": {"count": 1000}}});
    let (test, tenants) = scheduled("drain", 100, connection).await;
    let bystander = test.simulator.add_customers(1, "Bystander").pop().unwrap();
    test.simulator.clear_log();
    // Started before midnight, it waits for that without help.
    test.set_time(at(DECEMBER) - SignedDuration::from_secs(10));
    test.controller().await;
    test.tenant_pricing("bystander", json!({"tenant": {"id": bystander}, "mode": "trial"})).await;
    test.until("bystander", "is seen", is_ready).await;
    let puts = async |count: usize| {
        test.wait_for(&format!("{count} switches"), 2 * PATIENCE, async || {
            (test.simulator.total_puts() >= count).then_some(())
        })
        .await;
    };
    let mut reads = Vec::new();
    for count in [10, 30, 50] {
        puts(count).await;
        let sequence = last_sequence(&test);
        test.reconcile_now("bystander", &format!("after-{count}")).await;
        let read = requests_of(&test, Operation::FetchTenants)
            .into_iter()
            .find(|request| request.sequence > sequence && request.tenants.contains(&bystander))
            .expect("a read");
        reads.push(read.sequence);
    }
    all_until(&test, "customer", 100, 3 * PATIENCE, "is switched", is_in_production).await;
    let requests = test.simulator.requests();
    assert_pace(&requests, RATE, 0);
    let puts = requests_of(&test, Operation::PutPricing);
    let behind = puts.iter().filter(|put| put.sequence > reads[2]).count();
    assert!(behind >= 20, "the last edit was read with {behind} switches to go");
    assert!(puts.iter().all(|put| put.started >= at(DECEMBER)), "not before the month has begun");
    assert!(tenants.iter().all(|tenant| test.simulator.puts(tenant) == 1), "each exactly once");
    assert_eq!((test.simulator.total_puts(), test.simulator.effective_puts()), (100, 100));
    assert_eq!(test.simulator.tokens(), 1);
    test.finish().await;
}

fn last_sequence(test: &Test) -> u64 {
    test.simulator.requests().last().map_or(0, |request: &LoggedRequest| request.sequence)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_budget_delays_on_the_first_stays_due() {
    let budget = json!({"budget": {"count": 2, "window": "1h"}});
    let (test, tenants) =
        scheduled("drain-later", 6, json!({"requestsPerSecond": 9, "switch": budget})).await;
    for (instant, switched) in
        [("2026-12-01T00:00:10Z", 2), ("2026-12-15T12:00:00Z", 4), ("2026-12-30T23:00:00Z", 6)]
    {
        test.set_time(at(instant));
        let controller = test.controller().await;
        test.wait_for(&format!("{switched} switches by {instant}"), PATIENCE, async || {
            (test.simulator.total_puts() >= switched).then_some(())
        })
        .await;
        let order = put_order(&test);
        for (number, tenant) in tenants.iter().enumerate() {
            let name = format!("customer-{number}");
            let settled = |object: &TenantPricing| {
                let waits = reason(object, "Reconciling") == "SwitchBudgetExhausted";
                if order.contains(tenant) { is_in_production(object) } else { waits }
            };
            let object = test.until(&name, "is switched, or waits", settled).await;
            let journal = object.status.unwrap().switch.unwrap();
            assert_eq!(journal.scheduled_for.map(|instant| instant.0), Some(at(DECEMBER)), "{name}");
        }
        assert_eq!(test.simulator.total_puts(), switched, "no more than the budget");
        end(&controller).await;
    }
    test.finish().await;
}

async fn end(controller: &Controller) {
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_shows_the_clock_skew() {
    let test = Test::new("drain-clocks").await;
    let tenants = test.simulator.add_customers(1, "Customer");
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "trial"})).await;
    all_until(&test, "customer", 1, PATIENCE, "is ready", is_ready).await;
    let series = format!("tenantpricing_clock_skew_seconds{{connection=\"{}/default\"}} ", test.namespace);
    for ahead in [0_i64, 120, -45] {
        test.set_controller_time(test.simulator.now() + SignedDuration::from_secs(ahead));
        test.reconcile_now("customer-0", &format!("ahead-{ahead}")).await;
        let what = format!("the metric shows that the controller is {ahead} s ahead");
        test.wait_for(&what, PATIENCE, async || {
            let (_, _, exposition) = controller.ask_admin("/metrics").await?;
            let value = exposition.lines().find_map(|line| line.strip_prefix(&series))?;
            let apart: f64 = value.parse().ok()?;
            // A `Date` and the test's clock file have whole seconds.
            ((apart - f64::from(i32::try_from(ahead).unwrap())).abs() <= 3.0).then_some(())
        })
        .await;
    }
    // No answer confirms the last value any more, so that its alert must end.
    test.edit::<PlatformConnection>("default", json!({"spec": {"suspend": true}})).await;
    test.wait_for("a suspended connection has no clock skew", PATIENCE, async || {
        let (_, _, exposition) = controller.ask_admin("/metrics").await?;
        (!exposition.contains(&series)).then_some(())
    })
    .await;
    test.finish().await;
}
