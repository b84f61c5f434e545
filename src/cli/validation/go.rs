//! Values and times as Go prints and parses them, since they are in the API server's messages. Pure.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Number, Value};

/// A value in a message (`ErrorBody` in `apimachinery/pkg/util/validation/field`).
pub(super) fn bad_value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => number_text(number),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => json(value),
    }
}

/// `%q`, as `strconv.Quote`.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            _ if is_printable(character) => quoted.push(character),
            _ => {
                let code = u32::from(character);
                // Writing to a text cannot fail.
                let _ = match code {
                    0..0x20 | 0x7f => write!(quoted, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

/// `unicode.IsPrint`. The standard library knows the same, but shows it only in how it escapes a text. A combining mark
/// is printable, and it is escaped only at the beginning.
fn is_printable(character: char) -> bool {
    let text: String = ['a', character].iter().collect();
    matches!(character, '\'' | '"' | '\\') || text.escape_debug().skip(1).eq([character])
}

/// `%v` of an `int64` or a `float64`.
fn number_text(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) => float_text(float),
        (None, None) => number.to_string(),
    }
}

/// `%v` of a `float64`: the shortest digits that mean the number, with an exponent if it is below -4 or above 5.
fn float_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}

/// `json.Marshal`, which escapes what would mean something in HTML.
fn json(value: &Value) -> String {
    let mut escaped = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Whether the API server takes a text for a `date-time` (`IsDateTime` in `kube-openapi/pkg/validation/strfmt`). It is
/// more lenient than [`parse_date_time`].
pub(super) fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    is_date(date) && is_time(time)
}

fn is_date(text: &str) -> bool {
    let shape = text.len() == 10 && has_shape(text, "dddd-dd-dd");
    shape && text.parse::<jiff::civil::Date>().is_ok()
}

/// `^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$`, where the dot is any character.
fn is_time(text: &str) -> bool {
    let Some((time, rest)) = text.split_at_checked(8).filter(|(time, _)| has_shape(time, "dd:dd:dd")) else {
        return false;
    };
    let is_in_range = &time[..2] <= "23" && &time[3..5] <= "59" && &time[6..] <= "59";
    let is_zone = |text: &str| text == "z" || has_shape(text, "+dd:dd") || has_shape(text, "-dd:dd");
    let without_fraction = || {
        let mut characters = rest.chars();
        let separator = characters.next().filter(|character| *character != '\n')?;
        let fraction = characters.as_str();
        let zone = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
        (zone.len() < fraction.len()).then_some((separator, zone))
    };
    is_in_range && (is_zone(rest) || without_fraction().is_some_and(|(_, zone)| is_zone(zone)))
}

/// Whether a text has a shape, in which `d` is any digit.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, shape)| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape })
}

/// The instant that CEL sees for a `date-time`, or Go's words for why there is none (`ParseDateTime`
/// in `kube-openapi/pkg/validation/strfmt`). An instant outside of the years 1 to 9999 becomes the nearest one inside.
/// The fraction of a second is left out, since no rule depends on it.
pub(super) fn parse_date_time(text: &str) -> Result<Timestamp, String> {
    /// The first instant of the year 1.
    const FIRST: Timestamp = Timestamp::constant(-62_135_596_800, 0);
    const LAYOUT: &str = "2006-01-02T15:04:05";
    if !is_date_time(text) {
        // It was stored under another schema. Go says more then.
        return Err(format!("parsing time {}", time_quoted(text)));
    }
    if !text[10..].starts_with('T') {
        return Err(format!(
            "parsing time {} as {}: cannot parse {} as \"T\"",
            time_quoted(text),
            time_quoted(LAYOUT),
            time_quoted(&text[10..])
        ));
    }
    let (local, mut rest) = text.split_at(LAYOUT.len());
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    if let Some(fraction) = rest.strip_prefix(['.', ',']).filter(|fraction| digits(fraction) > 0) {
        rest = &fraction[digits(fraction)..];
    }
    let offset = offset(rest)
        .ok_or_else(|| format!("parsing time {}: extra text: {}", time_quoted(text), time_quoted(rest)))?;
    let local: DateTime = local.parse().map_err(|_| format!("parsing time {}", time_quoted(text)))?;
    let nearest = if local.year() < 2000 { FIRST } else { Timestamp::MAX };
    let utc = local.to_zoned(TimeZone::UTC).map_or(nearest, |zoned| zoned.timestamp());
    Ok(utc.checked_sub(offset).unwrap_or(nearest).max(FIRST))
}

/// The offset of `Z` or `+07:00` from UTC. Go allows 24 hours and 60 minutes.
fn offset(zone: &str) -> Option<SignedDuration> {
    if zone == "Z" {
        return Some(SignedDuration::ZERO);
    }
    let sign = if has_shape(zone, "+dd:dd") {
        1
    } else if has_shape(zone, "-dd:dd") {
        -1
    } else {
        return None;
    };
    let (hours, minutes): (i64, i64) = (zone[1..3].parse().ok()?, zone[4..].parse().ok()?);
    (hours <= 24 && minutes <= 60).then(|| SignedDuration::from_secs(sign * (hours * 60 + minutes) * 60))
}

/// The quotes of Go's package `time`, which escapes each byte beyond ASCII.
fn time_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            0x20..0x80 => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}
