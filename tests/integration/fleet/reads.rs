//! Reads: what they cost, what triggers them, and what they do not delay.

mod rights;

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction, LoggedRequest, Operation, TenantSpec},
};

use crate::harness::{PATIENCE, Test, has, reason, status_writes, until_connection};

/// How long nothing may happen while everything is in sync.
const CALM: Duration = Duration::from_secs(60);

/// They cost no write, and no read beyond the polls.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_objects_in_sync_cost_only_their_polls() {
    let test = Test::new("calm").await;
    let tenants = test.simulator.add_customers(100, "Customer");
    for tenant in &tenants[50..] {
        test.simulator.update_tenant(tenant, |tenant| tenant.pricing.mode = "production".into());
    }
    // Tenants in trial are read every 30 s here, those in production once a day.
    test.connection("default", json!({"pollInterval": "30s"})).await;
    let controller = test.controller().await;
    for (number, tenant) in tenants.iter().enumerate() {
        let mode = if number < 50 { "trial" } else { "production" };
        let spec = json!({"tenant": {"id": tenant}, "mode": mode});
        test.tenant_pricing(&format!("tenant-{number}"), spec).await;
    }
    for number in 0..tenants.len() {
        test.until(&format!("tenant-{number}"), "is ready", |object| has(object, "Ready", "True")).await;
    }
    // They may move once more, and then there is nothing left to write.
    test.until_counted("default", 50, 50).await;
    // A new start with everything in sync: one or two batches, and nothing is written.
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    let writes = test.controller_writes().await.len();
    test.simulator.clear_log();
    test.controller().await;
    test.wait_for("the new controller has read", PATIENCE, async || {
        let read: usize = reads(&test).len();
        (read >= 100).then_some(())
    })
    .await;
    let batches = test.simulator.requests().iter().filter(|request| is_batch(request)).count();
    assert!(batches <= 10, "{batches} requests for 100 objects after a start");
    assert_eq!(test.simulator.tokens(), 1, "one token for each process");
    test.simulator.clear_log();
    // The pause itself is what is tested here.
    tokio::time::sleep(CALM).await;
    let reads = reads(&test);
    let in_trial = reads.iter().filter(|tenant| tenants[..50].contains(tenant)).count();
    assert!((50..=150).contains(&in_trial), "{in_trial} reads of 50 tenants in trial within two intervals");
    assert_eq!(reads.len(), in_trial, "tenants in production are read once a day");
    assert_eq!(test.controller_writes().await.len(), writes, "nothing is written");
    assert_eq!(test.simulator.tokens(), 0, "no further token");
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

fn is_batch(request: &LoggedRequest) -> bool {
    request.operation == Operation::FetchTenants
}

/// The tenants that were read, once per read.
fn reads(test: &Test) -> Vec<String> {
    let requests = test.simulator.requests();
    let reads = [Operation::FetchTenants, Operation::FetchTenant, Operation::FetchPricing];
    requests
        .into_iter()
        .filter(|request| reads.contains(&request.operation))
        .flat_map(|request| request.tenants)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_now_reads_at_once_and_echoes_its_value() {
    let test = Test::new("reconcile-now").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is observed", |object| has(object, "Ready", "True")).await;
    test.simulator.update_tenant(&tenant, |tenant| tenant.name = "Acme AG".into());
    for value in ["2026-11-23T10:00:00Z", "again"] {
        let before = reads(&test).len();
        let annotation = format!("tenantpricing.io/reconcile-now={value}");
        test.kubectl(&["annotate", "--overwrite", "tp", "acme", &annotation]).await.success();
        let echoed = |object: &TenantPricing| {
            object.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some(value)
        };
        let object = test.until("acme", "echoes", echoed).await;
        assert_eq!(object.status.unwrap().observed.unwrap().tenant_name.as_deref(), Some("Acme AG"));
        assert_eq!(reads(&test).len(), before + 1, "one read for {value}");
    }
    assert_eq!(status_writes(&test.controller_writes().await, "acme"), 3);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_writes_to_no_object_in_sync_and_recovers() {
    let test = Test::new("outage").await;
    let tenants = test.simulator.add_customers(12, "Customer");
    test.connection("default", json!({"pollInterval": "10s"})).await;
    test.controller().await;
    for (number, tenant) in tenants[..10].iter().enumerate() {
        test.tenant_pricing(&format!("calm-{number}"), json!({"tenant": {"id": tenant}, "mode": "trial"}))
            .await;
    }
    for number in 0..10 {
        test.until(&format!("calm-{number}"), "is ready", |object| has(object, "Ready", "True")).await;
    }
    let outage = test.simulator.inject(Fault::new(FaultAction::error(500, 1000)));
    test.production("new", &tenants[10], json!({})).await;
    let object = test.until("new", "reports it", |object| has(object, "Reconciling", "True")).await;
    assert_eq!(reason(&object, "Reconciling"), "PlatformUnavailable");
    until_connection(&test, "default", "PlatformUnavailable").await;
    // Every object that is in sync falls due in that time: at most ten per cent after the poll interval. That
    // shows in no request, because the platform is only probed.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let asked = test.simulator.fault_hits(outage);
    assert!((1..=20).contains(&asked), "{asked} requests in the outage");
    test.simulator.clear_faults();
    test.until("new", "is switched", |object| has(object, "Production", "True")).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let writes = test.controller_writes().await;
    for number in 0..10 {
        let name = format!("calm-{number}");
        let statuses = test.recorded_statuses(&name);
        assert_eq!(status_writes(&writes, &name), 1, "one write, before the outage: {statuses:#?}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_leads_to_one_customer_and_is_then_pinned() {
    let test = Test::new("names").await;
    let add = |spec: TenantSpec| test.simulator.add_tenant(spec);
    let folder = add(TenantSpec::partner("Acme GmbH"));
    let acme = add(TenantSpec::customer("Acme GmbH").below(&folder));
    add(TenantSpec::customer("ACME GMBH"));
    add(TenantSpec::customer("Acme GmbH & Co."));
    let short = add(TenantSpec::customer("Bo"));
    for _ in 0..2 {
        add(TenantSpec::customer("Twin AG"));
    }
    test.connection("default", json!({})).await;
    test.controller().await;
    let named = |name: &str| json!({"tenant": {"name": name}, "mode": "production"});
    test.tenant_pricing("acme", named("Acme GmbH")).await;
    test.tenant_pricing("short", named("Bo")).await;
    test.tenant_pricing("twin", named("Twin AG")).await;
    test.tenant_pricing("absent", named("Absent Ltd")).await;
    for (object, tenant) in [("acme", &acme), ("short", &short)] {
        let object = test.until(object, "is switched", |object| has(object, "Production", "True")).await;
        assert_eq!(object.status.unwrap().tenant_id.as_ref(), Some(tenant));
    }
    for (name, expected) in [("twin", "TenantNameAmbiguous"), ("absent", "TenantNotFound")] {
        let object = test.until(name, "is stalled", |object| has(object, "Stalled", "True")).await;
        assert_eq!(reason(&object, "Stalled"), expected);
    }
    // After the switch a rename is harmless.
    test.simulator.update_tenant(&acme, |tenant| tenant.name = "Acme SE".into());
    test.request_reconcile("acme", "1").await;
    let renamed = |object: &TenantPricing| {
        object.status.as_ref().unwrap().observed.as_ref().unwrap().tenant_name.as_deref() == Some("Acme SE")
    };
    let object = test.until("acme", "is read", renamed).await;
    assert_eq!(reason(&object, "Ready"), "InSync");
    assert_eq!(test.simulator.total_puts(), 2);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_pinned_tenant_is_not_switched() {
    let test = Test::new("renamed").await;
    let acme = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    let later = (test.simulator.now() + SignedDuration::from_hours(1)).to_string();
    let spec = json!({"tenant": {"name": "Acme GmbH"}, "mode": "production", "switch": {"notBefore": later}});
    test.tenant_pricing("acme", spec).await;
    test.until("acme", "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    // The name goes to another tenant; it is not followed.
    test.simulator.update_tenant(&acme, |tenant| tenant.name = "Acme SE".into());
    let other = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.set_time(test.simulator.now() + SignedDuration::from_hours(2));
    test.request_reconcile("acme", "1").await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "TenantChanged");
    assert_eq!(object.status.unwrap().tenant_id, Some(acme.clone()));
    assert_eq!((test.simulator.puts(&acme), test.simulator.puts(&other)), (0, 0));
    test.finish().await;
}
