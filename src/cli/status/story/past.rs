//! What happened to an object, from everything that the cluster records of it. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ManagedFieldsEntry};
use serde_json::Value;

use super::document::{Entry, Source};
use crate::{
    api::{ConditionType, Journal, Phase, RECONCILE_NOW, SwitchedBy, TenantPricing, TenantPricingStatus},
    calendar::month_name,
    cli::{events::record::EventView, output::time::month},
    cluster::FIELD_MANAGER,
    pricing::decide::switched,
};

/// What happened, the oldest first.
pub(super) fn entries(object: &TenantPricing, events: &[EventView], now: Timestamp) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(created) = &object.metadata.creation_timestamp {
        let text = "The object was created.".to_owned();
        entries.push(Entry { at: created.0, source: Source::Object, who: None, text });
    }
    if let Some(deleted) = &object.metadata.deletion_timestamp {
        let text = "The object is being deleted. That changes nothing on the platform.".to_owned();
        entries.push(Entry { at: deleted.0, source: Source::Object, who: None, text });
    }
    entries.extend(object.metadata.managed_fields.iter().flatten().filter_map(edit));
    if let Some(status) = &object.status {
        entries.extend(status.switch.iter().flat_map(attempt));
        entries.extend(reported(&status.conditions).map(condition));
        entries.extend(by_date(status, now));
    }
    entries.extend(events.iter().map(|event| Entry {
        at: event.at,
        source: Source::Event,
        who: Some(event.reporter.clone()).filter(|who| !who.is_empty()),
        text: format!("{} ({}): {}", event.reason, event.kind, event.message),
    }));
    // Times have whole seconds. Within one, the order of the sources and of their steps is kept.
    entries.sort_by_key(|entry| (entry.at, entry.source));
    entries
}

/// The last edit of a field manager, if it concerns the spec or asks for something.
fn edit(managed: &ManagedFieldsEntry) -> Option<Entry> {
    let at = managed.time.as_ref()?.0;
    let who = managed.manager.clone();
    let is_status = managed.subresource.as_deref() == Some("status");
    if is_status {
        let is_foreign = who.as_deref() != Some(FIELD_MANAGER);
        let text = "Wrote the status, which only the controller should do.".to_owned();
        return is_foreign.then_some(Entry { at, source: Source::Edit, who, text });
    }
    let fields = &managed.fields_v1.as_ref()?.0;
    let mut set = names(fields.pointer("/f:spec"), "spec.");
    let annotations = names(fields.pointer("/f:metadata/f:annotations"), "");
    set.extend(annotations.into_iter().filter(|name| name == RECONCILE_NOW));
    let text = format!("Set {}.", set.join(", "));
    (!set.is_empty()).then_some(Entry { at, source: Source::Edit, who, text })
}

/// The names of the fields that an entry of the managed fields lists.
fn names(fields: Option<&Value>, prefix: &str) -> Vec<String> {
    let names = fields.and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys());
    names.filter_map(|name| name.strip_prefix("f:")).map(|name| format!("{prefix}{name}")).collect()
}

/// What the journal says about the last attempt and its outcome.
fn attempt(journal: &Journal) -> Vec<Entry> {
    let mut entries = Vec::new();
    let who = || Some(FIELD_MANAGER.to_owned());
    if let Some(at) = journal.intent_at.as_ref().filter(|_| journal.attempts > 0) {
        let id = journal.attempt_id.as_deref().map_or_else(String::new, |id| format!(" ({id})"));
        let edit = journal
            .intent_generation
            .map_or_else(|| "an unknown edit".to_owned(), |number| format!("generation {number}"));
        let manager = journal.requested_by.as_deref().unwrap_or("unknown");
        let text = format!(
            "Attempt {}{id} was announced, for {edit}. spec.mode was set by the field manager {manager}.",
            journal.attempts
        );
        entries.push(Entry { at: at.0, source: Source::Journal, who: who(), text });
    }
    if let Some(at) = &journal.accepted_at {
        let text = "The platform accepted the switch: the tenant is billed.".to_owned();
        entries.push(Entry { at: at.0, source: Source::Journal, who: who(), text });
    }
    if let Some(at) = &journal.completed_at {
        let by = journal.by.unwrap_or(SwitchedBy::Platform);
        entries.push(Entry { at: at.0, source: Source::Journal, who: None, text: switched(by, at.0) });
    }
    entries
}

/// The conditions that say something of their own. While an object is Reconciling or Stalled, `Ready` repeats that.
fn reported(conditions: &[Condition]) -> impl Iterator<Item = &Condition> {
    let repeats = |ready: &Condition| {
        conditions.iter().any(|other| {
            other.type_ != ready.type_ && (&other.reason, &other.message) == (&ready.reason, &ready.message)
        })
    };
    conditions
        .iter()
        .filter(move |condition| condition.type_ != ConditionType::Ready.as_str() || !repeats(condition))
}

fn condition(condition: &Condition) -> Entry {
    Entry {
        at: condition.last_transition_time.0,
        source: Source::Condition,
        who: None,
        text: format!(
            "{} became {}, now for the reason {}: {}",
            condition.type_, condition.status, condition.reason, condition.message
        ),
    }
}

/// The platform's own date of a switch that the journal does not record.
fn by_date(status: &TenantPricingStatus, now: Timestamp) -> Option<Entry> {
    let at = switched_by_date(status, now)?;
    let text = "By the platform's own date, the tenant went into production.".to_owned();
    Some(Entry { at, source: Source::Platform, who: None, text })
}

/// The platform's date of a switch, if the tenant is past trial and the journal has none.
fn switched_by_date(status: &TenantPricingStatus, now: Timestamp) -> Option<Timestamp> {
    let observed = status.observed.as_ref().filter(|observed| observed.mode != "trial")?;
    let is_recorded = status.switch.as_ref().is_some_and(|journal| journal.completed_at.is_some());
    let date = observed.production_start_date.as_ref().map(|date| date.0);
    date.filter(|date| !is_recorded && *date <= now)
}

/// What was billed, in a sentence, and the first month on the bill.
pub(crate) fn bill(object: &TenantPricing, now: Timestamp) -> (String, Option<String>) {
    let Some(status) = &object.status else {
        return ("Not known: the controller has not read the tenant yet.".to_owned(), None);
    };
    let journal = status.switch.as_ref();
    let completed = journal.and_then(|journal| journal.completed_at.as_ref()).map(|at| at.0);
    if let Some(at) = completed.or_else(|| switched_by_date(status, now)) {
        let text = format!("{} was the first month on the bill, as a whole.", month_name(at));
        return (text, Some(month(at)));
    }
    let open = journal.filter(|journal| journal.phase == Phase::InFlight);
    if let Some(accepted) = open.and_then(|journal| journal.accepted_at.as_ref()) {
        let text =
            format!("The platform accepted the switch in {}: the tenant is billed.", month_name(accepted.0));
        return (text, Some(month(accepted.0)));
    }
    let text = match status.observed.as_ref().map(|observed| observed.mode.as_str()) {
        _ if open.is_some() => "The tenant may be billed: the outcome of the last attempt is not known.",
        Some("trial") => "Nothing: the tenant was in trial when it was last read.",
        Some("production" | "suspended") => {
            "The tenant is past trial. Which month was billed first is not known: the platform gave no date."
        }
        Some(_) => "Not known: the platform reports a mode that this version does not know.",
        None => "Not known: the controller has not read the tenant yet.",
    };
    (text.to_owned(), None)
}
