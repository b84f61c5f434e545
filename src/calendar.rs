//! Months in UTC. The platform bills whole months.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The first instant of the month that `instant` lies in.
#[must_use]
pub fn month_start(instant: Timestamp) -> Timestamp {
    start_of(date(instant).first_of_month(), instant)
}

/// The first instant of the month after the one that `instant` lies in.
#[must_use]
pub fn next_month_start(instant: Timestamp) -> Timestamp {
    let last = date(instant).last_of_month();
    start_of(last.tomorrow().unwrap_or(last), instant)
}

/// Whether `instant` lies on the first day of a month.
#[must_use]
pub fn is_first_of_month(instant: Timestamp) -> bool {
    date(instant).day() == 1
}

/// The month that `instant` lies in, for people: `November 2026`.
#[must_use]
pub fn month_name(instant: Timestamp) -> String {
    instant.strftime("%B %Y").to_string()
}

fn date(instant: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(instant).date()
}

/// UTC has no gaps, so this fails only at the end of representable time. Then nothing is moved.
fn start_of(date: Date, otherwise: Timestamp) -> Timestamp {
    date.to_zoned(TimeZone::UTC).map_or(otherwise, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_named_for_people() {
        assert_eq!(month_name(instant("2026-11-30T23:59:59Z")), "November 2026");
        assert_eq!(month_name(instant("2026-12-01T00:00:00Z")), "December 2026");
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        for (within, start, next) in [
            ("2026-11-23T10:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            assert_eq!(month_start(instant(within)), instant(start), "{within}");
            assert_eq!(next_month_start(instant(within)), instant(next), "{within}");
        }
    }

    #[test]
    fn nothing_moves_at_the_end_of_representable_time() {
        for instant in [Timestamp::MIN, Timestamp::MAX] {
            assert!(month_start(instant) <= instant);
            assert!(next_month_start(instant) >= instant);
            assert!(!month_name(instant).is_empty());
        }
    }
}
