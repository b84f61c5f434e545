//! The limits of a connection: rate, pauses, credentials and budget, by the platform's own log of requests.

mod budget;
mod clocks;
mod credentials;
mod drain;
mod hanging;
mod isolation;
mod pace;
mod refused;
mod throttled;

use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{LoggedRequest, Operation},
};

use crate::harness::{PATIENCE, Test, has};

/// A request may arrive so much later than it was let through: the machine is busy with other tests.
const ON_THE_WAY: Duration = Duration::from_millis(1500);

/// The pre-write read has two reserved permits of the rate limiter before it is made: this many requests of each
/// switch in flight may come later than their permits.
const SAVED_PLACES: u32 = 2;

/// Makes an object for each tenant, named by its number, as many at a time as a commit would bring.
async fn create(test: &Test, prefix: &str, tenants: &[String], spec: &Value) {
    stream::iter(tenants.iter().enumerate())
        .for_each_concurrent(8, async |(number, tenant)| {
            let mut whole = spec.clone();
            whole["tenant"] = json!({"id": tenant});
            test.tenant_pricing(&format!("{prefix}-{number}"), whole).await;
        })
        .await;
}

/// Waits until each object of [`create`] is as `condition` wants it.
async fn all_until(
    test: &Test,
    prefix: &str,
    count: usize,
    limit: Duration,
    what: &str,
    condition: impl Fn(&TenantPricing) -> bool,
) {
    let all = async {
        for number in 0..count {
            test.until_within(limit, &format!("{prefix}-{number}"), what, &condition).await;
        }
    };
    // Each has its own limit, so that a failure names its part; this is the one for all of them.
    tokio::time::timeout(limit + PATIENCE, all).await.expect("all of them");
}

fn is_in_production(object: &TenantPricing) -> bool {
    has(object, "Ready", "True") && has(object, "Production", "True")
}

fn is_ready(object: &TenantPricing) -> bool {
    has(object, "Ready", "True")
}

/// Edits the connection `default` and waits until the controller has taken it up.
async fn edit_connection(test: &Test, spec: Value) {
    test.edit::<PlatformConnection>("default", json!({"spec": spec})).await;
    test.until_connection_observed("default").await;
}

/// The requests of one operation, in the order of their arrival.
fn requests_of(test: &Test, operation: Operation) -> Vec<LoggedRequest> {
    let requests = test.simulator.requests().into_iter();
    requests.filter(|request| request.operation == operation).collect()
}

/// The tenants of the PUTs, in the order of their arrival.
fn put_order(test: &Test) -> Vec<String> {
    requests_of(test, Operation::PutPricing).into_iter().flat_map(|put| put.tenants).collect()
}

/// Fails if some window of `t` seconds holds more than `rate` · (t + 1) requests. With few requests in a second
/// the permits reserved for the pre-write reads of `switches` at a time show; `switches` is 0 where they do not matter.
fn assert_pace(requests: &[LoggedRequest], rate: u32, switches: u32) {
    let mut arrived: Vec<f64> = requests.iter().map(|request| request.started_after.as_secs_f64()).collect();
    arrived.sort_by(f64::total_cmp);
    let rate_per_second = f64::from(rate);
    let allowance = rate_per_second * (1.0 + ON_THE_WAY.as_secs_f64()) + f64::from(SAVED_PLACES * switches);
    for (first, from) in arrived.iter().enumerate() {
        let mut count = 0.0;
        for to in &arrived[first..] {
            count += 1.0;
            let most = rate_per_second * (to - from) + allowance;
            assert!(count <= most, "{count} requests from {from:.3} s to {to:.3} s, at {rate} a second");
        }
    }
}
