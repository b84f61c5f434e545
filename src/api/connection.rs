//! `PlatformConnection`: how one data centre of the platform is reached, and by whom it may be used.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SwitchAt;

/// Access to one data centre of the platform.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tenantpricing.io",
    version = "v1alpha1",
    kind = "PlatformConnection",
    plural = "platformconnections",
    shortname = "pconn",
    namespaced,
    status = "PlatformConnectionStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct PlatformConnectionSpec {
    /// The data centre's URL, for example `https://eu2-cloud.acronis.com`.
    pub url: String,

    /// The Secret with the API client's credentials, in the same namespace.
    pub credentials_secret_ref: SecretRef,

    /// The namespaces whose `TenantPricing` objects may use this connection.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,

    /// Requests per second sent to the platform through this connection.
    #[serde(default = "default_rate")]
    pub requests_per_second: u32,

    /// How often a tenant in trial is looked at. Tenants in production are looked at once a day.
    #[serde(default = "default_poll_interval")]
    pub poll_interval: String,

    /// Defaults and limits for the switches made through this connection.
    #[serde(default)]
    pub switch: ConnectionSwitch,

    /// Certificates of a private certificate authority, PEM, trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,

    /// The emergency stop: while true no call at all is made through this connection.
    #[serde(default)]
    pub suspend: bool,
}

fn default_rate() -> u32 {
    10
}

fn default_poll_interval() -> String {
    "10m".to_owned()
}

/// Names a Secret in the connection's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// The Secret's name. Its keys are `clientId` and `clientSecret`.
    pub name: String,
}

/// Which namespaces may use a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedNamespaces {
    /// `Same`: the connection's own. `All`: every one. `Selector`: those that `selector` picks by their labels.
    #[serde(default)]
    pub from: NamespacesFrom,

    /// Picks namespaces by label; goes with `from: Selector` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// The ways of admitting namespaces, as the Gateway API has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The connection's own namespace.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// The namespaces a label selector picks.
    Selector,
}

/// Defaults and limits for switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSwitch {
    /// When a switch takes place if the `TenantPricing` does not say.
    #[serde(default)]
    pub at: SwitchAt,

    /// No more switches than this, so that one bad commit cannot switch everybody.
    #[serde(default)]
    pub budget: SwitchBudget,
}

/// So many switches in so much time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwitchBudget {
    /// The number of switches.
    #[serde(default = "default_count")]
    pub count: u32,

    /// The sliding window in which they are counted.
    #[serde(default = "default_window")]
    pub window: String,
}

fn default_count() -> u32 {
    100
}

fn default_window() -> String {
    "1h".to_owned()
}

impl Default for SwitchBudget {
    fn default() -> Self {
        Self { count: default_count(), window: default_window() }
    }
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformConnectionStatus {
    /// The generation that this status speaks of; -1 until it was first looked at.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,

    /// The tenant the credentials act in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,

    /// How many tenants the objects of this connection show in each mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<TenantCounts>,

    /// `Ready`, with a reason that says why not.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

fn never_observed() -> i64 {
    -1
}

impl Default for PlatformConnectionStatus {
    fn default() -> Self {
        Self { observed_generation: never_observed(), tenant_id: None, tenants: None, conditions: Vec::new() }
    }
}

/// Tenants by mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TenantCounts {
    /// In trial.
    #[serde(default)]
    pub trial: u32,
    /// In production.
    #[serde(default)]
    pub production: u32,
    /// Suspended by the platform.
    #[serde(default)]
    pub suspended: u32,
    /// In a mode not known here, or not seen yet.
    #[serde(default)]
    pub unknown: u32,
}
