//! The decisions between the steps of a switch: whether the next step may follow, and what the last one proves.
//! Pure, so that the model (`src/model`) runs the same code.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use crate::{
    api::{Phase, TenantPricing, TenantPricingStatus},
    clock::Elapsed,
    cluster::{Key, Written},
    index::Index,
    platform::{PlatformError, PutOutcome},
    pricing::{
        budget::{Account, Budget},
        facts::{Acceptance, AttemptOutcome, QueueState, TenantRead},
        journal::open_attempt,
        observe::MAX_PREWRITE_READ_TIME,
        schedule::Clocks,
        status::report,
    },
};

/// The maximum age of a pre-write read, counted from the earlier of its two answers. The journal is written before
/// that, or the read is repeated.
pub(crate) const PREWRITE_READ_MAX_AGE: Duration = Duration::from_secs(2);

/// The request starts within this time of the journal write, or not at all.
const PUT_START_DEADLINE: Duration = Duration::from_secs(5);

/// The object to decide on with the pre-write read. Its status shows the first read, with which the pre-write read is
/// compared.
pub(crate) fn compared_with(stored: &TenantPricing, first_tenant_read: &TenantRead) -> TenantPricing {
    match first_tenant_read {
        TenantRead::Seen(seen) => report::having_seen(stored, seen),
        _ => stored.clone(),
    }
}

/// Whether a pre-write read is too old to act on, by the time since the earlier of its two answers and since its start.
///
/// Both clocks count: the monotonic one stops while a machine is suspended, and the wall clock can be changed.
pub(crate) fn is_too_old(answered: Elapsed, begun: Elapsed) -> bool {
    answered.reaches(PREWRITE_READ_MAX_AGE) || begun.reaches(MAX_PREWRITE_READ_TIME)
}

/// Whether the request may follow the announcement of an attempt. It may only after a certain answer that shows this
/// attempt.
pub(crate) fn is_announced(written: &Written<TenantPricing>, attempt_id: &str) -> bool {
    matches!(written, Written::Stored(object) if open_attempt(object) == Some(attempt_id))
}

/// Whether an announcement that no request follows may still be stored. If so, the process remembers that nothing was
/// sent, and a later reconcile closes the entry.
pub(crate) fn may_be_stored(written: &Written<TenantPricing>) -> bool {
    matches!(written, Written::Stored(_) | Written::Unknown(_))
}

/// Whether a request may still start, this long after its announcement. Both clocks count here too.
pub(crate) fn is_in_time(announced: Elapsed) -> bool {
    !announced.reaches(PUT_START_DEADLINE)
}

/// What is known of an attempt after its request ended, before the tenant is read. `at` is when the request ended.
pub(crate) fn outcome_of(outcome: PutOutcome, at: Timestamp) -> AttemptOutcome {
    match outcome {
        PutOutcome::NotSent(error) => AttemptOutcome::NotSent(Some(error)),
        PutOutcome::Refused(error) => AttemptOutcome::Refused(error),
        // The switch is complete only when the tenant shows it, but no other request may follow this one.
        PutOutcome::Accepted => AttemptOutcome::Accepted(Acceptance { at, since: Duration::ZERO }),
        PutOutcome::Unknown(_) => AttemptOutcome::Unknown(Duration::ZERO),
    }
}

/// The error for which the next attempt has to wait, if the last one failed with one.
pub(crate) fn failure(outcome: &AttemptOutcome) -> Option<&PlatformError> {
    match outcome {
        AttemptOutcome::NotSent(Some(error)) | AttemptOutcome::Refused(error) => Some(error),
        AttemptOutcome::NotSent(None) | AttemptOutcome::Unknown(_) | AttemptOutcome::Accepted(_) => None,
    }
}

/// The attempt that a status write resolved.
pub(crate) fn resolved<'a>(before: &'a TenantPricing, after: &TenantPricing) -> Option<&'a str> {
    open_attempt(before).filter(|_| open_attempt(after).is_none())
}

/// The stored status with the platform's acceptance of the open attempt added, and nothing else changed.
/// `None` if another attempt or none is open, or if the entry records an acceptance already.
pub(crate) fn with_acceptance(
    stored: &TenantPricing,
    attempt_id: &str,
    at: Timestamp,
) -> Option<TenantPricingStatus> {
    if open_attempt(stored) != Some(attempt_id) {
        return None;
    }
    let mut status = stored.status.clone()?;
    let journal = status.switch.as_mut().filter(|journal| journal.accepted_at.is_none())?;
    journal.accepted_at = Some(Time(at));
    Some(status)
}

/// The account of a connection's budget when `reserved` more attempts are about to be announced. `now` is the time by
/// the monotonic clock.
#[must_use]
pub fn account(
    index: &Index,
    connection: &Key,
    budget: Budget,
    reserved: u32,
    clocks: Clocks,
    now: Instant,
) -> Account {
    let attempts = index.attempts_since(connection, budget.since(clocks), now);
    budget.account(attempts, reserved, clocks)
}

/// Whether a budget has room for an attempt of an object, when `others` more are about to be announced. `now` is
/// the time by the monotonic clock.
///
/// An earlier attempt of the object itself counts like any other, unless it is known to have had no effect.
pub(crate) fn room(
    index: &Index,
    budget: Budget,
    object: &TenantPricing,
    others: u32,
    clocks: Clocks,
    now: Instant,
) -> QueueState {
    let account = account(index, &object.connection_key(), budget, others, clocks, now);
    if account.has_room() {
        return QueueState::Admitted;
    }
    QueueState::Exhausted(account.exhausted(0, Key::of(object).namespace()))
}

/// Since when a switch is due, which is its place in the switch queue. A retry queues behind the switches that are due
/// by now, so that it does not delay them. The journal does not show an `unannounced` attempt, but it held a permit
/// too.
pub(crate) fn due_since(
    object: &TenantPricing,
    scheduled_for: Timestamp,
    clocks: Clocks,
    unannounced: bool,
) -> Timestamp {
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    let is_retry = unannounced || journal.is_some_and(|journal| journal.attempts > 0);
    if is_retry { scheduled_for.max(clocks.earlier()) } else { scheduled_for }
}

/// Whether a status write returns the open attempt to the budget: it closes or cancels the attempt, and does not
/// complete it.
pub(crate) fn returns(before: &TenantPricing, after: &TenantPricingStatus) -> bool {
    let phase = after.switch.as_ref().map(|journal| journal.phase);
    open_attempt(before).is_some() && matches!(phase, None | Some(Phase::Scheduled))
}

#[cfg(test)]
mod tests;
