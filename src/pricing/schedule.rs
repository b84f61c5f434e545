//! When a switch takes place. Pure: the caller passes every instant.
//!
//! Two clocks count, the controller's and the platform's (the `Date` of its last answer). A switch is due when both say
//! so, without tolerance: a clock that is ahead can delay a switch, but never advance it.

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::{
    api::SwitchAt,
    calendar::{is_first_of_month, month_start, next_month_start},
};

/// What the two clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The controller's clock.
    pub controller: Timestamp,
    /// The platform's clock, from the `Date` of its last answer.
    pub platform: Timestamp,
}

impl Clocks {
    /// The time of the clock that is behind.
    #[must_use]
    pub fn earlier(self) -> Timestamp {
        self.controller.min(self.platform)
    }

    fn later(self) -> Timestamp {
        self.controller.max(self.platform)
    }
}

/// Whether a fixed schedule is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The switch is due.
    Now,
    /// The switch is due after this time.
    In(SignedDuration),
    /// The month of a month start is over. The switch is scheduled again.
    Missed,
}

fn rounded(instant: Timestamp, mode: RoundMode) -> Timestamp {
    instant.round(TimestampRound::new().smallest(Unit::Second).mode(mode)).unwrap_or(instant)
}

/// The instant that a switch requested now is scheduled for.
///
/// `MonthStart` is the first instant, not before now and `not_before`, that lies on the first day of a month
/// in UTC. On a first day, that is now.
#[must_use]
pub fn first_instant(at: SwitchAt, not_before: Option<Timestamp>, clocks: Clocks) -> Timestamp {
    // A stored time has whole seconds. It is rounded so that it is never before the requested time.
    let not_before = not_before.map_or(Timestamp::MIN, |instant| rounded(instant, RoundMode::Ceil));
    let now = rounded(clocks.earlier(), RoundMode::Floor);
    match at {
        SwitchAt::Immediately => not_before.max(now),
        SwitchAt::MonthStart => {
            let from = clocks.later().max(not_before);
            if is_first_of_month(from) {
                month_start(from).max(not_before).max(now)
            } else {
                next_month_start(from)
            }
        }
    }
}

/// Whether the schedule `at`, fixed earlier, is due.
///
/// Once due, a month start stays due to the end of that month, since the bill is the same.
#[must_use]
pub fn due(at: SwitchAt, scheduled_for: Timestamp, clocks: Clocks) -> Due {
    let is_over = at == SwitchAt::MonthStart && clocks.later() >= next_month_start(scheduled_for);
    if is_over {
        Due::Missed
    } else if clocks.earlier() >= scheduled_for {
        Due::Now
    } else {
        Due::In(scheduled_for.duration_since(clocks.earlier()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn both(text: &str) -> Clocks {
        Clocks { controller: instant(text), platform: instant(text) }
    }

    #[test]
    fn a_month_start_is_the_next_first_day() {
        for (now, expected) in [
            ("2026-11-23T10:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            ("2028-02-02T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            assert_eq!(
                first_instant(SwitchAt::MonthStart, None, both(now)),
                instant(expected),
                "asked {now}"
            );
        }
    }

    #[test]
    fn asked_on_a_first_day_a_month_start_is_now() {
        let now = both("2026-12-01T15:00:00Z");
        let scheduled = first_instant(SwitchAt::MonthStart, None, now);
        assert_eq!(scheduled, instant("2026-12-01T15:00:00Z"));
        assert_eq!(due(SwitchAt::MonthStart, scheduled, now), Due::Now);
    }

    #[test]
    fn not_before_moves_a_month_start_to_a_later_month() {
        for (not_before, expected) in [
            ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
            ("2026-12-02T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2020-01-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ] {
            let scheduled =
                first_instant(SwitchAt::MonthStart, Some(instant(not_before)), both("2026-11-23T10:00:00Z"));
            assert_eq!(scheduled, instant(expected), "not before {not_before}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_advances_no_switch() {
        let ahead =
            Clocks { controller: instant("2026-12-01T00:05:00Z"), platform: instant("2026-11-30T23:55:00Z") };
        let scheduled = first_instant(SwitchAt::MonthStart, None, ahead);
        assert_eq!(scheduled, instant("2026-12-01T00:00:00Z"));
        assert_eq!(due(SwitchAt::MonthStart, scheduled, ahead), Due::In(SignedDuration::from_secs(300)));
        let behind = Clocks { controller: ahead.platform, platform: ahead.controller };
        assert_eq!(due(SwitchAt::MonthStart, scheduled, behind), Due::In(SignedDuration::from_secs(300)));
    }

    #[test]
    fn a_controller_clock_behind_does_not_bill_a_started_month() {
        let behind =
            Clocks { controller: instant("2026-12-01T12:00:00Z"), platform: instant("2026-12-05T12:00:00Z") };
        assert_eq!(first_instant(SwitchAt::MonthStart, None, behind), instant("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn a_month_start_stays_due_only_within_its_month() {
        let scheduled = instant("2026-12-01T00:00:00Z");
        let due = |now| due(SwitchAt::MonthStart, scheduled, both(now));
        assert_eq!(due("2026-12-01T00:00:00Z"), Due::Now);
        assert_eq!(due("2026-12-31T23:59:59Z"), Due::Now);
        assert_eq!(due("2027-01-01T00:00:00Z"), Due::Missed);
    }

    #[test]
    fn an_immediate_switch_waits_for_not_before_and_then_stays_due() {
        let not_before = instant("2026-12-15T00:00:00Z");
        let scheduled = first_instant(SwitchAt::Immediately, Some(not_before), both("2026-11-23T10:00:00Z"));
        assert_eq!(scheduled, not_before);
        assert_eq!(due(SwitchAt::Immediately, scheduled, both("2027-03-05T00:00:00Z")), Due::Now);
    }
}
