//! Rules that compare the desired mode with the observed mode of the tenant.

use jiff::Timestamp;

use super::{JournalStep, Requeue, Ruling, bill};
use crate::{
    api::{DesiredMode, Phase, ReadyReason, ReconcilingReason, StalledReason, SwitchedBy, conditions},
    calendar,
    platform::Mode,
    pricing::facts::{Facts, Seen},
};

pub(super) fn observe_only(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen().filter(|_| facts.desired().is_none())?;
    let why = if facts.circumstances.namespace_terminates {
        "The namespace is being deleted, and its objects no longer request a mode"
    } else if facts.being_deleted() {
        "The object is being deleted, and no longer requests a mode"
    } else {
        "spec.mode is not set, so it is only observed"
    };
    let message = format!("The tenant is in mode {}. {why}.", seen.mode());
    Some(Ruling::ready(ReadyReason::Observed, message).requeue(interval(seen.mode())))
}

pub(super) fn unknown_mode(facts: &Facts<'_>) -> Option<Ruling> {
    match facts.seen()?.mode() {
        Mode::Other(word) => Some(unknown_word(word)),
        _ => None,
    }
}

pub(super) fn unknown_word(word: &str) -> Ruling {
    let message = format!(
        "The platform reports mode {word:?}, which this version does not know. Nothing is sent. Look for a newer \
         version of the controller, or ask the platform's support what the mode means."
    );
    Ruling::stalled(StalledReason::UnknownMode, message)
}

pub(super) fn trial_wanted(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen()?;
    if facts.desired() != Some(DesiredMode::Trial) || *seen.mode() != Mode::Trial {
        return None;
    }
    let until = match seen.production_start() {
        Some(date) => format!(" The platform will switch it to production automatically on {date}."),
        None => String::new(),
    };
    let message = format!("The tenant is in trial, as asked. Nothing is billed.{until}");
    Some(Ruling::ready(ReadyReason::InSync, message))
}

pub(super) fn reversal_refused(facts: &Facts<'_>) -> Option<Ruling> {
    let mode = facts.seen()?.mode();
    (facts.desired() == Some(DesiredMode::Trial)).then(|| {
        let message = format!(
            "spec.mode asks for trial, but the tenant is in mode {mode}, and the switch to production can never \
             be undone. Set spec.mode to production, or leave it out to only observe."
        );
        Ruling::stalled(StalledReason::ReversalRefused, message).requeue(interval(mode))
    })
}

pub(super) fn suspended_on_platform(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen().filter(|seen| *seen.mode() == Mode::Suspended)?;
    Some(completing(facts, seen, suspended_message()))
}

pub(super) fn suspended_message() -> Ruling {
    let message = "The platform has suspended the tenant, which is past production: there is nothing to switch. \
                   Resolve the suspension with the platform, or leave spec.mode out to only observe.";
    Ruling::stalled(StalledReason::TenantSuspendedOnPlatform, message).requeue(Requeue::Daily)
}

pub(super) fn in_production(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen().filter(|seen| *seen.mode() == Mode::Production)?;
    let by_platform = waited_for_switch(facts).then(|| bill::by_the_platform(facts, seen));
    let message = match (facts.journal(), by_platform) {
        (_, Some(at)) => switched(SwitchedBy::Platform, at),
        (Some(journal), None) => switched(
            journal.by.unwrap_or(SwitchedBy::Platform),
            journal.completed_at.as_ref().map_or(facts.now, |time| time.0),
        ),
        (None, None) => "The tenant is in production, as asked.".to_owned(),
    };
    let ruling = Ruling::ready(ReadyReason::InSync, message).requeue(Requeue::Daily);
    Some(completing(facts, seen, ruling))
}

pub(super) fn unexpected_trial(facts: &Facts<'_>) -> Option<Ruling> {
    facts.seen()?;
    let proven = facts.object.status.as_ref().is_some_and(conditions::was_proven_past_trial);
    proven.then(|| {
        let message = "The tenant was past trial when last seen and is reported as trial again, which should not \
                       happen. It is not switched a second time. Ask the platform's support what happened. To request \
                       a new switch anyway, delete this object and create it again.";
        Ruling::stalled(StalledReason::UnexpectedTrial, message)
    })
}

/// A read from before the switch must not lead to another one for a second object.
pub(super) fn sibling_completed(facts: &Facts<'_>) -> Option<Ruling> {
    let other = facts.circumstances.sibling_completed.as_ref().filter(|_| facts.seen().is_some())?;
    let key = &other.key;
    let message = format!(
        "TenantPricing {key} records that this controller switched the same tenant to production, so it is billed, as \
         far as is known. It is reported as trial, and is not switched a second time."
    );
    Some(if other.for_long {
        let message = format!(
            "{message} Ask the platform's support what happened. To request a new switch anyway, delete TenantPricing \
             {key}."
        );
        Ruling::stalled(StalledReason::UnexpectedTrial, message)
    } else {
        let message = format!("{message} The tenant is read until it shows production.");
        Ruling::reconciling(ReconcilingReason::OutcomeUnknown, message)
    })
}

/// The message for a switched tenant: who switched it, and which month is billed.
#[must_use]
pub fn switched(by: SwitchedBy, at: Timestamp) -> String {
    let month = calendar::month_name(at);
    match by {
        SwitchedBy::Controller => format!(
            "The tenant is in production, switched by this controller; the whole of {month} is on the bill."
        ),
        SwitchedBy::Platform => format!(
            "The tenant is in production, switched on the platform and not by this controller; the whole of \
             {month} is on the bill."
        ),
    }
}

/// Whether the object requested a switch that it had not begun. The platform was first then.
fn waited_for_switch(facts: &Facts<'_>) -> bool {
    let status = facts.object.status.as_ref();
    let seen_in_trial = status
        .and_then(|status| status.observed.as_ref())
        .is_some_and(|observed| observed.mode == Mode::Trial.to_string());
    match facts.phase() {
        Some(Phase::Scheduled) => true,
        Some(Phase::InFlight | Phase::Completed) => false,
        None => seen_in_trial && !status.is_some_and(conditions::was_proven_past_trial),
    }
}

/// Completes the journal if the platform switched the tenant while its switch waited. The journal then says who
/// switched it.
fn completing(facts: &Facts<'_>, seen: &Seen, ruling: Ruling) -> Ruling {
    if waited_for_switch(facts) {
        let at = bill::by_the_platform(facts, seen);
        ruling.with_journal(JournalStep::Complete { by: SwitchedBy::Platform, at })
    } else {
        ruling
    }
}

/// When to read the tenant again. A tenant past trial changes rarely, and is read once a day.
fn interval(mode: &Mode) -> Requeue {
    match mode {
        Mode::Production | Mode::Suspended => Requeue::Daily,
        Mode::Trial | Mode::Other(_) => Requeue::AtPollInterval,
    }
}
