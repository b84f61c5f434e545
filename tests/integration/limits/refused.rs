//! Attempts without effect give their place in the budget back, and their retries delay no other tenant.

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::{Fault, FaultAction, Operation, TenantSpec},
};

use super::{budget::is_exhausted, create, is_in_production, put_order};
use crate::harness::{PATIENCE, Test, condition, has, reason};

/// More retries than any of these tests lasts.
const ANY_NUMBER: usize = 1000;

fn is_refused(object: &TenantPricing) -> bool {
    has(object, "Stalled", "True")
}

fn phase_and_attempts(object: &TenantPricing) -> (Phase, u32) {
    let journal = object.status.as_ref().unwrap().switch.as_ref().unwrap();
    (journal.phase, journal.attempts)
}

/// A test with a connection of this budget in an hour, whose poll interval is much shorter.
async fn with_budget(name: &str, count: u32) -> Test {
    let test = Test::new(name).await;
    let budget = json!({"budget": {"count": count, "window": "1h"}});
    test.connection("default", json!({"pollInterval": "10s", "switch": budget})).await;
    test
}

/// A customer below a parent that is disabled.
fn orphan(test: &Test, name: &str) -> String {
    let mut spec = TenantSpec::customer(name);
    spec.parent_disabled = true;
    let tenant = test.simulator.add_tenant(spec);
    test.expect_puts(&tenant, ANY_NUMBER);
    tenant
}

/// A customer whose every PUT the platform refuses.
fn refused_with(test: &Test, name: &str, action: FaultAction) -> String {
    let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
    test.simulator.inject(Fault::new(action).on(Operation::PutPricing).tenant(&tenant));
    test.expect_puts(&tenant, ANY_NUMBER);
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_tenant_keeps_no_other_from_its_turn() {
    let test = with_budget("refused-one", 1).await;
    test.controller().await;
    let orphan = orphan(&test, "Orphan");
    let good = test.simulator.add_tenant(TenantSpec::customer("Good"));
    test.production("orphan", &orphan, json!({})).await;
    let object = test.until("orphan", "is refused", is_refused).await;
    assert_eq!(reason(&object, "Stalled"), "PlatformRefused");
    test.production("good", &good, json!({})).await;
    test.until("good", "is switched", is_in_production).await;
    // Now the budget is used up: the retry of the refused one waits like any other, and names whom it waits for.
    let object = test.until("orphan", "has to wait", is_exhausted).await;
    let message = &condition(&object, "Reconciling").unwrap().message;
    assert!(message.contains("1 counted: good. Its turn comes at "), "{message}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_refused_tenants_as_the_budget_counts_use_nothing_up() {
    let test = with_budget("refused-five", 5).await;
    let controller = test.controller().await;
    let refused = [
        orphan(&test, "Orphan 1"),
        orphan(&test, "Orphan 2"),
        refused_with(&test, "Rules", FaultAction::error(400, 1027)),
        refused_with(&test, "Branch", FaultAction::error(403, 1002)),
        refused_with(&test, "Other", FaultAction::error(400, 4711)),
    ];
    create(&test, "refused", &refused, &json!({"mode": "production"})).await;
    for number in 0..5 {
        let object = test.until(&format!("refused-{number}"), "is refused", is_refused).await;
        assert_eq!(phase_and_attempts(&object), (Phase::Scheduled, 1));
    }
    // The store shows it to another process as well.
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    test.controller().await;
    let good = test.simulator.add_customers(5, "Good");
    create(&test, "good", &good, &json!({"mode": "production"})).await;
    for number in 0..5 {
        test.until(&format!("good-{number}"), "is switched", is_in_production).await;
    }
    // Five took effect, so the budget is used up for everyone.
    let sixth = test.simulator.add_tenant(TenantSpec::customer("Sixth"));
    test.production("sixth", &sixth, json!({})).await;
    test.until("sixth", "has to wait", is_exhausted).await;
    assert_eq!(test.simulator.puts(&sixth), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_one_that_is_accepted_later_is_charged_once() {
    let test = with_budget("refused-later", 2).await;
    test.controller().await;
    let tenants = test.simulator.add_customers(3, "Customer");
    let refusal = Fault::new(FaultAction::error(400, 1027)).on(Operation::PutPricing).tenant(&tenants[0]);
    test.simulator.inject(refusal.once());
    test.expect_puts(&tenants[0], 2);
    test.production("customer-0", &tenants[0], json!({})).await;
    test.until("customer-0", "is refused", is_refused).await;
    test.request_reconcile("customer-0", "mended").await;
    let object = test.until("customer-0", "is switched", is_in_production).await;
    assert_eq!(phase_and_attempts(&object), (Phase::Completed, 2));
    test.production("customer-1", &tenants[1], json!({})).await;
    test.until("customer-1", "is switched", is_in_production).await;
    test.production("customer-2", &tenants[2], json!({})).await;
    let object = test.until("customer-2", "has to wait", is_exhausted).await;
    let message = &condition(&object, "Reconciling").unwrap().message;
    assert!(message.contains("2 counted: customer-0 and customer-1."), "{message}");
    assert_eq!(put_order(&test), [&tenants[0], &tenants[0], &tenants[1]].map(String::clone));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_it_records_a_refusal_it_reads_first() {
    let test = with_budget("refused-killed", 1).await;
    let mut options = test.controller_options();
    options.failpoints = "put.after=return".to_owned();
    let controller = test.controller_with(&options).await;
    let orphan = orphan(&test, "Orphan");
    let good = test.simulator.add_tenant(TenantSpec::customer("Good"));
    test.production("orphan", &orphan, json!({})).await;
    test.wait_for("the process dies", PATIENCE, async || controller.exit_code().await).await;
    test.production("good", &good, json!({})).await;
    test.controller().await;
    // To the new process the outcome is open: it may have taken effect.
    let object = test.until("good", "has to wait", is_exhausted).await;
    let message = &condition(&object, "Reconciling").unwrap().message;
    assert!(message.contains("1 counted: orphan."), "{message}");
    test.until_within(4 * PATIENCE, "good", "is switched", is_in_production).await;
    test.finish().await;
}

/// Their attempts end before they are announced, so the journal does not show them.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_whose_reads_hang_keep_no_other_from_its_turn() {
    let test = with_budget("refused-hanging", 1).await;
    test.controller().await;
    // What is due in the same second queues by name.
    for name in ["a-one", "a-two", "a-three"] {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchPricing).tenant(&tenant));
        test.production(name, &tenant, json!({})).await;
        // One attempt at a time has a place. The status of the others fixes since when they are due.
        test.wait_for("it is admitted or waits", PATIENCE, async || {
            let hangs = test.simulator.requests().iter().any(|request| {
                request.operation == Operation::FetchPricing && request.tenants == [tenant.clone()]
            });
            (hangs || test.latest(name).is_some_and(|object| is_exhausted(&object))).then_some(())
        })
        .await;
    }
    let good = test.simulator.add_tenant(TenantSpec::customer("Good"));
    test.production("good", &good, json!({})).await;
    // Each of the three keeps the place until its read times out.
    test.until_within(PATIENCE * 5, "good", "is switched", is_in_production).await;
    assert_eq!(test.simulator.total_puts(), 1);
    test.simulator.clear_faults();
    test.finish().await;
}
