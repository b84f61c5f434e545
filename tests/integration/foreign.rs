//! Statuses that others write: restored from a backup, wiped, or patched by hand.

mod attempts;
mod conditions;
mod connections;
mod fields;
mod mended;
mod restored;
mod unreadable;

use serde_json::{Value, json};
use tenant_pricing_controller::api::TenantPricing;

use crate::harness::Test;

/// A condition of a type that the controller does not know.
fn their_condition() -> Value {
    json!({
        "type": "example.com/Audited", "status": "True", "reason": "Done", "message": "by another controller",
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    })
}

/// Patches the status as `kubectl patch --subresource=status` does.
async fn patch_status(test: &Test, object: &str, patch: &Value) {
    let merged = patch.to_string();
    test.kubectl(&["patch", object, "--subresource=status", "--type=merge", "-p", &merged]).await.success();
}

/// Patches the status with a list of operations.
async fn patch_status_json(test: &Test, object: &str, operations: &Value) {
    let listed = operations.to_string();
    test.kubectl(&["patch", object, "--subresource=status", "--type=json", "-p", &listed]).await.success();
}

/// Replaces the status with an empty one.
async fn wipe(test: &Test, object: &str) {
    patch_status_json(test, object, &json!([{"op": "replace", "path": "/status", "value": {}}])).await;
}

/// The status as it is stored now.
async fn stored_status(test: &Test, object: &str) -> Value {
    let stored = test.kubectl(&["get", object, "-o", "json"]).await.success();
    serde_json::from_str::<Value>(&stored).unwrap()["status"].clone()
}

fn status(object: &TenantPricing) -> Value {
    json!(object.status)
}

fn has_their_condition(object: &TenantPricing) -> bool {
    crate::harness::has(object, "example.com/Audited", "True")
}
