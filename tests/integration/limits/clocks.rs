//! The budget beside clocks that are wrong, and the time that it names.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{
    budget::{intent_at, is_exhausted, said},
    is_in_production,
};
use crate::harness::{PATIENCE, Test};

/// A test with a connection of one switch in a window, and a controller at work.
async fn with_window(name: &str, window: &str) -> Test {
    let test = Test::new(name).await;
    let budget = json!({"budget": {"count": 1, "window": window}});
    test.connection("default", json!({"switch": budget})).await;
    test.controller().await;
    test
}

/// A user asks for the switch of a new tenant.
async fn ask_for(test: &Test, name: &str) -> String {
    let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
    test.production(name, &tenant, json!({})).await;
    tenant
}

fn names_a_time_after(instant: Timestamp) -> impl Fn(&TenantPricing) -> bool {
    move |object| is_exhausted(object) && said(object).1 > instant
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_does_not_open_the_budget() {
    let test = with_window("clock-ahead", "1h").await;
    let right = || test.simulator.now();
    ask_for(&test, "customer-1").await;
    test.until("customer-1", "is switched", is_in_production).await;
    ask_for(&test, "customer-2").await;
    test.until("customer-2", "has to wait", is_exhausted).await;
    let ahead = right() + SignedDuration::from_secs(3700);
    test.set_controller_time(ahead);
    // What moves the queue: a user asks for a reconcile, and another object becomes due.
    test.reconcile_now("customer-2", "ahead").await;
    ask_for(&test, "customer-3").await;
    test.until("customer-3", "has to wait", is_exhausted).await;
    // The time that was named has passed by the controller's clock: another one is named, without anything being done.
    test.until("customer-2", "names a time ahead of that clock", names_a_time_after(ahead)).await;
    assert_eq!(test.simulator.total_puts(), 1);
    test.set_controller_time(right());
    test.reconcile_now("customer-2", "back").await;
    ask_for(&test, "customer-4").await;
    test.until("customer-4", "has to wait", is_exhausted).await;
    assert_eq!(test.simulator.total_puts(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_a_year_ahead_shuts_the_budget_for_one_window() {
    let test = with_window("clock-year", "1m").await;
    let right = || test.simulator.now();
    test.set_controller_time(right() + SignedDuration::from_hours(365 * 24));
    ask_for(&test, "customer-1").await;
    let one = test.until("customer-1", "is switched", is_in_production).await;
    assert!(intent_at(&one) > right() + SignedDuration::from_hours(364 * 24));
    test.set_controller_time(right());
    ask_for(&test, "customer-2").await;
    let two = test.until("customer-2", "has to wait", is_exhausted).await;
    let (message, next) = said(&two);
    assert!(next < right() + SignedDuration::from_mins(2), "{message}");
    test.until_within(4 * PATIENCE, "customer-2", "is switched", is_in_production).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_that_waits_is_named_its_own_turn_once() {
    let test = with_window("clock-turns", "1h").await;
    ask_for(&test, "customer-1").await;
    let one = test.until("customer-1", "is switched", is_in_production).await;
    let mut before = intent_at(&one);
    for name in ["customer-2", "customer-3", "customer-4"] {
        ask_for(&test, name).await;
        let (message, turn) = said(&test.until(name, "has to wait", is_exhausted).await);
        let later = turn.duration_since(before);
        let (hour, slack) = (SignedDuration::from_hours(1), SignedDuration::from_secs(4));
        assert!(later >= hour && later < hour + slack, "{message}");
        before = turn;
    }
    let statuses = test.recorded_statuses("customer-4").len();
    let (_, turn) = said(&test.until("customer-2", "has to wait", is_exhausted).await);
    test.set_time(turn + SignedDuration::from_secs(2));
    test.reconcile_now("customer-3", "later").await;
    test.until("customer-2", "is switched", is_in_production).await;
    assert_eq!(test.recorded_statuses("customer-4").len(), statuses, "its time is still ahead");
    test.finish().await;
}
