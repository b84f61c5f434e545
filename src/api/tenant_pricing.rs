//! `TenantPricing`: which pricing mode a user requests for one tenant, and what was done about it.
//!
//! `kubectl explain` prints the doc comments of fields, so they address its reader.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Journal, Phase, rules, schema};

/// What is requested. Every field may be written at any time, with two exceptions. `tenant` stays as it was created,
/// and a `mode: production` that has passed the point of no return cannot be taken back.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tenantpricing.io",
    version = "v1alpha1",
    kind = "TenantPricing",
    plural = "tenantpricings",
    shortname = "tp",
    namespaced,
    status = "TenantPricingStatus",
    derive = "PartialEq",
    doc = "The requested and the observed pricing mode of one customer tenant.\n\n\
           A customer tenant starts in trial and can be switched to production exactly once. The switch starts \
           billing, bills the whole current month, and can never be undone. `mode: production` asks for it; the \
           controller carries it out once, on the right day, and records it in the status. Deleting the object \
           changes nothing on the platform.",
    validation = rules::trial_is_not_asked_for_again(),
    validation = rules::production_stays_while_in_flight(),
    selectable = ".spec.mode",
    selectable = ".spec.tenant.id",
    selectable = ".status.switch.phase"
)]
#[serde(rename_all = "camelCase")]
pub struct TenantPricingSpec {
    /// The tenant, given by exactly one of its id and its name. It cannot be changed: one object stands for one tenant
    /// for good.
    pub tenant: TenantSelector,

    /// The requested mode of the tenant.
    ///
    /// `production` switches the tenant, once and for good, if it is still in trial. The switch takes place at the time
    /// that `switch` says. Until it is in flight (`status.switch.phase` is `InFlight`), changing the mode to `trial` or
    /// removing it cancels the switch.
    ///
    /// `trial` states that the tenant should stay in trial. It prevents nothing: the platform switches a tenant
    /// automatically after one full calendar month, and this object reports that.
    ///
    /// Without it, the tenant is only observed, and nothing is ever written to the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DesiredMode")]
    pub mode: Option<DesiredMode>,

    /// How a switch from trial to production is carried out. Without it: as the connection says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchSpec>,

    /// The `PlatformConnection` through which the tenant is reached. Without it: the one named `default` in the
    /// namespace of the object.
    #[serde(default)]
    #[x_kube(merge_strategy = StructMerge::Atomic)]
    pub connection_ref: ConnectionRef,

    /// If true, the tenant is neither read nor switched. A switch that is already in flight is still followed to its
    /// end.
    #[serde(default)]
    pub suspend: bool,
}

/// Names one tenant, by exactly one of its id and its name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
#[x_kube(
    validation = rules::tenant_is_named(),
    validation = rules::tenant_is_named_once(),
    validation = rules::tenant_is_immutable()
)]
pub struct TenantSelector {
    /// The id of the tenant, a UUID in upper or lower case, such as `0fcd4a69-8a40-4de8-b711-d9c83dc000f7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::is_uuid())]
    pub id: Option<String>,

    /// The exact, case-sensitive name of a customer tenant anywhere below the connection's own tenant. The id that is
    /// found first is pinned (`status.tenantId`). Before a switch, a listing of all tenants below the connection's own
    /// must show that exactly one customer has the name. A tenant that no longer has the name is not switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(
        validation = rules::name_is_not_blank(),
        validation = rules::name_is_not_overlong(),
        validation = rules::name_is_one_line()
    )]
    pub name: Option<String>,
}

/// The modes that can be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DesiredMode {
    /// Free of charge, until the platform ends it automatically.
    Trial,
    /// Billed. The switch to it cannot be reversed.
    Production,
}

/// How a switch is carried out.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchSpec {
    /// `Immediately`: as soon as it is requested. The whole current month is billed.
    ///
    /// `MonthStart`: on the first day of a month, UTC, so that no month is billed that had already begun. If today is a
    /// first day, that is today.
    ///
    /// Without it: what `switch.at` of the connection says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SwitchAt")]
    pub at: Option<SwitchAt>,

    /// Nothing is switched before this time, in RFC 3339 with a zone, such as `2026-12-01T00:00:00Z`. With `at:
    /// MonthStart`: the first day of a month that is not before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::instant_is_near())]
    pub not_before: Option<Time>,
}

/// When a switch takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SwitchAt {
    /// As soon as it is requested. The whole current month is billed.
    #[default]
    Immediately,
    /// On the first day of a month, UTC.
    MonthStart,
}

/// Refers to a `PlatformConnection`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// The name of the connection.
    #[serde(default = "default_connection")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::is_object_name())]
    pub name: String,

    /// The namespace of the connection. Without it: the namespace of the object. A connection in another namespace must
    /// admit this one (its `allowedNamespaces`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::is_namespace_name())]
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

/// What was last read and done. Only the controller writes it.
// Every value fits: `cluster/write.rs` cuts a value that is longer than these limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantPricingStatus {
    /// The generation that this status describes; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,

    /// The id of the tenant, pinned when the tenant was first found. A name that later leads to another tenant is
    /// refused, never followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tenant_id: Option<String>,

    /// What the platform last reported about the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,

    /// The journal of the one switch from trial to production. It is absent if no switch was requested, after a cancel,
    /// and for a tenant that was in production when it was first read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Journal>,

    /// The last value of the annotation `tenantpricing.io/reconcile-now` that was acted upon. A value of more than 63
    /// characters is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub last_handled_reconcile_at: Option<String>,

    /// The state of the object.
    ///
    /// `Ready`: everything that the spec asks for by now is done. A switch that waits for its time is Ready.
    ///
    /// `Production`: the platform reports that the tenant is in production.
    ///
    /// `Reconciling`: present while the controller works, or waits to retry.
    ///
    /// `Stalled`: present while a person must act. The message says what to do.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

impl TenantPricingStatus {
    /// The phase of the switch, if the journal has one.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.switch.as_ref().map(|journal| journal.phase)
    }

    /// Whether an attempt is open: its outcome is not in the journal yet.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.phase() == Some(Phase::InFlight)
    }

    /// The journal, if its attempt is open.
    #[must_use]
    pub fn open_journal(&self) -> Option<&Journal> {
        self.switch.as_ref().filter(|_| self.is_in_flight())
    }
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

/// What the platform reported about a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The pricing mode, in the platform's word: `trial`, `production`, `suspended` (which is past production), or one
    /// that the controller does not know.
    #[schemars(length(max = 256))]
    pub mode: String,

    /// The name of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub tenant_name: Option<String>,

    /// In trial: when the platform will switch the tenant automatically. Otherwise: when the switch happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production_start_date: Option<Time>,
}
