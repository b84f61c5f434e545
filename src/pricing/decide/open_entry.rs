//! Rules about an attempt whose outcome is open: it is found out by reading, and nothing is sent before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Again, Decision, JournalStep, Verdict, access, errors, modes};
use crate::{
    api::{DesiredMode, Journal, ReadyReason, ReconcilingReason, StalledReason, SwitchedBy},
    platform::{ErrorClass, Mode},
    pricing::facts::{Access, Facts, Fate, Look},
};

/// After a request whose outcome is not known, no further one leaves for so long.
pub const QUIET_TIME: Duration = Duration::from_mins(1);

/// From the announcement of a request to its end: it starts within 5 s and has a time limit of 8 s.
const LONGEST_REQUEST: SignedDuration = SignedDuration::from_secs(5 + 8);

/// While the quiet time passes, the tenant is read so often.
const READ_INTERVAL: Duration = Duration::from_secs(10);

/// What is added to whatever stands in the way of finding out how an attempt ended.
pub(super) const STILL_OPEN: &str =
    "A switch was asked for, and its outcome is not known yet: the tenant may be in production and billed.";

pub(super) fn elsewhere(facts: &Facts<'_>) -> Option<Decision> {
    let journal = facts.journal().filter(|_| facts.in_flight())?;
    let begun_at = journal.platform.as_deref().unwrap_or_default();
    let here = match facts.access {
        Access::Open(connection) => Some(connection.origin.as_str()),
        Access::NotFound | Access::Forbidden => None,
        _ => return None,
    };
    (here != Some(begun_at)).then(|| {
        let message = format!(
            "A switch was begun on {begun_at} (connection {}) and its outcome is not known, but this object no \
             longer leads there. The tenant may be in production and billed. Point spec.connectionRef, or the \
             connection's url, back there until the outcome is recorded.",
            journal.connection.as_deref().unwrap_or_default()
        );
        Decision::stalled(StalledReason::OutcomeUnknown, message)
    })
}

/// A suspended object says no more than that its outcome is open, whatever stands in the way of reading it.
pub(super) fn suspended_and_unread(facts: &Facts<'_>) -> Option<Decision> {
    (facts.in_flight() && facts.object.spec.suspend && facts.seen().is_none()).then(|| {
        waiting(
            "The switch was asked for and its outcome is not known; the tenant cannot be read now. spec.suspend is \
             true: it is read until the outcome is known, and nothing new is sent.",
        )
    })
}

pub(super) fn unread(facts: &Facts<'_>) -> Option<Decision> {
    if !facts.in_flight() {
        return None;
    }
    let error = match facts.look {
        Look::Failed(error) => error,
        Look::Seen(_) => return None,
        _ => return Some(Decision::unchanged()),
    };
    match error.class() {
        // What only a person can mend is said as what it is; the entry stays open.
        ErrorClass::AccessDenied | ErrorClass::NotFound | ErrorClass::Locked => {
            let explained = errors::explain(error);
            Some(Decision { message: format!("{} {STILL_OPEN}", explained.message), ..explained })
        }
        _ => {
            let message = format!(
                "The switch was asked for and its outcome is not known: {error}. The tenant is read again until \
                 it is; nothing is sent before."
            );
            Some(match errors::explain(error).again {
                Again::After(pause) => waiting(message).again(Again::After(pause)),
                _ => waiting(message),
            })
        }
    }
}

pub(super) fn took_effect(facts: &Facts<'_>) -> Option<Decision> {
    let (journal, seen) = (facts.journal().filter(|_| facts.in_flight())?, facts.seen()?);
    if !matches!(seen.mode(), Mode::Production | Mode::Suspended) {
        return None;
    }
    let by = match facts.memory.fate {
        // No request of ours took effect, so somebody else's did.
        Some(Fate::NotSent(_) | Fate::Refused(_)) => SwitchedBy::Platform,
        Some(Fate::Unknown(_)) | None => SwitchedBy::Controller,
    };
    let at = match by {
        SwitchedBy::Platform => seen.production_start().unwrap_or(facts.now),
        SwitchedBy::Controller => ended(facts, journal),
    };
    let complete = JournalStep::Complete { by, at };
    if facts.object.spec.suspend {
        return Some(access::held().with_journal(complete));
    }
    Some(match seen.mode() {
        Mode::Suspended => modes::suspended_message().with_journal(complete),
        _ => Decision::ready(ReadyReason::InSync, modes::switched(by, at))
            .with_journal(complete)
            .again(Again::Daily),
    })
}

/// When a request of ours had ended at the latest. Its outcome may be found out days later, after a crash; the
/// month on the bill is the one in which it took effect.
fn ended(facts: &Facts<'_>, journal: &Journal) -> Timestamp {
    let latest = journal.intent_at.as_ref().and_then(|intent| intent.0.checked_add(LONGEST_REQUEST).ok());
    latest.map_or(facts.now, |latest| latest.min(facts.now))
}

pub(super) fn without_effect(facts: &Facts<'_>) -> Option<Decision> {
    if !facts.in_flight() || *facts.seen()?.mode() != Mode::Trial {
        return None;
    }
    match facts.memory.fate.as_ref()? {
        Fate::Unknown(since) if *since < QUIET_TIME => None,
        fate => Some(closed(facts, fate)),
    }
}

/// Where it is known for certain that nothing left, the entry is closed even if the tenant cannot be read now:
/// an outage must not keep anybody from cancelling.
pub(super) fn never_sent(facts: &Facts<'_>) -> Option<Decision> {
    let fate = facts.memory.fate.as_ref().filter(|fate| matches!(fate, Fate::NotSent(_)))?;
    (facts.in_flight() && facts.seen().is_none()).then(|| closed(facts, fate))
}

fn closed(facts: &Facts<'_>, fate: &Fate) -> Decision {
    let decision = match fate {
        Fate::Unknown(_) => {
            let message = "The switch was asked for, but the platform did not carry it out: a minute later the \
                           tenant is still in trial, and nothing is billed. It is tried anew.";
            Decision::reconciling(ReconcilingReason::PlatformUnavailable, message)
        }
        Fate::NotSent(Some(error)) | Fate::Refused(error) => {
            // The next attempt waits as long as this one's failure asks, not for the next poll. Without a hold
            // that time has passed, or what was asked has changed since.
            let remaining = facts.memory.hold.as_ref().map_or(Duration::ZERO, |hold| hold.remaining);
            errors::explain(error).again(Again::After(remaining))
        }
        Fate::NotSent(None) => {
            let message = "The switch was announced, but not confirmed in time to be sent: nothing left. It is \
                           tried anew.";
            Decision::reconciling(ReconcilingReason::Progressing, message)
        }
    };
    let decision = if facts.object.spec.suspend { access::held() } else { decision };
    // Once closed, what is no longer asked for is cancelled, not kept waiting.
    let wanted = facts.desired() == Some(DesiredMode::Production);
    decision.with_journal(if wanted { JournalStep::Close } else { JournalStep::Cancel })
}

pub(super) fn pending(facts: &Facts<'_>) -> Option<Decision> {
    let (true, Some(seen)) = (facts.in_flight(), facts.seen()) else { return None };
    if let Mode::Other(word) = seen.mode() {
        return Some(modes::unknown_word(word));
    }
    let since = match facts.memory.fate {
        Some(Fate::Unknown(since)) => since,
        _ => Duration::ZERO,
    };
    let remaining = QUIET_TIME.saturating_sub(since);
    let message = "The switch was asked for and its outcome is not known; the tenant still says trial. For 60 s \
                   nothing further is sent, while the tenant is read again.";
    Some(waiting(message).again(Again::After(remaining.min(READ_INTERVAL))))
}

fn waiting(message: impl Into<String>) -> Decision {
    Decision::new(Verdict::Reconciling(ReconcilingReason::OutcomeUnknown), message).again(Again::Backoff)
}
