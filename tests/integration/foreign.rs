//! Statuses that others write: restored from a backup, wiped, or patched by hand.

mod attempts;
mod conditions;
mod connections;
mod fields;
mod mended;
mod restored;
mod unreadable;

use std::fmt::Debug;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};
use tenant_pricing_controller::api::{PlatformConnection, TenantPricing};

use crate::harness::Test;

/// A condition of a type that the controller does not know.
fn their_condition() -> Value {
    json!({
        "type": "example.com/Audited", "status": "True", "reason": "Done", "message": "by another controller",
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    })
}

/// Merges a patch into the status, under the name that `kubectl patch --subresource=status` has.
async fn patch_status(test: &Test, object: &str, patch: &Value) {
    write_status(test, object, &Patch::Merge(patch)).await;
}

/// Patches the status with a list of operations.
async fn patch_status_json(test: &Test, object: &str, operations: &Value) {
    let operations = serde_json::from_value(operations.clone()).unwrap();
    write_status(test, object, &Patch::Json::<()>(operations)).await;
}

async fn write_status<P: Serialize + Debug>(test: &Test, object: &str, patch: &Patch<P>) {
    let (api, name) = api_of(test, object);
    let manager = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    let written = api.patch_status(name, &manager, patch).await;
    let written = written.unwrap_or_else(|error| panic!("the status of {object} was not written: {error}"));
    let kind = written.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
    test.until_recorded(&kind, &written).await;
}

/// The API and the name of an object that is given as `tp/acme` or `pconn/default`.
fn api_of<'a>(test: &Test, object: &'a str) -> (Api<DynamicObject>, &'a str) {
    let (kind, name) = object.split_once('/').unwrap();
    let resource = match kind {
        "tp" => ApiResource::erase::<TenantPricing>(&()),
        "pconn" => ApiResource::erase::<PlatformConnection>(&()),
        other => panic!("{other} is no kind of ours"),
    };
    (Api::namespaced_with(test.client.clone(), &test.namespace, &resource), name)
}

/// Replaces the status with an empty one.
async fn wipe(test: &Test, object: &str) {
    patch_status_json(test, object, &json!([{"op": "replace", "path": "/status", "value": {}}])).await;
}

/// The status as it is stored now.
async fn stored_status(test: &Test, object: &str) -> Value {
    let (api, name) = api_of(test, object);
    api.get(name).await.unwrap().data["status"].clone()
}

fn status(object: &TenantPricing) -> Value {
    json!(object.status)
}

fn has_their_condition(object: &TenantPricing) -> bool {
    crate::harness::has(object, "example.com/Audited", "True")
}
