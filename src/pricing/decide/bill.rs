//! When a switch took effect: the instant that decides which month is billed.
//!
//! The bill follows the platform's clock. The platform's own date counts wherever it can be the date of the switch.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::Journal,
    pricing::facts::{Facts, Seen},
};

/// The maximum time from the announcement of a request to its end. It starts within 5 s, and its timeout is 8 s.
const MAX_REQUEST_TIME: SignedDuration = SignedDuration::from_secs(5 + 8);

/// The precision of dates and stored times: whole seconds.
const TIMESTAMP_RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// A clock skew below this may come from the time that an answer takes, and is ignored.
const NOTABLE: SignedDuration = SignedDuration::from_mins(1);

/// When a request of this controller took effect.
///
/// The platform's date counts if it lies between the announcement and the present, both by the platform's clock.
/// Without such a date, the latest possible end of the request counts: when the platform accepted it, if that is known.
/// After a crash, days may pass before the outcome is read.
pub(super) fn by_the_controller(
    facts: &Facts<'_>,
    seen: &Seen,
    journal: &Journal,
    accepted: Option<Timestamp>,
) -> Timestamp {
    let announced = journal.intent_at.as_ref().map(|intent| intent.0);
    let ended = announced.and_then(|announced| announced.checked_add(MAX_REQUEST_TIME).ok());
    let accepted = accepted.filter(|accepted| announced.is_some_and(|announced| announced <= *accepted));
    let ended = ended.into_iter().chain(accepted).fold(facts.now, Timestamp::min);
    let dated = announced.and_then(|announced| {
        let earliest = announced.checked_sub(skew(facts, seen) + TIMESTAMP_RESOLUTION).ok()?;
        date(facts, seen).filter(|date| *date >= earliest)
    });
    dated.unwrap_or_else(|| at_the_platform(facts, seen, ended))
}

/// When the platform, or another client of it, switched the tenant.
pub(super) fn by_the_platform(facts: &Facts<'_>, seen: &Seen) -> Timestamp {
    date(facts, seen).unwrap_or_else(|| at_the_platform(facts, seen, facts.now))
}

/// The platform's date of the switch. A date in the future is ignored: it is the end of the trial, from a read before
/// the switch.
fn date(facts: &Facts<'_>, seen: &Seen) -> Option<Timestamp> {
    let latest = seen.date.unwrap_or(facts.now).checked_add(TIMESTAMP_RESOLUTION).ok()?;
    seen.production_start().filter(|date| *date <= latest)
}

/// How far the controller's clock is ahead of the platform's.
fn skew(facts: &Facts<'_>, seen: &Seen) -> SignedDuration {
    seen.date.map_or(SignedDuration::ZERO, |date| facts.now.duration_since(date))
}

/// Converts an instant of the controller's clock to the platform's clock.
fn at_the_platform(facts: &Facts<'_>, seen: &Seen, at: Timestamp) -> Timestamp {
    let skew = skew(facts, seen);
    if skew.abs() < NOTABLE {
        return at;
    }
    // No bill is older than 1970. An earlier result comes from a wrong clock, and is not used.
    at.checked_sub(skew).ok().filter(|at| *at >= Timestamp::UNIX_EPOCH).unwrap_or(at)
}
