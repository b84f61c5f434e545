//! The switch budget: a limited number in a window, in the order in which they became due.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, PlatformConnection, TenantPricing},
    simulator::{Fault, FaultAction, Operation},
};

use super::{all_until, create, edit_connection, is_in_production, put_order, requests_of};
use crate::harness::{PATIENCE, Test, condition, has, reason};

/// One switch at a time goes through such a connection, so that their order can be seen.
const ONE_AT_A_TIME: u32 = 9;

pub fn is_exhausted(object: &TenantPricing) -> bool {
    reason(object, "Reconciling") == "SwitchBudgetExhausted"
}

pub fn intent_at(object: &TenantPricing) -> Timestamp {
    object.status.as_ref().unwrap().switch.as_ref().unwrap().intent_at.as_ref().unwrap().0
}

/// The object's words about the budget: the message, and when its turn comes.
pub fn said(object: &TenantPricing) -> (String, Timestamp) {
    let message = condition(object, "Reconciling").unwrap().message.clone();
    let (_, next) = message.split_once("Its turn comes at ").expect("it names the time");
    let next = next.split(' ').next().unwrap().parse().expect("an instant");
    (message, next)
}

async fn until_puts(test: &Test, count: usize) {
    test.wait_for(&format!("{count} switches"), 2 * PATIENCE, async || {
        (test.simulator.total_puts() >= count).then_some(())
    })
    .await;
}

/// Restarting the controller or deleting objects frees no place in the budget.
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_three_admits_three_switches() {
    let test = Test::new("budget-three").await;
    let tenants = test.simulator.add_customers(10, "Customer");
    let budget = |count: u32| json!({"switch": {"budget": {"count": count, "window": "1h"}}});
    let mut connection = budget(3);
    connection["requestsPerSecond"] = ONE_AT_A_TIME.into();
    test.connection("default", connection).await;
    let controller = test.controller().await;
    let in_order: Vec<String> = tenants.iter().rev().cloned().collect();
    let mut switched = Vec::new();
    for number in [9, 8, 7] {
        let name = format!("customer-{number}");
        test.production(&name, &tenants[number], json!({})).await;
        switched.push((test.until(&name, "is switched", is_in_production).await, name));
    }
    // A journal has whole seconds. Within one second the name decides.
    let mut used: Vec<_> = switched.iter().map(|(object, name)| (intent_at(object), name.as_str())).collect();
    used.sort();
    let counted = format!("3 counted: {}, {} and {}.", used[0].1, used[1].1, used[2].1);
    // The last of the others by name becomes due first, and is created first. All are created before one is due.
    let last_due = test.simulator.now() + SignedDuration::from_secs(20);
    for (number, tenant) in tenants.iter().enumerate().take(7).rev() {
        let due = last_due - SignedDuration::from_secs(i64::try_from(number).unwrap());
        let spec = json!({"switch": {"notBefore": due.to_string()}});
        test.production(&format!("customer-{number}"), tenant, spec).await;
    }
    for number in 0..7 {
        let object = test.until(&format!("customer-{number}"), "has to wait", is_exhausted).await;
        let (message, next) = said(&object);
        assert!(message.contains("budget (spec.switch.budget) of 3 switches in 1 h is used up"), "{message}");
        assert!(message.contains(&counted), "{message}");
        // Each names its own turn: three go in an hour, and the last by name is the first.
        let ahead = 6 - number;
        let (hours, after) = (i64::try_from(ahead / 3).unwrap() + 1, used[ahead % 3].0);
        let waits = next.duration_since(after);
        let least = SignedDuration::from_hours(hours);
        assert!(waits >= least && waits < least + SignedDuration::from_secs(4 + hours), "{message}");
        assert_eq!(object.status.unwrap().switch.unwrap().phase, Phase::Scheduled);
    }
    assert_eq!(put_order(&test), in_order[..3]);

    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    test.controller().await;
    for number in 0..7 {
        test.reconcile_now(&format!("customer-{number}"), "restarted").await;
    }
    assert_eq!(test.simulator.total_puts(), 3, "a restart does not refill it");
    for number in [7, 8, 9] {
        test.kubectl(&["delete", "tp", &format!("customer-{number}")]).await.success();
    }
    test.reconcile_now("customer-6", "deleted").await;
    assert_eq!(test.simulator.total_puts(), 3, "nor does deleting those that it was spent on");

    edit_connection(&test, budget(6)).await;
    until_puts(&test, 6).await;
    for number in 4..7 {
        test.until(&format!("customer-{number}"), "is switched", is_in_production).await;
    }
    for number in 0..4 {
        test.reconcile_now(&format!("customer-{number}"), "raised").await;
    }
    assert_eq!(put_order(&test), in_order[..6], "first in, first out");
    edit_connection(&test, budget(100)).await;
    all_until(&test, "customer", 7, PATIENCE, "is switched", is_in_production).await;
    assert_eq!(put_order(&test), in_order);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_budget_reopens_when_its_window_has_ended() {
    let test = Test::new("budget-window").await;
    let tenants = test.simulator.add_customers(5, "Customer");
    let budget = json!({"budget": {"count": 2, "window": "1h"}});
    test.connection("default", json!({"requestsPerSecond": ONE_AT_A_TIME, "switch": budget})).await;
    test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    for round in [2, 4] {
        until_puts(&test, round).await;
        let waiting = || {
            let order = put_order(&test);
            let waits = |(_, tenant): &(usize, &String)| !order.contains(tenant);
            tenants.iter().enumerate().filter(waits).map(|(number, _)| number).collect::<Vec<_>>()
        };
        let head = format!("customer-{}", waiting()[0]);
        test.until(&head, "has to wait", is_exhausted).await;
        let last = {
            let mut intents: Vec<Timestamp> = Vec::new();
            for number in (0..5).filter(|number| !waiting().contains(number)) {
                let name = format!("customer-{number}");
                intents.push(intent_at(&test.until(&name, "is switched", is_in_production).await));
            }
            intents.sort();
            intents[intents.len() - 2]
        };
        let window_end = last + SignedDuration::from_secs(3601);
        test.set_time(window_end - SignedDuration::from_secs(6));
        test.reconcile_now(&head, &format!("round-{round}")).await;
        // Nothing else is done: it knows when.
        until_puts(&test, round + 1).await;
        let put = requests_of(&test, Operation::PutPricing);
        assert!(put[round].started >= window_end, "sent at {}, before {window_end}", put[round].started);
    }
    all_until(&test, "customer", 5, PATIENCE, "is switched", is_in_production).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zero_budget_switches_nothing_and_waits_can_be_cancelled() {
    let test = Test::new("budget-none").await;
    let tenants = test.simulator.add_customers(4, "Customer");
    test.connection("default", json!({"switch": {"budget": {"count": 0}}})).await;
    test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    for number in 0..4 {
        let object = test.until(&format!("customer-{number}"), "has to wait", is_exhausted).await;
        let message = &condition(&object, "Reconciling").unwrap().message;
        assert!(message.contains("of 0 switches") && message.contains("until it is raised"), "{message}");
    }
    test.set_time(test.simulator.now() + SignedDuration::from_hours(25));
    for number in 0..4 {
        test.reconcile_now(&format!("customer-{number}"), "tomorrow").await;
    }
    assert_eq!(test.simulator.total_puts(), 0);

    test.edit::<TenantPricing>("customer-0", json!({"spec": {"mode": "trial"}})).await;
    test.edit::<TenantPricing>("customer-1", json!({"spec": {"mode": null}})).await;
    for (name, ready) in [("customer-0", "InSync"), ("customer-1", "Observed")] {
        let cancelled = |object: &TenantPricing| object.status.as_ref().unwrap().switch.is_none();
        let object = test.until(name, "is cancelled", cancelled).await;
        assert_eq!((reason(&object, "Ready"), has(&object, "Ready", "True")), (ready, true));
    }
    test.kubectl(&["delete", "tp", "customer-2"]).await.success();
    edit_connection(&test, json!({"switch": {"budget": {"count": 10}}})).await;
    test.until("customer-3", "is switched", is_in_production).await;
    for name in ["customer-0", "customer-1"] {
        test.reconcile_now(name, "raised").await;
    }
    assert_eq!(put_order(&test), tenants[3..], "those that were cancelled or deleted do not go");
    test.finish().await;
}

/// The read is in flight while its tenant is switched, so it still shows trial.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_begun_before_the_switch_is_no_return_to_trial() {
    let test = Test::new("budget-read").await;
    let tenants = test.simulator.add_customers(1, "Customer");
    test.connection("default", json!({"switch": {"budget": {"count": 0}}})).await;
    test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    test.until("customer-0", "has to wait", is_exhausted).await;
    // What it saw of the tenant in trial is delivered when the switch is done.
    let late = Fault::new(FaultAction::hold_after_effect()).on(Operation::FetchTenants).once();
    let late = test.simulator.inject(late);
    test.request_reconcile("customer-0", "late").await;
    let asked = tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(late, 1)).await;
    assert!(asked.is_ok(), "the object is not read");
    let raised = json!({"spec": {"switch": {"budget": {"count": 1}}}});
    test.edit::<PlatformConnection>("default", raised).await;
    test.until("customer-0", "is switched", is_in_production).await;
    test.simulator.release(late);
    let handled = |object: &TenantPricing| {
        object.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some("late")
    };
    test.until("customer-0", "is read", handled).await;
    let object = test.reconcile_now("customer-0", "afterwards").await;
    assert!(is_in_production(&object), "{object:#?}");
    let unexpected = test.recorded_statuses("customer-0").iter().any(|status| {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|condition| condition["reason"] == "UnexpectedTrial")
    });
    assert!(!unexpected, "{:#?}", test.recorded_statuses("customer-0"));
    test.finish().await;
}

/// Other objects use the budget up before its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_object_reports_an_exhausted_budget() {
    let test = Test::new("budget-position").await;
    let tenants = test.simulator.add_customers(5, "Customer");
    let budget = json!({"budget": {"count": 2, "window": "1h"}});
    test.connection("default", json!({"requestsPerSecond": ONE_AT_A_TIME, "switch": budget})).await;
    test.controller().await;
    // The first takes so long over its pre-write read that the others report that they are not the first.
    let held = test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchPricing).once());
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    let asked = tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await;
    assert!(asked.is_ok(), "no switch begins");
    let behind = |object: &TenantPricing| reason(object, "Reconciling") == "RateLimited";
    let first = requests_of(&test, Operation::FetchPricing)[0].tenants[0].clone();
    let others =
        || (0..5).filter(|number| tenants[*number] != first).map(|number| format!("customer-{number}"));
    for name in others() {
        test.until(&name, "waits for its turn", behind).await;
    }
    test.simulator.release(held);
    until_puts(&test, 2).await;
    let order = put_order(&test);
    for (number, tenant) in tenants.iter().enumerate() {
        let name = format!("customer-{number}");
        if order.contains(tenant) {
            test.until(&name, "is switched", is_in_production).await;
        } else {
            let (message, _) = said(&test.until(&name, "has to wait", is_exhausted).await);
            assert!(message.contains("2 switches in 1 h"), "{message}");
        }
    }
    assert_eq!(test.simulator.total_puts(), 2);
    test.finish().await;
}
