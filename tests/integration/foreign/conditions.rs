//! Other programs write conditions of their own to the same objects. These conditions stay.

use std::fmt::Debug;

use kube::{
    Resource,
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
};

use crate::harness::{PATIENCE, Test, condition, has, status_writes, until_connection};

const FOREIGN: &str = "example.com/ContractSigned";

/// What another controller applies as its own: these conditions, and no others any more.
async fn another_applies<K>(test: &Test, name: &str, types: &[&str])
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Debug,
{
    let resource = ApiResource::erase::<K>(&());
    let conditions: Vec<Value> = types
        .iter()
        .map(|kind| {
            json!({
                "type": kind, "status": "True", "reason": "Signed", "message": "Signed by both.",
                "lastTransitionTime": "2026-11-01T00:00:00Z",
            })
        })
        .collect();
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name},
        "status": {"conditions": conditions},
    });
    let api: Api<DynamicObject> = Api::namespaced_with(test.client.clone(), &test.namespace, &resource);
    api.patch_status(name, &PatchParams::apply("contracts"), &Patch::Apply(&patch)).await.unwrap();
}

fn is_signed(object: &TenantPricing) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| status.conditions.iter().any(|condition| condition.type_ == FOREIGN))
}

async fn switches(test: &Test, name: &str) -> TenantPricing {
    test.edit::<TenantPricing>(name, json!({"spec": {"mode": "production"}})).await;
    test.until(name, "is switched", |object| has(object, "Production", "True")).await
}

/// Its owner can still remove it.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_condition_survives_our_writes() {
    let test = Test::new("neighbours").await;
    test.connection("default", json!({})).await;
    test.controller().await;
    for name in ["kept", "removed"] {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        test.tenant_pricing(name, json!({"tenant": {"id": tenant}})).await;
        test.until(name, "is ready", |object| has(object, "Ready", "True")).await;
        another_applies::<TenantPricing>(&test, name, &[FOREIGN]).await;
        let switched = switches(&test, name).await;
        assert!(is_signed(&switched), "{switched:#?}");
        assert_eq!(condition(&switched, "Ready").unwrap().status, "True");
    }
    another_applies::<TenantPricing>(&test, "removed", &[]).await;
    test.until("removed", "has lost it", |object| !is_signed(object)).await;
    // The next write of ours does not bring it back.
    test.request_reconcile("removed", "1").await;
    let handled = |object: &TenantPricing| {
        object.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.is_some())
    };
    let object = test.until("removed", "is read", handled).await;
    assert!(!is_signed(&object) && has(&object, "Production", "True"), "{object:#?}");
    test.until("kept", "has it still", is_signed).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_stood_there_first_costs_no_writes() {
    let test = Test::new("neighbours-first").await;
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.exempt("acme");
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    another_applies::<TenantPricing>(&test, "acme", &[FOREIGN]).await;
    another_applies::<PlatformConnection>(&test, "default", &[FOREIGN, "Stalled"]).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let object = test.until("acme", "is ready", |object| has(object, "Ready", "True")).await;
    assert!(is_signed(&object), "{object:#?}");
    let writes = status_writes(&test.controller_writes().await, "acme");
    test.simulator.clear_log();
    test.wait_for("it was read twice more", 2 * PATIENCE, async || {
        (test.simulator.reads() >= 2).then_some(())
    })
    .await;
    assert_eq!(status_writes(&test.controller_writes().await, "acme"), writes, "nothing was new");
    // The connection's other conditions are not ours either, whatever they are called.
    another_applies::<PlatformConnection>(&test, "default", &[]).await;
    let types = "jsonpath={.status.conditions[*].type}";
    let types = test.kubectl(&["get", "pconn", "default", "-o", types]).await.success();
    assert_eq!(types, "Ready");
    test.finish().await;
}
