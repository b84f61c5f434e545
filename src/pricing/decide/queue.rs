//! Rules about objects that go first: an older object for the same tenant, and switches that became due earlier.

use jiff::Timestamp;

use super::{JournalStep, Requeue, Ruling, switching};
use crate::{
    api::{ConditionType, Phase, ReadyReason, ReconcilingReason, StalledReason, TenantPricing, conditions},
    pricing::{
        budget::{Budget, Exhausted},
        facts::{Facts, QueueState},
    },
};

/// A younger object does nothing for the tenant, whichever mode it requests.
pub(super) fn duplicate_tenant(facts: &Facts<'_>) -> Option<Ruling> {
    facts.seen()?;
    let older_owner = facts.circumstances.older_owner.as_ref()?;
    let message = format!(
        "TenantPricing {older_owner} is older and acts for the same tenant, so this one does nothing: for it nothing is \
         switched and nothing is billed. Delete one of the two. This one takes over when the other one is deleted, is \
         suspended, no longer has spec.mode, or loses a connection that admits it and works."
    );
    // The plan is cancelled. A kept plan could switch the tenant at once when this object takes over in the middle of
    // a month, and bill that month. So an object that takes over makes a new plan.
    let waits = facts.phase() == Some(Phase::Scheduled);
    let journal = if waits { JournalStep::Cancel } else { JournalStep::Keep };
    Some(Ruling::stalled(StalledReason::DuplicateTenant, message).with_journal(journal))
}

pub(super) fn budget_exhausted(facts: &Facts<'_>) -> Option<Ruling> {
    let QueueState::Exhausted(exhausted) = &facts.circumstances.queue_state else { return None };
    let used_up = used_up(&exhausted.budget);
    let rest = match exhausted.next {
        Some(next) => format!(
            "{}{TURN_PREFIX}{next} at the earliest, in the order in which switches became due. Until then the tenant stays \
             in trial. To allow more, raise the budget.",
            used_by(exhausted)
        ),
        None => "The tenant stays in trial until it is raised.".to_owned(),
    };
    wait(facts, ReconcilingReason::SwitchBudgetExhausted, &used_up, &rest, |reason, message| {
        // A reported time in the past is no longer true. A time in the future stays, even if other switches change it.
        let has_passed =
            |said: Timestamp| said <= facts.now && exhausted.next.is_some_and(|next| next > said);
        reason == ReconcilingReason::SwitchBudgetExhausted.as_str()
            && message.starts_with(&used_up)
            && !time_in(message).is_some_and(has_passed)
    })
}

/// The text before the time in a message about a budget. [`said`] reads the time back from a stored message.
const TURN_PREFIX: &str = "Its turn comes at ";

/// The earliest turn of an object, as its status reports it.
#[must_use]
pub fn said(object: &TenantPricing) -> Option<Timestamp> {
    let reconciling = conditions::find(&object.status.as_ref()?.conditions, ConditionType::Reconciling)?;
    let is_of_a_budget = reconciling.reason == ReconcilingReason::SwitchBudgetExhausted.as_str();
    time_in(&reconciling.message).filter(|_| is_of_a_budget)
}

fn time_in(message: &str) -> Option<Timestamp> {
    message.split_once(TURN_PREFIX)?.1.split_once(' ')?.0.parse().ok()
}

/// Which objects use the budget up, as a sentence. Of other namespaces only the number is named.
fn used_by(Exhausted { used, users, .. }: &Exhausted) -> String {
    let mut parts = users.names.clone();
    let counts = [
        (users.more, "more in this namespace"),
        (users.in_other_namespaces, "in other namespaces"),
        (users.beginning, "about to be sent"),
    ];
    parts.extend(
        counts.into_iter().filter(|(number, _)| *number > 0).map(|(n, words)| format!("{n} {words}")),
    );
    match parts.split_last() {
        None => String::new(),
        Some((only, [])) => format!("{used} counted: {only}. "),
        Some((last, others)) => format!("{used} counted: {} and {last}. ", others.join(", ")),
    }
}

/// The beginning of a message about a budget. It changes only with the budget.
fn used_up(budget: &Budget) -> String {
    let Budget { count, .. } = budget;
    let switches = if *count == 1 { "switch" } else { "switches" };
    format!(
        "The connection's budget (spec.switch.budget) of {count} {switches} in {} is used up.",
        budget.window_in_words()
    )
}

/// The beginning of a message about the rate limit. [`waits_in_queue`] compares the stored message with it.
const DUE_PREFIX: &str = "The switch is due and waits to be admitted. The connection sends at most \
                          spec.requestsPerSecond requests a second, and admits switches in the order in which they \
                          became due. Until then the tenant stays in trial.";

pub(super) fn waits_in_queue(facts: &Facts<'_>) -> Option<Ruling> {
    let QueueState::Waits { ahead } = facts.circumstances.queue_state else { return None };
    let rest = format!("When this was written, {ahead} switches were ahead of it.");
    wait(facts, ReconcilingReason::RateLimited, DUE_PREFIX, &rest, |reason, message| {
        // A status that says scheduled or budget exhausted is not rewritten to say rate limited. Otherwise, on a first
        // of the month, ten thousand objects would be written for nothing.
        let waits =
            [ReadyReason::SwitchScheduled.as_str(), ReconcilingReason::SwitchBudgetExhausted.as_str()];
        waits.contains(&reason)
            || (reason == ReconcilingReason::RateLimited.as_str() && message.starts_with(DUE_PREFIX))
    })
}

/// The ruling for a due switch that waits. If the status reports it already, by `is_said`, the status stays: neither
/// the passing of time nor the admission of another object causes a write.
fn wait(
    facts: &Facts<'_>,
    reason: ReconcilingReason,
    beginning: &str,
    rest: &str,
    is_said: impl Fn(&str, &str) -> bool,
) -> Option<Ruling> {
    let scheduled_for = switching::planned(facts)?;
    let status = facts.object.status.as_ref();
    let ready = status.and_then(|status| conditions::find(&status.conditions, ConditionType::Ready));
    let speaks_of_this = facts.scheduled_for() == Some(scheduled_for)
        && status.map(|status| status.observed_generation) == facts.object.metadata.generation;
    if speaks_of_this && ready.is_some_and(|ready| is_said(&ready.reason, &ready.message)) {
        return Some(Ruling::unchanged().requeue(Requeue::WhenAdmitted));
    }
    let ruling = Ruling::reconciling(reason, format!("{beginning} {rest}"));
    Some(ruling.with_journal(JournalStep::Schedule(scheduled_for)).requeue(Requeue::WhenAdmitted))
}
