//! The two kinds of the group `tenantpricing.io`, their conditions, and the reasons of these.

mod columns;
pub mod conditions;
mod connection;
mod crd;
#[cfg(any(test, feature = "test-support"))]
pub mod invariants;
mod journal;
mod rules;
mod schema;
mod tenant_pricing;

pub use conditions::{
    ConditionStatus, ConditionType, ConnectionReason, ProductionReason, ReadyReason, ReconcilingReason,
    StalledReason,
};
pub use connection::{
    AllowedNamespaces, ConnectionSwitch, NamespacesFrom, PlatformConnection, PlatformConnectionSpec,
    PlatformConnectionStatus, SecretRef, SwitchBudget, TenantCounts,
};
pub use crd::custom_resource_definitions;
pub use journal::{Journal, Phase, SwitchedBy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
pub use tenant_pricing::{
    ConnectionRef, DesiredMode, Observed, SwitchAt, SwitchSpec, TenantPricing, TenantPricingSpec,
    TenantPricingStatus, TenantSelector,
};

/// The API group of both kinds.
pub const GROUP: &str = "tenantpricing.io";

/// The annotation that requests a reconcile at once. Any new value of at most 63 characters counts.
/// `status.lastHandledReconcileAt` repeats the value once the reconcile has read the tenant.
pub const RECONCILE_NOW: &str = "tenantpricing.io/reconcile-now";

/// The maximum length of the annotation in characters. A longer value is ignored, since it would fill memory and the
/// status.
pub const RECONCILE_NOW_LENGTH: usize = 63;

/// The value of the annotation that requests a reconcile at once, if it counts.
#[must_use]
pub fn reconcile_now(meta: &ObjectMeta) -> Option<&str> {
    let value = meta.annotations.as_ref()?.get(RECONCILE_NOW)?;
    is_short(value).then_some(value)
}

/// Whether a value of the annotation is short enough to count.
pub(crate) fn is_short(value: &str) -> bool {
    value.chars().take(RECONCILE_NOW_LENGTH + 1).count() <= RECONCILE_NOW_LENGTH
}
