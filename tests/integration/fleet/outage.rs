//! An outage of the platform changes no object that is in sync.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction},
};

use super::{at_work, create, end, metric, object, object_writes, until_polled, until_ready};
use crate::harness::{Controller, Gateway, PATIENCE, Test, Write, reason, until_connection};

/// How long the platform is away: two of the shortest poll intervals.
const AWAY: Duration = Duration::from_secs(22);

/// The longest pause between two probes, one poll interval, and what a busy machine takes for the rest.
const RECOVERY: Duration = Duration::from_secs(90);

/// The most requests that an outage may cost: probes with pauses that grow, and what was in flight.
const PROBES: f64 = 25.0;

/// Two hundred objects in sync, in every mode that rests; of these tenants all that are polled.
async fn in_sync(test: &Test) -> Vec<String> {
    let tenants = test.simulator.add_customers(200, "Customer");
    let later = (test.simulator.now() + SignedDuration::from_hours(24)).to_string();
    for tenant in &tenants[160..] {
        test.simulator.update_tenant(tenant, |tenant| tenant.pricing.mode = "production".into());
    }
    let spec = |(number, tenant): (usize, &String)| match number {
        0..80 => json!({"tenant": {"id": tenant}, "mode": "trial"}),
        80..130 => json!({"tenant": {"id": tenant}}),
        130..160 => {
            json!({"tenant": {"id": tenant}, "mode": "production", "switch": {"notBefore": later}})
        }
        _ => json!({"tenant": {"id": tenant}, "mode": "production"}),
    };
    create(test, tenants.iter().enumerate().map(spec)).await;
    until_ready(test, tenants.len()).await;
    tenants.into_iter().take(160).collect()
}

async fn requests(test: &Test, controller: &Controller) -> f64 {
    metric(test, controller, "tenantpricing_platform_request_duration_seconds_count", &[]).await
}

/// Edits the first object, which then needs the platform and reports that it is unavailable.
async fn edited_in_vain(test: &Test) {
    test.edit::<TenantPricing>(&object(0), json!({"spec": {"mode": null}})).await;
    let unavailable = |object: &TenantPricing| reason(object, "Reconciling") == "PlatformUnavailable";
    test.until(&object(0), "reports that the platform is away", unavailable).await;
    until_connection(test, "default", "PlatformUnavailable").await;
}

/// After the end everything goes on: the edited object, the connection, the polls.
async fn goes_on(test: &Test, polled: &[String]) {
    test.simulator.clear_log();
    let observed = |object: &TenantPricing| reason(object, "Ready") == "Observed";
    test.until_within(RECOVERY, &object(0), "is read", observed).await;
    until_polled(test, polled, 1).await;
    until_connection(test, "default", "CredentialsAccepted").await;
}

/// Of the writes to objects since then none is to one that was in sync.
async fn no_other_object_was_written(test: &Test, before: usize) {
    let writes: Vec<Write> = object_writes(test).await.split_off(before);
    assert!(writes.iter().all(|write| write.name == object(0)), "{writes:#?}");
    let statuses: Vec<Value> = test.recorded_statuses(&object(0));
    assert_eq!(writes.len(), 2, "that it is away, and that it is back: {statuses:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_cost_no_write_to_objects_in_sync() {
    let test = Test::new("fleet-refused").await;
    let gateway = Gateway::to(test.simulator.address()).await;
    test.connection("default", json!({"url": gateway.url(), "pollInterval": "10s"})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(gateway.url());
    let controller = test.controller_with(&options).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let polled = in_sync(&test).await;
    let (writes, sent) = (object_writes(&test).await.len(), requests(&test, &controller).await);
    gateway.cut().await;
    edited_in_vain(&test).await;
    tokio::time::sleep(AWAY).await; // how long it lasts is what is tested
    let sent = requests(&test, &controller).await - sent;
    assert!((1.0..=PROBES).contains(&sent), "{sent} requests in the outage");
    gateway.reopen().await;
    goes_on(&test, &polled).await;
    no_other_object_was_written(&test, writes).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_writes_to_no_object_in_sync_even_on_restart() {
    let test = Test::new("fleet-out-of-order").await;
    let controller = at_work(&test, json!({"pollInterval": "10s"})).await;
    let polled = in_sync(&test).await;
    let writes = object_writes(&test).await.len();
    let broken = test.simulator.inject(Fault::new(FaultAction::error(502, 1000)));
    edited_in_vain(&test).await;
    tokio::time::sleep(AWAY).await; // how long it lasts is what is tested
    let asked = f64::from(test.simulator.fault_hits(broken));
    assert!((1.0..=PROBES).contains(&asked), "{asked} requests in the outage");
    // A process that starts meanwhile finds all as it was left, and cannot read.
    end(&controller).await;
    let controller = test.controller().await;
    test.wait_for("a new process has found the platform away", PATIENCE, async || {
        (requests(&test, &controller).await >= 3.0).then_some(())
    })
    .await;
    tokio::time::sleep(AWAY / 2).await; // likewise
    let asked = f64::from(test.simulator.fault_hits(broken)) - asked;
    assert!((1.0..=PROBES).contains(&asked), "{asked} requests of the new process");
    test.simulator.clear_faults();
    goes_on(&test, &polled).await;
    no_other_object_was_written(&test, writes).await;
    test.finish().await;
}
