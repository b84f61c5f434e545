//! When a switch took effect: the instant that decides which month is billed.
//!
//! The bill follows the platform's clock. Its own date counts wherever it can be the date of the switch.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::Journal,
    pricing::facts::{Facts, Seen},
};

/// From the announcement of a request to its end: it starts within 5 s and has a time limit of 8 s.
const LONGEST_REQUEST: SignedDuration = SignedDuration::from_secs(5 + 8);

/// Dates and stored times have whole seconds.
const PRECISION: SignedDuration = SignedDuration::from_secs(1);

/// What the two clocks differ by beyond this is no effect of the time that an answer takes.
const NOTABLE: SignedDuration = SignedDuration::from_mins(1);

/// When a request of this controller took effect.
///
/// The platform's date counts if it lies between the announcement and the present, both by the platform's clock. Without
/// such a date: when the request had ended at the latest. The outcome may be found out days later, after a crash.
pub(super) fn by_the_controller(facts: &Facts<'_>, seen: &Seen, journal: &Journal) -> Timestamp {
    let announced = journal.intent_at.as_ref().map(|intent| intent.0);
    let ended = announced.and_then(|announced| announced.checked_add(LONGEST_REQUEST).ok());
    let ended = ended.map_or(facts.now, |ended| ended.min(facts.now));
    let dated = announced.and_then(|announced| {
        let earliest = announced.checked_sub(skew(facts, seen) + PRECISION).ok()?;
        date(facts, seen).filter(|date| *date >= earliest)
    });
    dated.unwrap_or_else(|| at_the_platform(facts, seen, ended))
}

/// When the platform, or somebody else there, switched the tenant.
pub(super) fn by_the_platform(facts: &Facts<'_>, seen: &Seen) -> Timestamp {
    date(facts, seen).unwrap_or_else(|| at_the_platform(facts, seen, facts.now))
}

/// The platform's date of the switch. One that lies ahead is the end of a trial, which a read from before the switch
/// still shows.
fn date(facts: &Facts<'_>, seen: &Seen) -> Option<Timestamp> {
    let latest = seen.date.unwrap_or(facts.now).checked_add(PRECISION).ok()?;
    seen.production_start().filter(|date| *date <= latest)
}

/// By how much the controller's clock is ahead of the platform's.
fn skew(facts: &Facts<'_>, seen: &Seen) -> SignedDuration {
    seen.date.map_or(SignedDuration::ZERO, |date| facts.now.duration_since(date))
}

/// An instant of the controller's clock, by the platform's clock.
fn at_the_platform(facts: &Facts<'_>, seen: &Seen, at: Timestamp) -> Timestamp {
    let skew = skew(facts, seen);
    if skew.abs() < NOTABLE {
        return at;
    }
    // A platform whose clock says nonsense bills no year before these.
    at.checked_sub(skew).ok().filter(|at| *at >= Timestamp::UNIX_EPOCH).unwrap_or(at)
}
