//! Several replicas: one leads, the others stand by, and whatever happens, nothing is sent twice.

mod lease;
mod losing;
mod stale;
mod takeover;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::Api;
use serde_json::Value;

use crate::harness::{Controller, PATIENCE, Test};

/// From the end of a replica that was killed to what the next one does first: 15 s, and something for a busy machine.
const TAKEOVER: Duration = Duration::from_secs(50);

/// The default name of the Lease.
const NAME: &str = "tenant-pricing-controller";

async fn lease(test: &Test) -> Option<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(test.client.clone(), &test.namespace);
    leases.get_opt(NAME).await.unwrap()?.spec
}

async fn holder(test: &Test) -> String {
    lease(test).await.and_then(|lease| lease.holder_identity).unwrap_or_default()
}

/// The identity of a controller in the lease.
fn identity(controller: &Controller) -> Option<String> {
    let entries = controller.log_entries();
    entries.iter().find_map(|entry| Some(entry["identity"].as_str()?.to_owned()))
}

/// How often a controller has said this.
fn said(controller: &Controller, message: &str) -> usize {
    saying(controller, message).len()
}

/// The lines of a controller's log that begin like this.
fn saying(controller: &Controller, message: &str) -> Vec<Value> {
    let mut entries = controller.log_entries();
    entries.retain(|entry| entry["message"].as_str().is_some_and(|said| said.starts_with(message)));
    entries
}

async fn until_said(test: &Test, controller: &Controller, message: &str, times: usize) {
    let what = format!("a controller logs {message:?} {times} times");
    test.wait_for(&what, TAKEOVER, async || (said(controller, message) >= times).then_some(())).await;
}

async fn until_leading(test: &Test, controller: &Controller) {
    until_said(test, controller, LEADS, 1).await;
}

const LEADS: &str = "became leader";
const LEADS_NO_LONGER: &str = "lost leadership";
const STANDS_BY: &str = "standing by";

/// One that leads, and one that stands by.
async fn two(test: &Test) -> (Controller, Controller) {
    let leader = test.controller().await;
    until_leading(test, &leader).await;
    let standby = test.controller().await;
    until_said(test, &standby, STANDS_BY, 1).await;
    until_ready(test, &standby).await;
    (leader, standby)
}

async fn until_ready(test: &Test, controller: &Controller) {
    test.wait_for("a controller is ready", PATIENCE, async || {
        let (status, _, _) = controller.ask_admin("/readyz").await?;
        (status == 200).then_some(())
    })
    .await;
}

/// A controller's state in its metrics.
async fn leads_by_its_metrics(controller: &Controller) -> bool {
    let (_, _, metrics) = controller.ask_admin("/metrics").await.expect("metrics");
    metrics.lines().any(|line| line.starts_with("tenantpricing_leader{") && line.ends_with(" 1"))
}
