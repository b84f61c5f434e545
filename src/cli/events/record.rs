//! Events as data: what `events -o json` prints, and what tables and lines are made from. Pure.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use schemars::JsonSchema;
use serde::Serialize;

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/events/v1";

/// Events about TenantPricings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Events {
    /// The format: `tenantpricing.io/events/v1`.
    pub schema: String,
    /// The events. The oldest comes first.
    pub events: Vec<EventView>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventView {
    /// When it was last seen, in RFC 3339.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Normal or Warning.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason.
    pub reason: String,
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// Who reported it.
    pub reporter: String,
    /// What happened.
    pub message: String,
}

impl EventView {
    /// The view of an event.
    pub(crate) fn of(event: Event) -> Self {
        let series = event.series.map(|series| series.last_observed_time.0);
        let deprecated = event.deprecated_last_timestamp.map(|time| time.0);
        let created = event.metadata.creation_timestamp.map(|time| time.0);
        let at = series.or(event.event_time.map(|time| time.0)).or(deprecated).or(created);
        let about = event.regarding.unwrap_or_default();
        let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            at: Timestamp::from_second(at.as_second()).unwrap_or(at),
            kind: event.type_.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            namespace: about.namespace.or(event.metadata.namespace).unwrap_or_default(),
            name: about.name.unwrap_or_default(),
            reporter: event.reporting_controller.unwrap_or_default(),
            message: event.note.unwrap_or_default(),
        }
    }
}

/// The order in which events happened. Their times have fractions, which the views leave out.
pub(crate) fn in_order(mut events: Vec<Event>) -> Vec<EventView> {
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    let mut views: Vec<EventView> = events.into_iter().map(EventView::of).collect();
    views.sort_by_key(|view| view.at);
    views
}
