//! A new leader whose watch is behind.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{Fault, FaultAction, Operation, TenantSpec},
};

use super::{STANDS_BY, until_leading, until_ready, until_said};
use crate::harness::{Test, has, reason};

/// The list is not older than its term, however stale its watch is.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_lists_all_objects_before_a_switch() {
    let (test, other) = tokio::join!(Test::new("stale-younger"), Test::new("stale-older"));
    test.connection("default", json!({"allowedNamespaces": {"from": "All"}})).await;
    let proxy = test.api_proxy().await;
    let mut options = test.controller_options();
    options.namespaces.push(other.namespace.clone());
    let leader = test.controller_with(&options).await;
    until_leading(&test, &leader).await;
    let standby = test.controller_with(&options.clone().through(proxy.kubeconfig())).await;
    until_said(&test, &standby, STANDS_BY, 1).await;
    until_ready(&test, &standby).await;

    // Two objects for one tenant; neither asks for anything yet. The standby knows both.
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    other
        .tenant_pricing(
            "older",
            json!({
                "tenant": {"id": tenant}, "connectionRef": {"name": "default", "namespace": test.namespace},
            }),
        )
        .await;
    other.until("older", "is observed", |object| has(object, "Ready", "True")).await;
    test.tenant_pricing("younger", json!({"tenant": {"id": tenant}})).await;
    test.until("younger", "is observed", |object| has(object, "Ready", "True")).await;
    // Then its watch of one namespace falls behind, and does not show the switch that begins there.
    proxy.freeze_watch_of(&test.namespace);
    let lose = Fault::new(FaultAction::DropBefore).on(Operation::PutPricing).tenant(&tenant).once();
    test.simulator.inject(lose);
    test.edit::<TenantPricing>("younger", json!({"spec": {"mode": "production"}})).await;
    test.until("younger", "is in doubt", |object| reason(object, "Reconciling") == "OutcomeUnknown").await;
    leader.kill().await;
    // Its watch shows this object. By its caches, this one is to be switched now.
    other.edit::<TenantPricing>("older", json!({"spec": {"mode": "production"}})).await;
    until_leading(&test, &standby).await;
    other
        .until_within(Duration::from_secs(60), "older", "waits for the other", |object| {
            reason(object, "Reconciling") == "OutcomeUnknown"
        })
        .await;
    assert_eq!(test.simulator.puts(&tenant), 1, "a second one would have left by now");
    let object = test.until("younger", "is read", |_| true).await;
    assert_eq!(reason(&object, "Reconciling"), "OutcomeUnknown");
    // The emergency stop, so that nothing more happens.
    test.edit::<PlatformConnection>("default", json!({"spec": {"suspend": true}})).await;
    test.finish().await;
    other.finish().await;
}
