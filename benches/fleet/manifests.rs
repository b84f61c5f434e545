//! The objects of the fleet, and their paths.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::platform;

/// The fleet's namespace.
pub const NAMESPACE: &str = "fleet";

/// All `TenantPricing` objects.
pub const EVERYTHING: &str = "/apis/tenantpricing.io/v1alpha1/tenantpricings";
/// Those of the fleet.
pub const FLEET: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/fleet/tenantpricings";
/// The connections.
pub const CONNECTIONS: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/fleet/platformconnections";
/// The Secrets.
pub const SECRETS: &str = "/api/v1/namespaces/fleet/secrets";

/// The path of one of the fleet.
pub fn path(name: &str) -> String {
    format!("{FLEET}/{name}")
}

/// The object's name for the tenant with this number.
pub fn object_name(number: usize) -> String {
    format!("tenant-{number:05}")
}

/// An object for the tenant with this number.
pub fn tenant_pricing(number: usize, mode: &str) -> Value {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1",
        "kind": "TenantPricing",
        "metadata": {"name": object_name(number), "namespace": NAMESPACE},
        "spec": {"tenant": {"id": platform::id(number)}, "mode": mode},
    })
}

/// An object that asks for production of the tenant with this number by its name.
pub fn by_name(number: usize) -> Value {
    let mut object = tenant_pricing(number, "production");
    object["spec"]["tenant"] = json!({"name": platform::name(number)});
    object
}

/// The credentials.
pub fn secret(client_id: &str, client_secret: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "stringData": {"clientId": client_id, "clientSecret": client_secret},
    })
}

/// A connection whose rate and budget hold nothing back.
pub fn connection(url: &str, poll: Duration) -> Value {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1",
        "kind": "PlatformConnection",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {
            "url": url,
            "credentialsSecretRef": {"name": "default"},
            "requestsPerSecond": 1000,
            "pollInterval": seconds(poll),
            "switch": {"budget": {"count": 1_000_000, "window": "1h"}},
        },
    })
}

/// A length of time as a connection wants it.
pub fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

/// The status that a controller writes for a tenant in trial that is to be in trial, as a patch: what the bare
/// patches send, so that they are like those of the controller.
pub fn status_patch(object: &Value, number: usize, now: Timestamp, ends: Timestamp) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": whole_seconds(now), "observedGeneration": 1,
        })
    };
    let (metadata, ends) = (&object["metadata"], whole_seconds(ends));
    let in_sync = format!(
        "The tenant is in trial, as asked. Nothing is billed. The platform will switch it to production \
         automatically on {ends}."
    );
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1",
        "kind": "TenantPricing",
        "metadata": {
            "name": metadata["name"], "namespace": NAMESPACE,
            "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
        },
        "status": {
            "observedGeneration": 1,
            "tenantId": platform::id(number),
            "observed": {
                "mode": "trial", "tenantName": platform::name(number), "productionStartDate": ends,
            },
            "conditions": [
                condition("Production", "False", "Trial", "The tenant is in trial; nothing is billed."),
                condition("Ready", "True", "InSync", &in_sync),
            ],
        },
    })
}

fn whole_seconds(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
