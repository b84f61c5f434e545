//! Times as the commands read and write them.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::{cli::cluster::MAX_DURATION, clock::Clock};

/// The present, in whole seconds, as a stored time has.
pub(crate) fn now() -> Timestamp {
    let now = Clock::system().now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The month that an instant lies in, in UTC, as in `2026-12`. The platform bills whole months.
pub(crate) fn month(at: Timestamp) -> String {
    at.strftime("%Y-%m").to_string()
}

/// A duration of a flag, in which a day has 24 hours: `30d`, `2w`, `12h`.
///
/// # Errors
/// It is no duration, negative, or longer than [`MAX_DURATION`]. The error says how to write it.
pub(crate) fn span(text: &str) -> Result<SignedDuration, String> {
    let parsed = text.parse::<Span>().ok();
    let duration = parsed.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    duration
        .filter(|duration| Duration::try_from(*duration).is_ok_and(|duration| duration <= MAX_DURATION))
        .ok_or_else(|| "write a duration such as 30d, 2w or 12h, at most 100 years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_may_have_days_and_weeks() {
        for (text, hours) in [("30d", 720), ("2w", 336), ("12h", 12), ("1d12h", 36), ("0s", 0)] {
            assert_eq!(span(text), Ok(SignedDuration::from_hours(hours)), "{text}");
        }
        for text in ["", "-5d", "soon", "30", "1mo", "36501d", "175307616h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_is_that_of_utc() {
        assert_eq!(month("2026-11-30T23:59:59Z".parse().unwrap()), "2026-11");
        assert_eq!(month("2026-12-01T00:30:00+01:00".parse().unwrap()), "2026-11");
    }
}
