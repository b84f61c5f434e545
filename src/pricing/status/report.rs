//! The status, from the decision and the outcome. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions;
use crate::{
    api::{Journal, Observed, Phase, TenantPricing, TenantPricingStatus, reconcile_now},
    pricing::{
        decide::{Decision, JournalStep, Verdict},
        facts::{Facts, Seen},
    },
};

/// The announcement of an attempt, for the journal.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Random, new for every attempt.
    pub attempt_id: String,
    /// The instant the switch was scheduled for.
    pub scheduled_for: Timestamp,
}

/// The status after a read: what was seen, and what was decided.
#[must_use]
pub fn status(facts: &Facts<'_>, decision: &Decision) -> TenantPricingStatus {
    let previous = facts.object.status.clone().unwrap_or_default();
    if decision.verdict == Verdict::Unchanged {
        return echoing(facts.object, previous);
    }
    let mut next = observed(facts, &previous);
    next.switch = journal(facts, decision, previous.switch.clone());
    with_conditions(facts, decision, &previous, next)
}

/// The status that announces an attempt. It is written before anything is sent.
#[must_use]
pub fn announcing(facts: &Facts<'_>, decision: &Decision, intent: &Intent) -> TenantPricingStatus {
    let previous = facts.object.status.clone().unwrap_or_default();
    let mut next = observed(facts, &previous);
    let attempts = previous.switch.as_ref().map_or(0, |journal| journal.attempts);
    next.switch = Some(Journal {
        phase: Phase::InFlight,
        scheduled_for: Some(Time(intent.scheduled_for)),
        intent_at: Some(Time(facts.now)),
        intent_generation: facts.object.metadata.generation,
        attempts: attempts.saturating_add(1),
        attempt_id: Some(intent.attempt_id.clone()),
        platform: facts.connection().map(|connection| connection.origin.as_str().to_owned()),
        connection: facts.connection().map(|connection| connection.key.clone()),
        accepted_at: None,
        completed_at: None,
        by: None,
        requested_by: requested_by(facts.object),
    });
    with_conditions(facts, decision, &previous, next)
}

/// The object, as if a status with the tenant just seen were stored. So a change between two reads of one reconcile
/// counts as a change, like one between two reconciles.
#[must_use]
pub fn having_seen(object: &TenantPricing, seen: &Seen) -> TenantPricing {
    let mut object = object.clone();
    object.status.get_or_insert_default().observed = Some(observation(seen));
    object
}

fn observation(seen: &Seen) -> Observed {
    Observed {
        mode: seen.mode().to_string(),
        tenant_name: Some(seen.tenant.name.clone()),
        production_start_date: seen.production_start().map(Time),
    }
}

fn observed(facts: &Facts<'_>, previous: &TenantPricingStatus) -> TenantPricingStatus {
    let mut next = echoing(facts.object, previous.clone());
    next.observed_generation = facts.object.metadata.generation.unwrap_or_default();
    if let Some(seen) = facts.own() {
        let mut observed = observation(seen);
        if let Some(before) = previous.observed.as_ref().filter(|before| before.mode == observed.mode) {
            // Not every answer has the date. While the mode stays, so does the known date.
            let date = observed.production_start_date.take();
            observed.production_start_date = date.or_else(|| before.production_start_date.clone());
        }
        next.observed = Some(observed);
        next.tenant_id.get_or_insert_with(|| seen.tenant.id.to_string());
    }
    next
}

/// Echoes the value of the reconcile-now annotation, once the read that it requests was made.
fn echoing(object: &TenantPricing, mut status: TenantPricingStatus) -> TenantPricingStatus {
    if let Some(value) = reconcile_now(&object.metadata) {
        status.last_handled_reconcile_at = Some(value.to_owned());
    }
    status
}

fn with_conditions(
    facts: &Facts<'_>,
    decision: &Decision,
    previous: &TenantPricingStatus,
    mut next: TenantPricingStatus,
) -> TenantPricingStatus {
    let production = conditions::production(previous, &next, facts.own().map(Seen::mode));
    next.conditions = conditions::conditions(
        &previous.conditions,
        next.observed_generation,
        decision.verdict,
        &decision.message,
        &production,
        facts.now,
    );
    next
}

fn journal(facts: &Facts<'_>, decision: &Decision, stored: Option<Journal>) -> Option<Journal> {
    match decision.journal {
        JournalStep::Keep => stored,
        JournalStep::Cancel => None,
        JournalStep::Schedule(at) if facts.scheduled_for() == Some(at) => stored,
        JournalStep::Schedule(at) => Some(Journal {
            phase: Phase::Scheduled,
            scheduled_for: Some(Time(at)),
            intent_generation: facts.object.metadata.generation,
            // The record of earlier attempts is kept. A plan without attempts may have another connection now.
            ..stored.filter(|journal| journal.attempts > 0).unwrap_or_else(|| blank(facts))
        }),
        JournalStep::Accept(at) => {
            stored.map(|journal| Journal { accepted_at: journal.accepted_at.or(Some(Time(at))), ..journal })
        }
        JournalStep::Close => stored.map(|journal| Journal { phase: Phase::Scheduled, ..journal }),
        JournalStep::Complete { by, at } => Some(Journal {
            phase: Phase::Completed,
            by: Some(by),
            completed_at: Some(Time(at)),
            ..stored.unwrap_or_else(|| blank(facts))
        }),
    }
}

fn blank(facts: &Facts<'_>) -> Journal {
    Journal {
        phase: Phase::Scheduled,
        scheduled_for: None,
        intent_at: None,
        intent_generation: None,
        attempts: 0,
        attempt_id: None,
        platform: facts.connection().map(|connection| connection.origin.as_str().to_owned()),
        connection: facts.connection().map(|connection| connection.key.clone()),
        accepted_at: None,
        completed_at: None,
        by: None,
        requested_by: None,
    }
}

/// The field manager that owns `spec.mode`, as the requester of the switch. Of several, the one that wrote last.
#[must_use]
pub fn requested_by(object: &TenantPricing) -> Option<String> {
    let entries = object.metadata.managed_fields.as_ref()?;
    entries
        .iter()
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter(|entry| {
            entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:mode").is_some())
        })
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
}

#[cfg(test)]
mod tests;
