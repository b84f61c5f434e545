//! Instants as the platform writes them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The pause when the platform asks for one without a length that can be read.
const DEFAULT_PAUSE: Duration = Duration::from_secs(30);

/// No pause is shorter: a zero, or an instant already past, would only bring the next refusal.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer: a wrong date in a header must not silence a connection for good.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Reads an instant. The platform writes it without a zone (which means UTC), with `Z`, or with an offset,
/// and with fractions of a second or without.
pub(super) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let without_zone =
        || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(without_zone)
}

/// Reads a `Date` header.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().and_then(|time| Timestamp::try_from(time).ok())
}

/// How long to pause after a `Retry-After` header, which holds seconds or a date.
///
/// A date is measured against `answered`, the answer's own `Date`: the difference of two readings of one
/// clock is right even when that clock is wrong.
pub(super) fn pause_length(retry_after: Option<&str>, answered: Option<Timestamp>) -> Duration {
    retry_after
        .and_then(|text| parse_seconds(text.trim()).or_else(|| until(parse_http_date(text)?, answered?)))
        .unwrap_or(DEFAULT_PAUSE)
        .clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

fn parse_seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Digits alone that do not fit are still a number, only a very large one.
    Some(text.parse().map_or(LONGEST_PAUSE, Duration::from_secs))
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
        for text in
            ["", "soon", "2020-13-01T00:00:00Z", "2020-02-30T00:00:00", "1596545223", "2020-08-04T25:00:00"]
        {
            assert_eq!(parse_timestamp(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_pause_is_read_from_seconds() {
        assert_eq!(pause_length(Some("17"), None), Duration::from_secs(17));
        assert_eq!(pause_length(Some(" 17 "), None), Duration::from_secs(17));
    }

    #[test]
    fn a_pause_until_a_date_is_measured_by_the_platforms_own_clock() {
        let answered = parse_http_date("Tue, 01 Dec 2026 00:00:00 GMT");
        assert_eq!(pause_length(Some("Tue, 01 Dec 2026 00:00:42 GMT"), answered), Duration::from_secs(42));
        assert_eq!(pause_length(Some("Mon, 30 Nov 2026 23:59:00 GMT"), answered), SHORTEST_PAUSE);
        assert_eq!(pause_length(Some("Fri, 01 Jan 2100 00:00:00 GMT"), answered), LONGEST_PAUSE);
        assert_eq!(pause_length(Some("Tue, 01 Dec 2026 00:00:42 GMT"), None), DEFAULT_PAUSE);
    }

    #[test]
    fn a_pause_has_bounds_and_a_default() {
        assert_eq!(pause_length(Some("0"), None), SHORTEST_PAUSE);
        assert_eq!(pause_length(Some("99999999999999999999999999"), None), LONGEST_PAUSE);
        for text in [None, Some(""), Some("-5"), Some("1.5"), Some("soon"), Some("+3")] {
            assert_eq!(pause_length(text, None), DEFAULT_PAUSE, "{text:?}");
        }
    }
}
