//! Polls: in batches, soon for an urgent request, and without a reconcile where nothing is new.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction, Operation, Simulator, SimulatorOptions, TenantSpec},
};

use super::{
    at_work, batches, count, create, end, in_trial, metric, object, object_writes, reconciles, until_polled,
    until_ready,
};
use crate::harness::{PATIENCE, Test, has, reason};

/// The age at which the controller repeats a read.
const READ_MAX_AGE: Duration = Duration::from_secs(5);

/// How often a test starts again that lost its controller's Lease to a loaded machine.
const TRIES: usize = 3;

/// A platform with some latency, as each has: while it answers, others can join the next batch.
fn distant() -> SimulatorOptions {
    SimulatorOptions { latency: Duration::from_millis(100), ..SimulatorOptions::default() }
}

/// Each costs one status write.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_new_objects_cost_three_batches_at_most() {
    let test = Test::with_simulator("fleet-cold", distant()).await;
    let tenants = test.simulator.add_customers(200, "Customer");
    // The connection is ready already: objects that are reconciled while that is found are read once more.
    end(&at_work(&test, json!({})).await).await;
    create(&test, in_trial(&tenants)).await;
    test.simulator.clear_log();
    test.controller().await;
    until_ready(&test, tenants.len()).await;
    let batches = batches(&test);
    // A status that a loaded API server has not taken after this time is decided on another read.
    let (first, rereads): (Vec<_>, Vec<_>) =
        batches.iter().partition(|batch| batch.started_after < batches[0].started_after + READ_MAX_AGE);
    assert!(first.len() <= 3, "{} batches for 200 objects", first.len());
    let read: Vec<&String> = first.iter().flat_map(|batch| &batch.tenants).collect();
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), read.len(), "each is read once");
    assert!(!rereads.is_empty() || read.len() == tenants.len(), "{} of 200 are read", read.len());
    assert_eq!((count(&test, Operation::FetchTenant), count(&test, Operation::FetchPricing)), (0, 0));
    assert_eq!(test.simulator.tokens(), 1);
    let written: Vec<String> = object_writes(&test).await.into_iter().map(|write| write.name).collect();
    assert_eq!(written.len(), tenants.len(), "one write each");
    assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), tenants.len());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_and_edited_objects_are_read_while_a_poll_hangs() {
    let test = Test::new("fleet-held").await;
    let mut tenants = test.simulator.add_customers(121, "Customer");
    let new = tenants.pop().unwrap();
    at_work(&test, json!({"pollInterval": "10s"})).await;
    create(&test, in_trial(&tenants)).await;
    until_ready(&test, tenants.len()).await;
    // Two requests of the sweep hang: that is all that it may have in flight.
    let poll = Fault::new(FaultAction::hold()).on(Operation::FetchTenants).times(2);
    let held = test.simulator.inject(poll);
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 2)).await.expect("two polls");
    let hanging = |simulator: &Simulator| {
        let mut hanging = simulator.requests();
        hanging.retain(|request| request.operation == Operation::FetchTenants && request.outcome.is_none());
        hanging
    };
    let swept: Vec<String> = hanging(&test.simulator).into_iter().flat_map(|poll| poll.tenants).collect();
    let edited = tenants.iter().position(|tenant| swept.contains(tenant)).unwrap();
    let edit = json!({"spec": {"mode": null}});
    test.edit::<TenantPricing>(&object(edited), edit).await;
    test.tenant_pricing("new", json!({"tenant": {"id": new}})).await;
    for name in [object(edited), "new".to_owned()] {
        let observed = |object: &TenantPricing| reason(object, "Ready") == "Observed";
        test.until(&name, "is read", observed).await;
    }
    assert_eq!(hanging(&test.simulator).len(), 2, "the sweep has not come further");
    test.simulator.release(held);
    test.simulator.clear_log();
    until_polled(&test, &tenants, 1).await;
    test.finish().await;
}

/// Objects that are created at the same time share its read.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_read_alone_and_new_objects_join_it() {
    for _ in 0..TRIES {
        if an_edit_is_read_alone().await {
            return;
        }
    }
    panic!("the API server is so slow that the controller lost the Lease {TRIES} times");
}

/// Returns false if the controller lost the Lease meanwhile: then it reads everything once more, and nothing can be
/// counted.
async fn an_edit_is_read_alone() -> bool {
    // So far away that even what a loaded machine creates slowly joins a read.
    let far = SimulatorOptions { latency: Duration::from_millis(400), ..SimulatorOptions::default() };
    let test = Test::with_simulator("fleet-edits", far).await;
    let tenants = test.simulator.add_customers(60, "Customer");
    let controller = at_work(&test, json!({})).await;
    test.simulator.clear_log();
    create(&test, in_trial(&tenants[..50])).await;
    until_ready(&test, 50).await;
    let together = batches(&test).len();
    // Of those that rest, none goes along: it is not due.
    test.simulator.clear_log();
    test.reconcile_now(&object(7), "now").await;
    let read: Vec<String> = batches(&test).into_iter().flat_map(|batch| batch.tenants).collect();
    let led = !controller.log_entries().iter().any(|entry| entry["message"] == "lost leadership");
    if led {
        assert!(together < 50, "{together} batches for 50 objects that were created one after another");
        assert_eq!(read, [tenants[7].clone()]);
    }
    test.finish().await;
    led
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reads_in_batches_and_writes_only_what_changed() {
    let test = Test::with_simulator("fleet-restart", distant()).await;
    let mut tenants = test.simulator.add_customers(151, "Customer");
    for tenant in &tenants[100..] {
        test.simulator.update_tenant(tenant, |tenant| tenant.pricing.mode = "production".into());
    }
    let new = tenants.pop().unwrap();
    let controller = at_work(&test, json!({})).await;
    let mode = |number: usize| if number < 100 { json!("trial") } else { json!("production") };
    let specs = tenants.iter().enumerate();
    create(&test, specs.map(|(number, id)| json!({"tenant": {"id": id}, "mode": mode(number)}))).await;
    until_ready(&test, tenants.len()).await;
    end(&controller).await;
    let before = object_writes(&test).await.len();
    assert_eq!(before, tenants.len());
    test.simulator.clear_log();
    test.tenant_pricing("new", json!({"tenant": {"id": new}})).await;
    let controller = test.controller().await;
    test.until("new", "is ready", |object| has(object, "Ready", "True")).await;
    until_polled(&test, &tenants, 1).await;
    let batches = batches(&test);
    // An idle machine needs two or three. A loaded one brings the objects in more portions.
    assert!(batches.len() <= 8, "{} batches for 151 objects", batches.len());
    let read: usize = batches.iter().map(|batch| batch.tenants.len()).sum();
    assert_eq!(read, 151, "each is read once");
    let alone = [Operation::FetchTenant, Operation::FetchPricing, Operation::Search];
    assert_eq!(alone.map(|operation| count(&test, operation)), [0; 3]);
    let writes = object_writes(&test).await.split_off(before);
    assert!(writes.iter().all(|write| write.name == "new") && writes.len() == 1, "{writes:#?}");
    test.wait_for("no reconcile but the one over the new object", PATIENCE, async || {
        (reconciles(&test, &controller).await >= 1.0).then_some(())
    })
    .await;
    let reconciles = reconciles(&test, &controller).await;
    assert!((reconciles - 1.0).abs() < f64::EPSILON, "{reconciles} reconciles for one new object");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_enqueue_only_the_object_whose_tenant_changed() {
    let test = Test::new("fleet-polls").await;
    let tenants = test.simulator.add_customers(60, "Customer");
    let controller = at_work(&test, json!({"pollInterval": "10s"})).await;
    create(&test, in_trial(&tenants)).await;
    until_ready(&test, tenants.len()).await;
    test.simulator.clear_log();
    until_polled(&test, &tenants, 1).await;
    let at_rest = reconciles(&test, &controller).await;
    let reads = metric(&test, &controller, "tenantpricing_tenant_reads_total", &[]).await;
    let writes = object_writes(&test).await.len();
    test.simulator.clear_log();
    until_polled(&test, &tenants, 1).await;
    test.simulator.update_tenant(&tenants[30], |tenant| tenant.name = "Acme AG".to_owned());
    let renamed = |object: &TenantPricing| {
        object.status.as_ref().unwrap().observed.as_ref().unwrap().tenant_name.as_deref() == Some("Acme AG")
    };
    test.until(&object(30), "shows the new name", renamed).await;
    test.simulator.clear_log();
    until_polled(&test, &tenants, 1).await;
    let reads = metric(&test, &controller, "tenantpricing_tenant_reads_total", &[]).await - reads;
    assert!(reads >= 120.0, "{reads} reads in two rounds of 60 tenants");
    let reconciled = reconciles(&test, &controller).await - at_rest;
    assert!((reconciled - 1.0).abs() < f64::EPSILON, "{reconciled} reconciles for one tenant that changed");
    let writes = object_writes(&test).await.split_off(writes);
    assert!(writes.iter().all(|write| write.name == object(30)) && writes.len() == 1, "{writes:#?}");
    test.finish().await;
}

/// Nothing is concluded from the batch.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_missing_from_a_batch_is_read_alone() {
    let test = Test::new("fleet-missing").await;
    let tenants = test.simulator.add_customers(5, "Customer");
    let (omitted_tenant, deleted) = (&tenants[1], &tenants[3]);
    let omitted = Fault::new(FaultAction::OmitTenant).on(Operation::FetchTenants);
    let omitted = test.simulator.inject(omitted.tenant(omitted_tenant));
    at_work(&test, json!({"pollInterval": "10s"})).await;
    create(&test, in_trial(&tenants)).await;
    until_ready(&test, tenants.len()).await;
    test.simulator.update_tenant(deleted, |tenant| tenant.deleted_at = Some(tenant.created_at));
    let object_of_deleted = object(3);
    let stalled = test.until(&object_of_deleted, "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&stalled, "Stalled"), "TenantNotFound");
    let requests = test.simulator.requests();
    let alone = |tenant: &String| {
        let mut alone = requests.iter().filter(|request| request.operation == Operation::FetchTenant);
        alone.any(|request| request.tenants == [tenant.clone()])
    };
    assert!(alone(deleted), "it was read alone");
    assert!(alone(omitted_tenant), "that it was missing did not mean that it was gone");
    // In batches again afterwards, without help.
    test.simulator.update_tenant(deleted, |tenant| tenant.deleted_at = None);
    test.simulator.clear_log();
    test.until(&object_of_deleted, "is back", |object| reason(object, "Ready") == "InSync").await;
    test.simulator.clear_fault(omitted);
    test.simulator.clear_log();
    until_polled(&test, &tenants, 2).await;
    assert_eq!(count(&test, Operation::FetchTenant), 0, "in batches again");
    let writes = object_writes(&test).await;
    for number in 0..tenants.len() {
        let name = object(number);
        let written = writes.iter().filter(|write| write.name == name).count();
        assert_eq!(written, if number == 3 { 3 } else { 1 }, "{name}: {:#?}", test.recorded_statuses(&name));
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_tenant_blocks_no_other() {
    let test = Test::new("fleet-one-bad").await;
    let tenants = test.simulator.add_customers(40, "Customer");
    let hidden = TenantSpec { hidden: true, ..TenantSpec::customer("Hidden") };
    let hidden = test.simulator.add_tenant(hidden);
    at_work(&test, json!({"pollInterval": "10s"})).await;
    // A client that reads it alone waits long for a refusal.
    let slow = Fault::new(FaultAction::hold()).on(Operation::FetchTenant).tenant(&hidden);
    let held = test.simulator.inject(slow);
    test.tenant_pricing("hidden", json!({"tenant": {"id": hidden}})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a single read");
    create(&test, in_trial(&tenants)).await;
    until_ready(&test, tenants.len()).await;
    test.simulator.clear_log();
    until_polled(&test, &tenants, 1).await;
    test.simulator.release(held);
    let refused = |object: &TenantPricing| reason(object, "Stalled") == "AccessDenied";
    test.until_within(PATIENCE, "hidden", "is refused", refused).await;
    test.finish().await;
}
