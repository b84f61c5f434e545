//! What lies between the steps of a switch: whether the next one may follow, and what one that has ended proves.
//! Pure, so that the model (`src/model`) goes through the very same steps.

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
        facts::{Acceptance, AttemptOutcome, TenantRead, Turn},
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

/// The object that a last look is decided on: what the first look saw is what the last one is compared with.
pub(crate) fn compared_with(stored: &TenantPricing, first_tenant_read: &TenantRead) -> TenantPricing {
    match first_tenant_read {
        TenantRead::Seen(seen) => report::having_seen(stored, seen),
        _ => stored.clone(),
    }
}

/// Whether a last look is too old to be acted upon, so long after the earlier of its two answers, and after it was
/// begun. By both clocks: the monotonic one stands still while a machine is suspended, the other can be moved.
pub(crate) fn is_too_old(answered: Elapsed, begun: Elapsed) -> bool {
    answered.reaches(PREWRITE_READ_MAX_AGE) || begun.reaches(MAX_PREWRITE_READ_TIME)
}

/// Whether the answer to the announcement of an attempt leads on to the request: only a certain one, which shows
/// that very attempt.
pub(crate) fn is_announced(written: &Written<TenantPricing>, attempt_id: &str) -> bool {
    matches!(written, Written::Stored(object) if open_attempt(object) == Some(attempt_id))
}

/// Whether an announcement that leads to no request may be stored all the same: then it is remembered that
/// nothing left, and a later pass closes it.
pub(crate) fn may_be_stored(written: &Written<TenantPricing>) -> bool {
    matches!(written, Written::Stored(_) | Written::Unknown(_))
}

/// Whether a request announced so long ago may still start. By both clocks as well.
pub(crate) fn is_in_time(announced: Elapsed) -> bool {
    !announced.reaches(PUT_START_DEADLINE)
}

/// What is known of an attempt when its request has ended, before the tenant is read.
/// `at` is when it ended.
pub(crate) fn outcome_of(outcome: PutOutcome, at: Timestamp) -> AttemptOutcome {
    match outcome {
        PutOutcome::NotSent(error) => AttemptOutcome::NotSent(Some(error)),
        PutOutcome::Refused(error) => AttemptOutcome::Refused(error),
        // It is not done before the tenant shows it, but no other request may follow this one.
        PutOutcome::Accepted => AttemptOutcome::Accepted(Acceptance { at, since: Duration::ZERO }),
        PutOutcome::Unknown(_) => AttemptOutcome::Unknown(Duration::ZERO),
    }
}

/// Why the next attempt has to wait, if what is known of the last one says so.
pub(crate) fn failure(outcome: &AttemptOutcome) -> Option<&PlatformError> {
    match outcome {
        AttemptOutcome::NotSent(Some(error)) | AttemptOutcome::Refused(error) => Some(error),
        AttemptOutcome::NotSent(None) | AttemptOutcome::Unknown(_) | AttemptOutcome::Accepted(_) => None,
    }
}

/// The attempt that a status resolved by being written.
pub(crate) fn resolved<'a>(before: &'a TenantPricing, after: &TenantPricing) -> Option<&'a str> {
    open_attempt(before).filter(|_| open_attempt(after).is_none())
}

/// The status that says of a stored object that the platform accepted its open attempt, and keeps everything else.
/// `None`: another attempt is open there or none, or the entry says so already.
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

/// How the budget of a connection stands when `reserved` more attempts are about to be announced. `now` is the time
/// by the monotonic clock.
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
/// An earlier attempt of the object itself counts like any other: known to have had no effect, it does not count.
pub(crate) fn room(
    index: &Index,
    budget: Budget,
    object: &TenantPricing,
    others: u32,
    clocks: Clocks,
    now: Instant,
) -> Turn {
    let account = account(index, &object.connection_key(), budget, others, clocks, now);
    if account.has_room() {
        return Turn::Now;
    }
    Turn::Exhausted(account.exhausted(0, Key::of(object).namespace()))
}

/// Since when a switch is due: its place in the queue. One that was tried before queues behind those that are due by
/// now, so that it does not keep them from their turn.
pub(crate) fn due_since(object: &TenantPricing, scheduled_for: Timestamp, clocks: Clocks) -> Timestamp {
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    let is_retry = journal.is_some_and(|journal| journal.attempts > 0);
    if is_retry { scheduled_for.max(clocks.earlier()) } else { scheduled_for }
}

/// Whether a status that is written over this object says that its open attempt had no effect: closed or cancelled,
/// and not completed.
pub(crate) fn returns(before: &TenantPricing, after: &TenantPricingStatus) -> bool {
    let phase = after.switch.as_ref().map(|journal| journal.phase);
    open_attempt(before).is_some() && matches!(phase, None | Some(Phase::Scheduled))
}

#[cfg(test)]
mod tests;
