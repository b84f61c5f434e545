//! Whatever the platform or the API server answers, there is at most one switch, and none that is no longer wanted.

mod accepted;
mod answers;
mod elsewhere;
mod journal;
mod meanwhile;
mod refusals;
mod restarts;
mod secrets;
mod tenants;

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tenant_pricing_controller::{
    api::{Journal, Phase, TenantPricing},
    simulator::{Fault, FaultAction, FaultId, LoggedRequest, Operation, TenantSpec},
};

use crate::harness::{Test, has, reason};

/// After an unknown outcome no further PUT leaves for this time. Repeated here on purpose: a check from outside.
const GRACE_PERIOD: Duration = Duration::from_secs(60);

/// The time for all that comes after the grace period.
const AFTER_GRACE_PERIOD: Duration = Duration::from_secs(110);

/// A test with a connection.
async fn connected(name: &str) -> Test {
    let test = Test::new(name).await;
    test.connection("default", json!({})).await;
    test
}

/// A test with a connection and a controller at work.
async fn at_work(name: &str) -> Test {
    let test = connected(name).await;
    test.controller().await;
    test
}

/// A customer whose next PUT meets `action`.
fn customer_with(test: &Test, name: &str, action: FaultAction) -> String {
    let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
    test.simulator.inject(on_put(&tenant, action));
    tenant
}

/// Meets the next PUT for the tenant.
fn on_put(tenant: &str, action: FaultAction) -> Fault {
    Fault::new(action).on(Operation::PutPricing).tenant(tenant).once()
}

/// The true answer is lost behind this one.
fn answered_after_effect(status: u16, body: &str) -> FaultAction {
    FaultAction::Answer { status, body: body.to_owned(), headers: BTreeMap::new(), after_effect: true }
}

/// Holds the tenant as the pre-write read reads it, which polls, made in batches, are
/// not. Returns what releases it.
fn hold_prewrite_read(test: &Test, tenant: &str) -> FaultId {
    test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenant).tenant(tenant).once())
}

fn journal(object: &TenantPricing) -> Option<&Journal> {
    object.status.as_ref()?.switch.as_ref()
}

fn phase(object: &TenantPricing) -> Option<Phase> {
    journal(object).map(|journal| journal.phase)
}

fn attempts(object: &TenantPricing) -> u32 {
    journal(object).map_or(0, |journal| journal.attempts)
}

fn is_switched(object: &TenantPricing) -> bool {
    has(object, "Production", "True")
}

fn outcome_is_unknown(object: &TenantPricing) -> bool {
    reason(object, "Reconciling") == "OutcomeUnknown"
}

/// The PUTs for a tenant, in the order in which they came.
fn puts(test: &Test, tenant: &str) -> Vec<LoggedRequest> {
    let of = |request: &LoggedRequest| {
        request.operation == Operation::PutPricing && request.tenants == [tenant.to_owned()]
    };
    test.simulator.requests().into_iter().filter(of).collect()
}

/// The time from one instant of the simulator's log to a later one.
fn between(earlier: Duration, later: Duration) -> Duration {
    later.checked_sub(earlier).expect("the log is in order")
}

/// The pauses between the PUTs for a tenant.
fn pauses(test: &Test, tenant: &str) -> Vec<Duration> {
    let puts = puts(test, tenant);
    puts.windows(2).map(|pair| between(pair[0].started_after, pair[1].started_after)).collect()
}

/// The phases of an object's journal, separately for each attempt.
fn course(test: &Test, name: &str) -> Vec<String> {
    let phases = test.recorded_statuses(name).into_iter().map(|status| {
        let journal = &status["switch"];
        let phase = journal["phase"].as_str().unwrap_or("none").to_owned();
        (phase, journal["attemptId"].as_str().unwrap_or_default().to_owned())
    });
    let mut phases: Vec<_> = phases.collect();
    phases.dedup();
    phases.into_iter().map(|(phase, _)| phase).collect()
}

/// The ids of all attempts that were ever announced for an object.
fn announced(test: &Test, name: &str) -> Vec<String> {
    let statuses = test.recorded_statuses(name).into_iter();
    let mut ids: Vec<String> = statuses
        .filter(|status| status["switch"]["phase"] == "InFlight")
        .filter_map(|status| Some(status["switch"]["attemptId"].as_str()?.to_owned()))
        .collect();
    ids.dedup();
    ids
}
