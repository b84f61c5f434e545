//! A fleet: many objects, one connection, and what they cost.

pub(crate) mod duplicates;
mod names;
mod outage;
mod polling;
pub(crate) mod reads;
mod upcoming;
mod watches;

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{LoggedRequest, Operation},
};

use crate::harness::{Controller, PATIENCE, Test, Write, condition, has, metrics, until_connection};

/// How many objects are created at a time: one after another takes too long.
const AT_ONCE: usize = 16;

/// The name of the object for the tenant of this number.
fn object(number: usize) -> String {
    format!("customer-{number:03}")
}

/// Creates an object for each of these specs, named by its number.
async fn create(test: &Test, specs: impl IntoIterator<Item = Value>) {
    stream::iter(specs.into_iter().enumerate())
        .for_each_concurrent(AT_ONCE, |(number, spec)| async move {
            test.tenant_pricing(&object(number), spec).await;
        })
        .await;
}

/// Specs that ask for trial, for each of these tenants.
fn in_trial(tenants: &[String]) -> impl Iterator<Item = Value> {
    tenants.iter().map(|tenant| json!({"tenant": {"id": tenant}, "mode": "trial"}))
}

/// Waits until all objects up to this number are Ready.
async fn until_ready(test: &Test, count: usize) {
    for number in 0..count {
        let is_ready = |object: &TenantPricing| has(object, "Ready", "True");
        test.until_within(PATIENCE, &object(number), "is ready", is_ready).await;
    }
}

/// A controller whose connection `default` is ready, with nothing else to do.
async fn at_work(test: &Test, connection: Value) -> Controller {
    test.connection("default", connection).await;
    let controller = test.controller().await;
    until_connection(test, "default", "CredentialsAccepted").await;
    controller
}

/// Ends a controller as Kubernetes does.
async fn end(controller: &Controller) {
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
}

/// Whether a request reads tenants by their ids, many at a time.
fn is_batch(request: &LoggedRequest) -> bool {
    request.operation == Operation::FetchTenants && request.query.iter().any(|(key, _)| key == "uuids")
}

/// The batches so far.
fn batches(test: &Test) -> Vec<LoggedRequest> {
    test.simulator.requests().into_iter().filter(is_batch).collect()
}

/// How many requests of this kind there were.
fn count(test: &Test, operation: Operation) -> usize {
    test.simulator.requests().iter().filter(|request| request.operation == operation).count()
}

/// Waits until each of these tenants was read in this many batches that have ended.
async fn until_polled(test: &Test, tenants: &[String], times: usize) {
    let polled = |requests: &[LoggedRequest]| {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for request in requests.iter().filter(|request| is_batch(request) && request.outcome.is_some()) {
            request.tenants.iter().for_each(|tenant| *seen.entry(tenant).or_default() += 1);
        }
        tenants.iter().all(|tenant| seen.get(tenant.as_str()).is_some_and(|seen| *seen >= times))
    };
    let waited = tokio::time::timeout(PATIENCE, test.simulator.wait_for_requests(polled)).await;
    assert!(waited.is_ok(), "not all were read {times} times:{}", test.diagnosis().await);
}

/// The writes to `TenantPricing`s that are not the test's own, refused ones included.
async fn object_writes(test: &Test) -> Vec<Write> {
    let mut writes = test.controller_writes().await;
    writes.retain(|write| write.resource.starts_with("tenantpricings."));
    writes
}

/// The sum of all series of a metric that have these labels.
async fn metric(test: &Test, controller: &Controller, name: &str, labels: &[&str]) -> f64 {
    let of = |series: &str| {
        let labelled = series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        labelled && labels.iter().all(|label| series.contains(label))
    };
    let all = metrics(test, controller).await;
    all.iter().filter(|(series, _)| of(series)).map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// How many reconciles have ended.
async fn reconciles(test: &Test, controller: &Controller) -> f64 {
    metric(test, controller, "tenantpricing_reconcile_duration_seconds_count", &[]).await
}

/// The message of a condition; empty if it is absent.
fn message<'a>(object: &'a TenantPricing, kind: &str) -> &'a str {
    condition(object, kind).map_or("", |condition| &condition.message)
}
