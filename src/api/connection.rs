//! `PlatformConnection`: how to reach one data centre of the platform, and who may use the connection.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SwitchAt, rules, schema};

/// How the data centre is reached, by which objects, and within which limits.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tenantpricing.io",
    version = "v1alpha1",
    kind = "PlatformConnection",
    plural = "platformconnections",
    shortname = "pconn",
    namespaced,
    status = "PlatformConnectionStatus",
    derive = "PartialEq",
    doc = "Access to one data centre of the platform: its URL, the credentials of an API client, and limits.\n\n\
           TenantPricing objects name a connection in `connectionRef`. URL and credentials always come from the \
           same connection, so that credentials are never sent anywhere else. `suspend: true` is the emergency \
           stop for everything that goes through it."
)]
#[serde(rename_all = "camelCase")]
pub struct PlatformConnectionSpec {
    /// The URL of the data centre, such as `https://eu2-cloud.acronis.com`: scheme, host and optionally a port, and
    /// nothing else. The controller must allow the host (its flag `--allowed-hosts`).
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = rules::url_has_scheme(),
        validation = rules::url_has_no_user_info(),
        validation = rules::url_has_no_path(),
        validation = rules::url_has_plain_host()
    )]
    pub url: String,

    /// The Secret with the credentials of the platform's API client. It must be in the namespace of the connection, and
    /// have the keys `clientId` and `clientSecret`.
    #[x_kube(merge_strategy = StructMerge::Atomic)]
    pub credentials_secret_ref: SecretRef,

    /// The namespaces whose `TenantPricing` objects may use this connection. Without it: only the namespace of the
    /// connection.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,

    /// The maximum number of requests per second through this connection, from 1 to 1000. After a pause, as many
    /// requests as in one second may be sent at once.
    #[serde(default = "default_rate")]
    #[x_kube(validation = rules::rate_is_sensible())]
    pub requests_per_second: u32,

    /// How often a tenant in trial is read, from `10s` to `24h`, written such as `90s`, `10m` or `1h30m`. Tenants in
    /// production are read once a day.
    #[serde(default = "default_poll_interval")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::is_duration(), validation = rules::poll_interval_is_sensible())]
    pub poll_interval: String,

    /// Defaults and limits for the switches through this connection.
    #[serde(default)]
    pub switch: ConnectionSwitch,

    /// Certificates of a private certificate authority, as PEM text. They are trusted in addition to the system's
    /// certificates. At most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    #[x_kube(validation = rules::is_certificate_bundle(), validation = rules::bundle_has_no_private_key())]
    pub ca_bundle: Option<String>,

    /// The emergency stop. While it is true, no call at all is made through this connection, and no tenant is switched.
    #[serde(default)]
    pub suspend: bool,
}

fn default_rate() -> u32 {
    10
}

fn default_poll_interval() -> String {
    "10m".to_owned()
}

/// Names a Secret in the namespace of the connection.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef {
    /// The name of the Secret. Its keys are `clientId` and `clientSecret`.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::is_object_name())]
    pub name: String,
}

/// Which namespaces may use a connection.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = rules::selector_is_given(),
    validation = rules::selector_is_used(),
    validation = rules::selector_selects()
)]
pub struct AllowedNamespaces {
    /// `Same`: the namespace of the connection. `All`: every namespace. `Selector`: the namespaces that `selector`
    /// matches by their labels.
    #[serde(default)]
    pub from: NamespacesFrom,

    /// Matches namespaces by their labels. Must be given with `from: Selector`, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
}

/// The ways of admitting namespaces, as in the Gateway API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The namespace of the connection.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// The namespaces that the label selector matches.
    Selector,
}

/// Defaults and limits for switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSwitch {
    /// When a switch takes place if the `TenantPricing` does not say.
    ///
    /// `Immediately`: as soon as it is requested. The whole current month is billed.
    ///
    /// `MonthStart`: on the first day of a month, UTC.
    #[serde(default)]
    pub at: SwitchAt,

    /// The maximum number of switches in a window of time, so that one bad commit cannot switch every tenant. Further
    /// switches wait, in the order in which they became due.
    #[serde(default)]
    pub budget: SwitchBudget,
}

/// A maximum number of switches in a window of time.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchBudget {
    /// The number of switches, from 0 (none at all) to 1000000.
    #[serde(default = "default_count")]
    #[x_kube(validation = rules::count_is_sensible())]
    pub count: u32,

    /// The length of the sliding window, from `1m` to `744h`, written such as `1h`.
    #[serde(default = "default_window")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::is_duration(), validation = rules::window_is_sensible())]
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

/// The state of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformConnectionStatus {
    /// The generation that this status describes; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,

    /// The tenant in which the credentials act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tenant_id: Option<String>,

    /// The number of tenants in each mode, among the objects of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<TenantCounts>,

    /// `Ready`: the platform accepted the credentials, or `spec.suspend` is true. Otherwise `Stalled` is present if a
    /// person must act, and `Reconciling` if the controller retries. The reason and the message say why.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
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

/// The number of tenants by mode.
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
    /// In a mode that the controller does not know, or not seen yet.
    #[serde(default)]
    pub unknown: u32,
}
