//! The platform's billing rules: when a trial ends automatically, and which version a write sets.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::simulator::state::tenant::{Pricing, TRIAL};

/// The instant at which the platform automatically switches a tenant created at `created_at`.
///
/// A trial covers one full calendar month (UTC). A tenant created on the first day of a month is switched at the start
/// of the next month. Any other is switched at the start of the month after that. So a trial lasts from 28 to 61 days.
/// `None` only beyond the end of representable time.
#[must_use]
pub fn trial_end(created_at: Timestamp) -> Option<Timestamp> {
    let created = created_at.to_zoned(TimeZone::UTC).date();
    let months = if created.day() == 1 { 1 } else { 2 };
    let first = created.first_of_month().checked_add(months.months()).ok()?;
    first.to_zoned(TimeZone::UTC).ok().map(|start| start.timestamp())
}

/// Whether the platform would have switched a customer with these settings automatically by `now`.
pub(crate) fn is_due(pricing: &Pricing, now: Timestamp) -> bool {
    pricing.mode == TRIAL && pricing.production_start_date.is_some_and(|start| start <= now)
}

/// The pricing version that a write at `now` sets: epoch milliseconds, and always greater than the previous one.
pub(crate) fn next_version(previous: i64, now: Timestamp) -> i64 {
    now.as_millisecond().max(previous.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(created: &str) -> String {
        trial_end(created.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn created_on_the_first_day_the_trial_ends_with_the_month() {
        assert_eq!(ends("2026-02-01T00:00:00Z"), "2026-03-01T00:00:00Z");
        assert_eq!(ends("2026-10-01T23:59:59Z"), "2026-11-01T00:00:00Z");
    }

    #[test]
    fn created_later_the_trial_ends_with_the_next_month() {
        assert_eq!(ends("2026-10-02T00:00:00Z"), "2026-12-01T00:00:00Z");
        assert_eq!(ends("2026-12-31T12:00:00Z"), "2027-02-01T00:00:00Z");
        assert_eq!(ends("2027-01-31T12:00:00Z"), "2027-03-01T00:00:00Z");
    }

    #[test]
    fn month_boundaries_are_those_of_utc() {
        assert_eq!(ends("2026-11-01T00:30:00+02:00"), "2026-12-01T00:00:00Z");
    }

    #[test]
    fn a_version_never_repeats_or_falls() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        assert_eq!(next_version(5, now), now.as_millisecond());
        assert_eq!(next_version(now.as_millisecond(), now), now.as_millisecond() + 1);
        assert_eq!(next_version(i64::MAX - 1, now), i64::MAX);
    }
}
