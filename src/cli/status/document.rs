//! The state of a fleet as data: what `status -o json` prints, and what the other formats are made from. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/status/v1";

/// The state of the TenantPricings of a namespace or of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// The format: `tenantpricing.io/status/v1`.
    pub schema: String,
    /// The time of this report, in RFC 3339.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// The namespace that was read. It is missing if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The label selector, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The number of objects by the mode of their tenant.
    pub modes: Vec<ModeCount>,
    /// The connections that the objects name, and the others of the namespace.
    pub connections: Vec<ConnectionView>,
    /// The switches that wait for their time or for admission. The first comes first.
    pub scheduled: Vec<Scheduled>,
    /// The attempts whose outcome is not known yet. The oldest comes first.
    pub in_flight: Vec<InFlight>,
    /// What stalls, by reason. The reason with the most objects comes first.
    pub stalled: Vec<Stall>,
    /// The tenants that the platform will switch to production automatically, until `automaticUntil`.
    pub automatic: Vec<Automatic>,
    /// The end of the time for which `automatic` holds, in RFC 3339.
    #[schemars(with = "String")]
    pub automatic_until: Timestamp,
    /// Each object, by namespace and name.
    pub objects: Vec<ObjectView>,
    /// What could not be read, and what that means.
    pub notes: Vec<String>,
}

/// The number of objects whose tenant was last seen in one mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModeCount {
    /// The mode: trial, production, suspended or unknown.
    pub mode: String,
    /// The objects that are Ready.
    pub ready: u32,
    /// The objects that are Reconciling or Stalled.
    pub not_ready: u32,
    /// The objects that the controller has not reconciled yet.
    pub not_seen: u32,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionView {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The URL of the platform. It is missing if the connection does not exist or cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The status of `Ready`: True, False, or missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// The reason of `Ready`, or why the connection is not known.
    pub reason: String,
    /// The objects by the mode of their tenant.
    pub modes: Vec<ModeCount>,
    /// The tenants in trial. A tenant counts once, however many objects name it.
    pub trial: u32,
    /// The tenants in production.
    pub production: u32,
    /// The tenants that the platform has suspended.
    pub suspended: u32,
    /// The tenants in an unknown mode, or not seen yet.
    pub unknown: u32,
    /// The switches that wait.
    pub scheduled: u32,
    /// How much of the budget is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetView>,
}

/// The budget of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BudgetView {
    /// The maximum number of switches in the window.
    pub count: u32,
    /// The window, as in `1 h`.
    pub window: String,
    /// The switches that count now, by the journals of the objects that were read.
    pub used: u32,
    /// Whether every object that may use the connection was read. If not, more switches may count than `used`.
    pub complete: bool,
    /// When the next switch has room, in RFC 3339, if none has now. It is missing too if the budget is zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_room: Option<Timestamp>,
}

/// An object and its tenant, as other parts refer to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subject {
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The name of the tenant, or its id if the name is not known.
    pub tenant: String,
}

/// A switch that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scheduled {
    /// The time before which nothing is sent, in RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The object.
    #[serde(flatten)]
    pub subject: Subject,
    /// The first month on the bill if it is switched at that time, as in `2026-12`.
    pub billed_month: String,
    /// The reason of `Ready`, which says what it waits for.
    pub reason: String,
}

/// An attempt whose outcome is not in the journal yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InFlight {
    /// When the attempt was announced, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The object.
    #[serde(flatten)]
    pub subject: Subject,
    /// The number of the attempt.
    pub attempt: u32,
    /// When the platform accepted it, in RFC 3339. The tenant is billed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub accepted: Option<Timestamp>,
}

/// What stalls for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stall {
    /// The reason of the condition `Stalled`.
    pub reason: String,
    /// What to do about it, as the reference says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The objects, the one that stalled first before the others.
    pub objects: Vec<StalledObject>,
}

/// An object that is stalled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StalledObject {
    /// Since when, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The object.
    #[serde(flatten)]
    pub subject: Subject,
    /// What happened, and what to do.
    pub message: String,
}

/// A tenant that the platform will switch automatically.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Automatic {
    /// When, in RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The object.
    #[serde(flatten)]
    pub subject: Subject,
    /// The first month on the bill, as in `2026-12`.
    pub billed_month: String,
}

/// The state of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectView {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The connection, as `namespace/name`.
    pub connection: String,
    /// The id of the tenant, as in the spec or as it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The name of the tenant, as last read or else as in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// The mode that is asked for. It is missing if the tenant is only observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// The mode of the tenant, as last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What the conditions say.
    pub state: ObjectState,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when the conditions say that, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// Whether the spec has changed since the controller reported.
    pub outdated: bool,
    /// The phase of the switch: `Scheduled`, `InFlight` or `Completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The time before which nothing is sent, while the switch waits, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub scheduled_for: Option<Timestamp>,
    /// When the switch was done, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub switched_at: Option<Timestamp>,
    /// When the platform will switch the tenant automatically, if it will, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub automatic_switch: Option<Timestamp>,
}

/// What the conditions of an object say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ObjectState {
    /// All that is asked for by now is done.
    Ready,
    /// The controller works, or waits to retry.
    Reconciling,
    /// A person must act.
    Stalled,
    /// The controller has not reconciled the object yet.
    NotSeen,
}

impl ObjectState {
    /// The state for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::NotSeen => "NotSeen",
        }
    }
}
