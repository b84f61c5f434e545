//! Durations in Go's notation, which Kubernetes uses: `90s`, `1h30m`.

use std::time::Duration;

/// The longest duration, a year. A longer one overflows somewhere, and no one means it.
const MAX_DURATION: Duration = Duration::from_hours(366 * 24);

/// A duration of a connection's spec. The API server has checked it, but an older CRD may have admitted an invalid one:
/// then this returns `fallback`. An interval of zero would poll without pause, so it is invalid as well.
#[must_use]
pub fn interval(text: &str, fallback: Duration) -> Duration {
    parse(text).filter(|interval| !interval.is_zero()).unwrap_or(fallback)
}

/// Parses a duration. kube's parser panics on a number that is too large, and on a minus sign in the middle.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit_at = rest.find(|character: char| !(character.is_ascii_digit() || character == '.'))?;
        let (number, behind) = rest.split_at(unit_at);
        let end = behind.find(|character: char| character.is_ascii_digit() || character == '.');
        let (unit, behind) = behind.split_at(end.unwrap_or(behind.len()));
        let seconds = number.parse::<f64>().ok()? * seconds_of(unit)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = behind;
    }
    (total <= MAX_DURATION).then_some(total)
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_duration_is_parsed_and_an_invalid_one_is_replaced() {
        let fallback = Duration::from_mins(10);
        for (text, seconds) in [
            ("10s", 10),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("24h", 86_400),
            ("", 600),
            ("soon", 600),
            ("10", 600),
            ("-5m", 600),
            ("0s", 600),
            ("1.5h", 5400),
            ("+90s", 90),
            ("1000ms9s", 10),
            // kube's own parser panics on these.
            ("1s-5s", 600),
            ("99999999999999999999h", 600),
            // Longer than the limit of a year.
            ("876000h", 600),
            ("1d", 600),
            ("1..5h", 600),
            (".s", 600),
            ("h", 600),
            ("1e3s", 600),
            ("NaNs", 600),
        ] {
            assert_eq!(interval(text, fallback), Duration::from_secs(seconds), "{text:?}");
        }
    }
}
