//! The forms in which the platform writes an instant.

use jiff::{Timestamp, fmt::strtime, tz::Offset};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A form of writing an instant. All of them occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeFormat {
    /// `2020-08-04T12:47:03`, which means UTC.
    #[default]
    NoZone,
    /// `2020-08-04T12:47:03Z`.
    Utc,
    /// `2020-08-04T14:47:03+02:00`.
    Offset,
    /// `2020-08-04T12:47:03.250000`, which means UTC.
    Fraction,
}

impl TimeFormat {
    /// Every form.
    pub const ALL: [Self; 4] = [Self::NoZone, Self::Utc, Self::Offset, Self::Fraction];

    /// Writes the instant.
    pub(crate) fn write(self, at: Timestamp) -> String {
        match self {
            Self::NoZone => at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            Self::Utc => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Self::Offset => {
                let zone = Offset::constant(2).to_time_zone();
                strtime::format("%Y-%m-%dT%H:%M:%S%:z", &at.to_zoned(zone))
                    .unwrap_or_else(|_| Self::Utc.write(at))
            }
            Self::Fraction => at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
        }
    }
}

/// Formats the instant for the headers `Date` and `Retry-After`. Instants before 1970 become 1970.
pub(crate) fn http_date(at: Timestamp) -> String {
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

/// Parses an instant that a person wrote. The refusal quotes the text and says how to correct it.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let instant = text.parse();
    instant.map(Some).map_err(|_| {
        D::Error::custom(format_args!("{text:?} is not an instant; write it as 2026-12-01T00:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_written_as_the_platform_writes_it() {
        let at: Timestamp = "2020-08-04T12:47:03.25Z".parse().unwrap();
        let written = TimeFormat::ALL.map(|form| form.write(at));
        assert_eq!(
            written,
            [
                "2020-08-04T12:47:03",
                "2020-08-04T12:47:03Z",
                "2020-08-04T14:47:03+02:00",
                "2020-08-04T12:47:03.250000",
            ]
        );
    }

    #[test]
    fn the_date_header_has_the_form_of_http() {
        assert_eq!(http_date("2026-11-30T23:59:59Z".parse().unwrap()), "Mon, 30 Nov 2026 23:59:59 GMT");
    }
}
