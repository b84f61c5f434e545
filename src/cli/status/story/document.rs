//! The story of one object as data: what `status NAME -o json` prints, and what the text is made from. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::status::document::ObjectView;

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/story/v1";

/// What happened to one object, what was billed, and what happens next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Story {
    /// The format: `tenantpricing.io/story/v1`.
    pub schema: String,
    /// The time of this report, in RFC 3339.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// The object as it is.
    pub object: ObjectView,
    /// The field manager that set `spec.mode`. Each client chooses this name, so it is a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// What happened. The oldest comes first.
    pub past: Vec<Entry>,
    /// What was billed, in a sentence.
    pub bill: String,
    /// The first month on the bill, as in `2026-11`. It is missing if there is none, or if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_month: Option<String>,
    /// What happens next, by the rules of the controller.
    pub next: Vec<Step>,
    /// What cannot be known from the cluster alone.
    pub unknown: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// When, in RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Where this is recorded.
    pub source: Source,
    /// Who did it, if that is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What happened.
    pub text: String,
}

/// Where something is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Source {
    /// In the metadata of the object.
    Object,
    /// In the managed fields: the last edit of each field manager.
    Edit,
    /// In the journal of the switch.
    Journal,
    /// In a condition: its last change.
    Condition,
    /// In an event. The API server keeps events for an hour.
    Event,
    /// In what the platform reported.
    Platform,
}

impl Source {
    /// The source for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Edit => "edit",
            Self::Journal => "journal",
            Self::Condition => "condition",
            Self::Event => "event",
            Self::Platform => "platform",
        }
    }
}

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// When, in RFC 3339. It is missing if that is now, or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// The reason, as a condition would show it.
    pub reason: String,
    /// What happens, and what it means for the bill.
    pub text: String,
    /// The first month on the bill, as in `2026-12`, if something is billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_month: Option<String>,
}
