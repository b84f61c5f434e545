//! Instants as the platform writes them.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The maximum pause. A wrong date in a header must not silence a connection for good.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// The start of the year 9999. No status can hold a later instant.
const END: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// Parses an instant. The platform writes it without a zone (which means UTC), with `Z`, or with an offset. Fractions
/// of a second are optional.
///
/// Instants before 1970 are rejected. Some systems write the year 1 for "no date", and Kubernetes cannot store every
/// year, so no status could be written. The schema excludes instants after 9998.
pub(in crate::platform) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let without_zone =
        || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(without_zone).filter(|instant| (Timestamp::UNIX_EPOCH..END).contains(instant))
}

/// Parses a `Date` header.
pub(in crate::platform) fn parse_http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().and_then(|time| Timestamp::try_from(time).ok())
}

/// The pause that a `Retry-After` header asks for, in seconds or as a date. `None` if it cannot be parsed.
///
/// A date is measured against `answered`, the answer's own `Date`. The difference of two readings of one clock is right
/// even when that clock is wrong.
pub(in crate::platform) fn requested_pause(
    retry_after: &str,
    answered: Option<Timestamp>,
) -> Option<Duration> {
    parse_seconds(retry_after.trim())
        .or_else(|| until(parse_http_date(retry_after)?, answered?))
        .map(|length| length.min(MAX_PAUSE))
}

fn parse_seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Digits that overflow are still a number, only a very large one.
    Some(text.parse().map_or(MAX_PAUSE, Duration::from_secs))
}

fn until(instant: Timestamp, answered: Timestamp) -> Option<Duration> {
    let difference = instant.duration_since(answered);
    if difference.is_negative() { Some(Duration::ZERO) } else { difference.try_into().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_the_platform_writes_an_instant_is_read() {
        let instant: Timestamp = "2020-08-04T12:47:03Z".parse().unwrap();
        for text in [
            "2020-08-04T12:47:03",
            "2020-08-04T12:47:03Z",
            "2020-08-04T12:47:03+00:00",
            "2020-08-04T14:47:03+02:00",
            "2020-08-04T07:17:03-05:30",
        ] {
            assert_eq!(parse_timestamp(text), Some(instant), "{text}");
        }
        let fraction: Timestamp = "2020-08-04T12:47:03.123456Z".parse().unwrap();
        for text in
            ["2020-08-04T12:47:03.123456", "2020-08-04T12:47:03.123456Z", "2020-08-04T13:47:03.123456+01:00"]
        {
            assert_eq!(parse_timestamp(text), Some(fraction), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "soon",
            "2020-13-01T00:00:00Z",
            "2020-02-30T00:00:00",
            "1596545223",
            "2020-08-04T25:00:00",
            "0001-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "-009999-06-01T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_pause_is_read_from_seconds() {
        assert_eq!(requested_pause("17", None), Some(Duration::from_secs(17)));
        assert_eq!(requested_pause(" 17 ", None), Some(Duration::from_secs(17)));
        assert_eq!(requested_pause("99999999999999999999999999", None), Some(MAX_PAUSE));
    }

    #[test]
    fn a_pause_until_a_date_is_measured_by_the_platforms_own_clock() {
        let answered = parse_http_date("Tue, 01 Dec 2026 00:00:00 GMT");
        let pause = |text| requested_pause(text, answered);
        assert_eq!(pause("Tue, 01 Dec 2026 00:00:42 GMT"), Some(Duration::from_secs(42)));
        assert_eq!(pause("Mon, 30 Nov 2026 23:59:00 GMT"), Some(Duration::ZERO));
        assert_eq!(pause("Fri, 01 Jan 2100 00:00:00 GMT"), Some(MAX_PAUSE));
        assert_eq!(requested_pause("Tue, 01 Dec 2026 00:00:42 GMT", None), None);
    }

    #[test]
    fn what_is_no_pause_is_none() {
        for text in ["", "-5", "1.5", "soon", "+3"] {
            assert_eq!(requested_pause(text, None), None, "{text:?}");
        }
    }
}
