//! `TenantPricing`: what a person wants of one tenant's pricing mode, and what was done about it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Journal;

/// The pricing mode wanted for one customer tenant.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tenantpricing.io",
    version = "v1alpha1",
    kind = "TenantPricing",
    plural = "tenantpricings",
    shortname = "tp",
    namespaced,
    status = "TenantPricingStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct TenantPricingSpec {
    /// The tenant. Cannot be changed: one object stands for one tenant for good.
    pub tenant: TenantSelector,

    /// The mode the tenant is to have. Leave it out to observe only: nothing is ever written then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DesiredMode>,

    /// How a switch from trial to production is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchSpec>,

    /// The `PlatformConnection` through which the tenant is reached.
    #[serde(default)]
    pub connection_ref: ConnectionRef,

    /// True holds everything: the tenant is neither read nor switched.
    #[serde(default)]
    pub suspend: bool,
}

/// Names one tenant, by exactly one of its id and its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantSelector {
    /// The tenant's id, a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// The exact, case-sensitive name of a customer tenant anywhere below the connection's own tenant.
    /// It is looked up once; from then on the id found counts (`status.tenantId`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The modes that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DesiredMode {
    /// Free of charge, until the platform ends it by itself.
    Trial,
    /// Billed. There is no way back.
    Production,
}

/// How a switch is carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwitchSpec {
    /// `Immediately`, or `MonthStart`: on the first day of a month, UTC, so that no started month is billed.
    /// Default: what the connection says, else `Immediately`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SwitchAt>,

    /// Nothing is switched before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
}

/// When a switch takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SwitchAt {
    /// As soon as it is asked for. The whole current month is billed.
    #[default]
    Immediately,
    /// On the first day of a month, UTC.
    MonthStart,
}

/// Points at a `PlatformConnection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// The connection's name.
    #[serde(default = "default_connection")]
    pub name: String,

    /// The connection's namespace. Default: the object's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

fn default_connection() -> String {
    "default".to_owned()
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self { name: default_connection(), namespace: None }
    }
}

/// What was last seen and done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantPricingStatus {
    /// The generation of the object that this status speaks of; -1 until it was first looked at.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,

    /// The tenant's id, pinned when the tenant was first found. A name that later leads to another tenant
    /// is refused, never followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,

    /// What the platform last said of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,

    /// The journal of the one switch. Absent when nothing was asked, after a cancel, and for a tenant that
    /// was in production before it was first looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Journal>,

    /// The value of the annotation `tenantpricing.io/reconcile-now` that was last acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The state of the object: `Ready`, `Production`, and while they apply `Reconciling` or `Stalled`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

fn never_observed() -> i64 {
    -1
}

impl Default for TenantPricingStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            tenant_id: None,
            observed: None,
            switch: None,
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
        }
    }
}

/// What the platform said of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The pricing mode, in the platform's word: `trial`, `production`, `suspended`, or one not known here.
    pub mode: String,

    /// The tenant's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,

    /// In trial: when the platform will switch the tenant by itself. Otherwise: when the switch happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production_start_date: Option<Time>,
}
