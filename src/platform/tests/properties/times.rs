//! Dates, pauses, lifetimes of tokens.

use jiff::{Timestamp, tz::TimeZone};

use super::*;
use crate::platform::wire::time::{parse_http_date, parse_timestamp, requested_pause};

fn try_all(text: &str) {
    let hour = Duration::from_hours(1);
    let date = parse_http_date(text);
    for answered in [None, date, Some(Timestamp::MIN), Some(Timestamp::MAX), Some(Timestamp::UNIX_EPOCH)] {
        assert!(requested_pause(text, answered).is_none_or(|pause| pause <= hour), "{text:?}");
    }
    if let Some(instant) = parse_timestamp(text) {
        assert_eq!(parse_timestamp(&instant.to_string()), Some(instant), "{text:?}");
    }
}

#[test]
fn the_corpus_of_dates() {
    for (_, text) in corpus_texts("dates") {
        try_all(&text);
        try_all(text.trim_end());
    }
}

/// Any instant before the year 9999: no status can hold a later one.
fn instant() -> impl Strategy<Value = Timestamp> {
    let end: Timestamp = "9999-01-01T00:00:00Z".parse().unwrap();
    let seconds = 0..end.as_second();
    (seconds, 0..1_000_000_000)
        .prop_filter_map("beyond time", |(second, nano)| Timestamp::new(second, nano).ok())
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_text_is_a_date_a_pause_or_nothing(text in text()) {
        try_all(&text);
    }

    #[test]
    fn what_the_platform_writes_is_read_back_in_each_of_its_forms(instant in instant(), hours in -14_i32..=14) {
        prop_assert_eq!(parse_timestamp(&instant.to_string()), Some(instant));
        let plain = instant.to_zoned(TimeZone::UTC).datetime();
        prop_assert_eq!(parse_timestamp(&plain.to_string()), Some(instant));
        let zone = jiff::tz::offset(i8::try_from(hours).unwrap());
        let shifted = zone.to_datetime(instant);
        let sign = if hours < 0 { '-' } else { '+' };
        let read = parse_timestamp(&format!("{shifted}{sign}{:02}:00", hours.abs()));
        prop_assert!(read.is_none_or(|read| read == instant), "{shifted} {hours}");
    }

    #[test]
    fn a_date_header_is_read_back_to_the_second(second in 0_i64..=253_402_207_200) {
        let instant = Timestamp::from_second(second).unwrap();
        let text = httpdate::fmt_http_date(instant.into());
        prop_assert_eq!(parse_http_date(&text), Some(instant));
    }

    #[test]
    fn a_pause_is_as_asked_and_never_longer_than_an_hour(seconds in any::<u64>()) {
        let expected = Duration::from_secs(seconds.min(3600));
        prop_assert_eq!(requested_pause(&seconds.to_string(), None), Some(expected));
    }
}
