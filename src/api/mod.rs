//! The two kinds of the group `tenantpricing.io`, their conditions and the reasons these may carry.

mod columns;
mod condition;
mod connection;
mod crd;
#[cfg(any(test, feature = "test-support"))]
pub mod invariants;
mod journal;
mod rules;
mod schema;
mod tenant_pricing;

pub use condition::{
    ConditionType, ConnectionReason, ProductionReason, ReadyReason, ReconcilingReason, StalledReason,
};
pub use connection::{
    AllowedNamespaces, ConnectionSwitch, NamespacesFrom, PlatformConnection, PlatformConnectionSpec,
    PlatformConnectionStatus, SecretRef, SwitchBudget, TenantCounts,
};
pub use crd::custom_resource_definitions;
pub use journal::{Journal, Phase, SwitchedBy};
pub use tenant_pricing::{
    ConnectionRef, DesiredMode, Observed, SwitchAt, SwitchSpec, TenantPricing, TenantPricingSpec,
    TenantPricingStatus, TenantSelector,
};

/// The API group of both kinds.
pub const GROUP: &str = "tenantpricing.io";

/// The annotation that asks for a look at once. Any new value counts; the value is echoed in
/// `status.lastHandledReconcileAt` when the look has been taken.
pub const RECONCILE_NOW: &str = "tenantpricing.io/reconcile-now";
