//! Rules about an open attempt. A read finds out its outcome, and nothing is sent before.

use std::time::Duration;

use jiff::Timestamp;

use super::{JournalStep, Requeue, Ruling, Verdict, bill, errors, modes, shared};
use crate::{
    api::{DesiredMode, ReadyReason, ReconcilingReason, StalledReason, SwitchedBy},
    platform::{ErrorClass, Mode},
    pricing::facts::{Acceptance, Access, AttemptOutcome, Facts, TenantRead},
};

/// The grace period after a request with an unknown outcome. No further request is sent during it.
pub const GRACE_PERIOD: Duration = Duration::from_mins(1);

/// How often the tenant is read during the grace period, and while an accepted switch does not show.
const READ_INTERVAL: Duration = Duration::from_secs(10);

/// Within this time after an accepted request, reads should show production. If they do not, a person must find out
/// why.
pub const STALE_LIMIT: Duration = Duration::from_mins(10);

/// What a person can do about a tenant that does not show an accepted switch.
pub(super) const ASK_SUPPORT: &str = "Ask the platform's support why the tenant shows trial. Deleting the object does \
                                      not take the switch back.";

/// The sentence that is added to a problem that keeps the outcome of an attempt from being read.
pub(super) fn still_open(facts: &Facts<'_>) -> &'static str {
    if acceptance(facts).is_some() {
        "The platform accepted a switch before: the tenant is billed."
    } else {
        "A switch was asked for, and its outcome is not known yet: the tenant may be in production and billed."
    }
}

/// The platform's acceptance of the open entry's request, from the memory of this process or from the entry. An
/// acceptance in the entry counts even if this process remembers another outcome.
fn acceptance(facts: &Facts<'_>) -> Option<Acceptance> {
    let journal = facts.journal().filter(|_| facts.in_flight())?;
    match facts.circumstances.outcome {
        Some(AttemptOutcome::Accepted(acceptance)) => Some(acceptance),
        _ => Acceptance::stored(journal, facts.now),
    }
}

/// When the platform accepted the open entry's request, if the entry does not record it yet.
pub(super) fn to_be_stored(facts: &Facts<'_>) -> Option<Timestamp> {
    let is_stored = facts.journal().is_some_and(|journal| journal.accepted_at.is_some());
    acceptance(facts).filter(|_| !is_stored).map(|acceptance| acceptance.at)
}

pub(super) fn on_another_platform(facts: &Facts<'_>) -> Option<Ruling> {
    let journal = facts.journal().filter(|_| facts.in_flight())?;
    let begun_at = journal.platform.as_deref().unwrap_or_default();
    let here = match facts.access {
        Access::Open(connection) => Some(connection.origin.as_str()),
        Access::NotFound | Access::Forbidden => None,
        _ => return None,
    };
    (here != Some(begun_at)).then(|| {
        let (outcome, bill) = match acceptance(facts) {
            Some(_) => ("the platform accepted it", "The tenant is billed."),
            None => ("its outcome is not known", "The tenant may be in production and billed."),
        };
        let message = format!(
            "A switch was begun on {begun_at} (connection {}) and {outcome}, but this object no longer leads there. \
             {bill} Point spec.connectionRef, or the connection's url, back there until the outcome is recorded.",
            journal.connection.as_deref().unwrap_or_default()
        );
        Ruling::stalled(StalledReason::OutcomeUnknown, message)
    })
}

/// A suspended object reports only that the outcome is open, and not what keeps the tenant from being read.
pub(super) fn suspended_and_unread(facts: &Facts<'_>) -> Option<Ruling> {
    (facts.in_flight() && facts.object.spec.suspend && facts.seen().is_none()).then(|| {
        waiting(if acceptance(facts).is_some() {
            "The platform accepted the switch: the tenant is billed. It cannot be read now. spec.suspend is true: it is \
             read until it shows production, and nothing new is sent."
        } else {
            "The switch was asked for and its outcome is not known; the tenant cannot be read now. spec.suspend is \
             true: it is read until the outcome is known, and nothing new is sent."
        })
    })
}

pub(super) fn unread(facts: &Facts<'_>) -> Option<Ruling> {
    if !facts.in_flight() {
        return None;
    }
    let error = match facts.read {
        TenantRead::Failed(error) => error,
        TenantRead::Seen(_) => return None,
        _ => return Some(Ruling::unchanged()),
    };
    match error.class() {
        // Only a person can correct these, so they are reported as what they are. The entry stays open.
        ErrorClass::AccessDenied | ErrorClass::NotFound | ErrorClass::Locked => {
            let explained = errors::explain(error);
            Some(Ruling { message: format!("{} {}", explained.message, still_open(facts)), ..explained })
        }
        _ => {
            let message = match acceptance(facts) {
                Some(_) => format!(
                    "The platform accepted the switch; it is billed. The tenant does not show it yet: {error}. It is \
                     read again until it does, and nothing further is sent."
                ),
                None => format!(
                    "The switch was asked for and its outcome is not known: {error}. The tenant is read again until \
                     it is; nothing is sent before."
                ),
            };
            Some(match errors::explain(error).requeue {
                Requeue::After(pause) => waiting(message).requeue(Requeue::After(pause)),
                _ => waiting(message),
            })
        }
    }
}

pub(super) fn took_effect(facts: &Facts<'_>) -> Option<Ruling> {
    let (journal, seen) = (facts.journal().filter(|_| facts.in_flight())?, facts.seen()?);
    if !matches!(seen.mode(), Mode::Production | Mode::Suspended) {
        return None;
    }
    let by = match facts.circumstances.outcome {
        _ if acceptance(facts).is_some() => SwitchedBy::Controller,
        // No request of this controller took effect, so the switch was made on the platform.
        Some(AttemptOutcome::NotSent(_) | AttemptOutcome::Refused(_)) => SwitchedBy::Platform,
        Some(AttemptOutcome::Unknown(_) | AttemptOutcome::Accepted(_)) | None => SwitchedBy::Controller,
    };
    let at = match by {
        SwitchedBy::Platform => bill::by_the_platform(facts, seen),
        SwitchedBy::Controller => {
            let accepted = acceptance(facts).map(|acceptance| acceptance.at);
            bill::by_the_controller(facts, seen, journal, accepted)
        }
    };
    let complete = JournalStep::Complete { by, at };
    if facts.object.spec.suspend {
        return Some(shared::suspended().with_journal(complete));
    }
    Some(match seen.mode() {
        Mode::Suspended => modes::suspended_message().with_journal(complete),
        _ => Ruling::ready(ReadyReason::InSync, modes::switched(by, at))
            .with_journal(complete)
            .requeue(Requeue::Daily),
    })
}

pub(super) fn without_effect(facts: &Facts<'_>) -> Option<Ruling> {
    // An accepted attempt is never closed, however old it is. No second request follows it.
    if !facts.in_flight() || acceptance(facts).is_some() || *facts.seen()?.mode() != Mode::Trial {
        return None;
    }
    match facts.circumstances.outcome.as_ref()? {
        AttemptOutcome::Unknown(since) if *since < GRACE_PERIOD => None,
        outcome => Some(closed(facts, outcome)),
    }
}

/// Closes an entry whose request was certainly not sent, even if the tenant cannot be read now. An outage must not
/// prevent a user from cancelling.
pub(super) fn never_sent(facts: &Facts<'_>) -> Option<Ruling> {
    let outcome = facts
        .circumstances
        .outcome
        .as_ref()
        .filter(|outcome| matches!(outcome, AttemptOutcome::NotSent(_)))?;
    let is_open = facts.in_flight() && acceptance(facts).is_none();
    (is_open && facts.seen().is_none()).then(|| closed(facts, outcome))
}

fn closed(facts: &Facts<'_>, outcome: &AttemptOutcome) -> Ruling {
    let ruling = match outcome {
        AttemptOutcome::Unknown(_) => {
            let message = "The switch was asked for, but the platform did not carry it out: a minute later the \
                           tenant is still in trial, and nothing is billed. The controller retries automatically.";
            Ruling::reconciling(ReconcilingReason::PlatformUnavailable, message)
        }
        AttemptOutcome::Accepted(acceptance) => return shows_trial(acceptance),
        AttemptOutcome::NotSent(Some(error)) | AttemptOutcome::Refused(error) => {
            // The next attempt waits for the pause of this failure, not for the next poll. Without a backoff that pause
            // is over, or the request has changed since.
            let remaining =
                facts.circumstances.backoff.as_ref().map_or(Duration::ZERO, |backoff| backoff.remaining);
            errors::explain(error).requeue(Requeue::After(remaining))
        }
        AttemptOutcome::NotSent(None) => {
            let message = "The switch was recorded, but could not be sent in time. No request was sent. The \
                           controller retries automatically.";
            Ruling::reconciling(ReconcilingReason::Progressing, message)
        }
    };
    let ruling = if facts.object.spec.suspend { shared::suspended() } else { ruling };
    // A closed attempt whose switch is no longer requested is cancelled, and does not stay as a plan.
    let wanted = facts.desired() == Some(DesiredMode::Production);
    ruling.with_journal(if wanted { JournalStep::Close } else { JournalStep::Cancel })
}

pub(super) fn accepted(facts: &Facts<'_>) -> Option<Ruling> {
    let acceptance = acceptance(facts)?;
    (*facts.seen()?.mode() == Mode::Trial).then(|| shows_trial(&acceptance))
}

/// The ruling if the platform accepted the request, and the tenant still shows trial.
fn shows_trial(acceptance: &Acceptance) -> Ruling {
    let message = "The platform accepted the switch and still shows trial; it is billed. Nothing further is sent, and \
                   the tenant is read until it shows production.";
    let remaining = STALE_LIMIT.saturating_sub(acceptance.since);
    if remaining.is_zero() {
        Ruling::stalled(StalledReason::OutcomeUnknown, format!("{message} {ASK_SUPPORT}"))
    } else {
        waiting(message).requeue(Requeue::After(remaining.min(READ_INTERVAL)))
    }
}

pub(super) fn pending(facts: &Facts<'_>) -> Option<Ruling> {
    let (true, Some(seen)) = (facts.in_flight(), facts.seen()) else { return None };
    if let Mode::Other(word) = seen.mode() {
        return Some(modes::unknown_word(word));
    }
    let since = match facts.circumstances.outcome {
        Some(AttemptOutcome::Unknown(since)) => since,
        _ => Duration::ZERO,
    };
    let remaining = GRACE_PERIOD.saturating_sub(since);
    let message = "The switch was asked for and its outcome is not known; the tenant still says trial. For 60 s \
                   nothing further is sent, while the tenant is read again.";
    Some(waiting(message).requeue(Requeue::After(remaining.min(READ_INTERVAL))))
}

fn waiting(message: impl Into<String>) -> Ruling {
    Ruling::new(Verdict::Reconciling(ReconcilingReason::OutcomeUnknown), message).requeue(Requeue::Backoff)
}
