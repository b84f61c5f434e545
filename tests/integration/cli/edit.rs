//! The commands that edit by hand: `switch`, `cancel`, `suspend`, `resume`, `reconcile`.
//!
//! Each runs as a user who may edit `TenantPricing`s and nothing else. The controller makes every request to the
//! platform.

mod cancel;
mod confirmation;
mod owners;
mod reconcile;
mod refused;
mod suspend;
mod switch;

use serde_json::{Value, json};
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use crate::harness::{Test, User, has, reason};

/// A time at which nothing is switched yet.
const LATER: &str = "2031-05-01T00:00:00Z";

/// A running controller that observes a tenant in trial, by the object `acme`. Returns the id of the tenant.
async fn observed(test: &Test) -> String {
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is observed", |object| reason(object, "Ready") == "Observed").await;
    tenant
}

/// Likewise, with a switch that waits for [`LATER`].
async fn scheduled(test: &Test) -> String {
    let tenant = observed(test).await;
    let spec = json!({"spec": {"mode": "production", "switch": {"notBefore": LATER}}});
    test.edit::<TenantPricing>("acme", spec).await;
    test.until("acme", "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    tenant
}

/// The stored object, as the API server has it.
async fn stored(test: &Test, name: &str) -> Value {
    let printed = test.kubectl(&["get", "tp", name, "-o", "json", "--show-managed-fields"]).await.success();
    serde_json::from_str(&printed).unwrap()
}

/// The number of patches of `acme` by a user. They are all of its writes, and none is of a status.
async fn patches(user: &User<'_>) -> usize {
    let writes = user.writes().await;
    for write in &writes {
        assert_eq!(
            (write.verb.as_str(), write.resource.as_str(), write.subresource.as_str()),
            ("patch", "tenantpricings.tenantpricing.io", ""),
            "{write:?}"
        );
        assert!(write.uri.contains("fieldManager=tenantpricing-cli"), "{write:?}");
    }
    writes.len()
}

/// Waits until the tenant of `acme` is in production.
async fn switched(test: &Test) -> TenantPricing {
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await
}
