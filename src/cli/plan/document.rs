//! The plan as data: what `plan -o json` prints, and what the other formats are made from. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/plan/v1";

/// What the controller will do if the manifests are applied.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// The format: `tenantpricing.io/plan/v1`.
    pub schema: String,
    /// The time that the plan is made for, in RFC 3339.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// What the manifests are compared with.
    pub compared_with: ComparedWith,
    /// Whether the platform was read. Without it, no mode of a tenant is known.
    pub platform_read: bool,
    /// The counts of the objects.
    pub summary: Summary,
    /// One entry for each object.
    pub objects: Vec<Entry>,
    /// What could not be read in the input, or is not known.
    pub notes: Vec<Note>,
}

/// What the manifests are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ComparedWith {
    /// Nothing: every object is new.
    Nothing,
    /// Another tree of manifests.
    Base,
    /// The objects in the cluster.
    Cluster,
}

/// The number of objects by what happens to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// The objects whose tenant is switched as soon as the manifests are applied.
    pub switches_now: usize,
    /// The objects whose tenant is switched later.
    pub switches_later: usize,
    /// The objects whose planned switch is cancelled.
    pub cancelled: usize,
    /// The objects that are refused, by the API server or by the controller.
    pub refused: usize,
    /// The objects whose future is not known.
    pub unknown: usize,
    /// The objects that change without a switch.
    pub changed: usize,
    /// The objects that do not change.
    pub unchanged: usize,
    /// The connections that change, if the manifests are compared with something.
    pub connections: usize,
}

/// What happens to one object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// Where the object stands in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How the object changes.
    pub change: Change,
    /// The tenant.
    pub tenant: TenantView,
    /// What happens to the tenant.
    pub outcome: Outcome,
    /// When it is switched, in RFC 3339. With a budget: at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// The number of days until then, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_days: Option<i64>,
    /// The first month on the bill, as in `2026-12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_month: Option<String>,
    /// The reason, as the conditions of the object will show it.
    pub reason: String,
    /// What happens, what it means for the bill, and what a person can do.
    pub message: String,
    /// Whether the object asks for production, so that an outcome that is not known can be a switch.
    #[serde(skip)]
    pub asks_for_production: bool,
    /// Why no controller of the chart watches the object. It is missing if one does, or if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_watched: Option<String>,
}

impl Entry {
    /// Whether a change may switch the tenant at once, as far as is known at `now`.
    pub(crate) fn may_switch_now(&self, now: Timestamp) -> bool {
        self.change != Change::None
            && match self.outcome {
                Outcome::SwitchNow => true,
                Outcome::Unknown => self.asks_for_production && self.at.is_none_or(|at| at <= now),
                _ => false,
            }
    }

    /// Whether a change may switch the tenant at any time, as far as is known.
    pub(crate) fn may_switch(&self) -> bool {
        self.change != Change::None
            && match self.outcome {
                Outcome::SwitchNow | Outcome::SwitchLater => true,
                Outcome::Unknown => self.asks_for_production,
                _ => false,
            }
    }
}

/// A place in the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    /// The file, as it was named. For a rendered manifest: the file that it was rendered from, as the manifest says.
    pub file: String,
    /// The line, from 1. It is 0 for the file as a whole, and 1 for a rendered manifest.
    pub line: u64,
    /// The column, from 1. It is 0 for the file as a whole, and 1 for a rendered manifest.
    pub column: u64,
    /// The place in the rendered text, such as `standard input:12:3`. It is missing if nothing was rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
}

/// How an object changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Change {
    /// The object is new.
    Create,
    /// The spec changes.
    Update,
    /// The object is in the base and no longer in the manifests. Whether the cluster loses it depends on the tool that
    /// applies the manifests.
    Delete,
    /// The spec stays as it is, and something else in the input changes what happens to the tenant: a connection,
    /// another object, or the labels.
    Indirect,
    /// It is not known, because the stored object could not be read. It may be new.
    Unknown,
    /// The spec stays as it is, and so does what happens to the tenant.
    None,
}

/// The tenant of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TenantView {
    /// The id, as in the spec or as it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name on the platform, or else as in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The mode on the platform. It is missing if the tenant was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What happens to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// Nothing is switched: a person must act first.
    Refused,
    /// It is not known, because something could not be read.
    Unknown,
    /// It is switched at once.
    SwitchNow,
    /// It is switched later.
    SwitchLater,
    /// A planned switch is cancelled.
    Cancelled,
    /// The object or its connection is suspended: nothing is read and nothing is switched.
    Suspended,
    /// An attempt is open, or the controller waits for something.
    InProgress,
    /// Nothing is switched: the tenant is as asked, or is only observed.
    NoSwitch,
}

/// Something about the input as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    /// Whether something was not read that may matter. The exit code is then 1.
    pub is_error: bool,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What it is, and the way out.
    pub message: String,
}

impl Note {
    /// Something that a reader should know, and that is no error.
    pub(crate) fn remark(message: String) -> Self {
        Self { is_error: false, source: None, message }
    }
}

impl Plan {
    /// Orders the entries and counts them. The same content always gives the same plan.
    pub(crate) fn complete(mut self) -> Self {
        let place = |entry: &Entry| (entry.outcome, entry.at, entry.namespace.clone(), entry.name.clone());
        self.objects.sort_by_cached_key(place);
        let mut summary = Summary { connections: self.summary.connections, ..Summary::default() };
        for entry in &self.objects {
            *summary.count_of(entry) += 1;
        }
        self.summary = summary;
        self
    }

    /// Whether anything changes.
    pub(crate) fn has_changes(&self) -> bool {
        self.summary.connections > 0 || self.objects.iter().any(|entry| entry.change != Change::None)
    }

    /// Whether something that changes is refused.
    pub(crate) fn has_refusals(&self) -> bool {
        self.summary.refused > 0
    }
}

impl Summary {
    fn count_of(&mut self, entry: &Entry) -> &mut usize {
        match (entry.change, entry.outcome) {
            (Change::None, _) => &mut self.unchanged,
            (_, Outcome::SwitchNow) => &mut self.switches_now,
            (_, Outcome::SwitchLater) => &mut self.switches_later,
            (_, Outcome::Cancelled) => &mut self.cancelled,
            (_, Outcome::Refused) => &mut self.refused,
            (_, Outcome::Unknown) => &mut self.unknown,
            (_, Outcome::Suspended | Outcome::InProgress | Outcome::NoSwitch) => &mut self.changed,
        }
    }
}
