//! The one line that says what a plan does. Pure.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::document::{Change, Outcome, Plan};
use crate::calendar;

/// The line, as in: `3 switches now (November 2026 is billed), 2 on 1 December 2026, 1 cancelled, 40 unchanged.`
pub(crate) fn line(plan: &Plan) -> String {
    let summary = &plan.summary;
    let mut parts = Vec::new();
    if summary.switches_now > 0 {
        let month = calendar::month_name(plan.now);
        parts.push(format!("{} now ({month} is billed)", switches(summary.switches_now)));
    }
    for (index, (date, count)) in later(plan).into_iter().enumerate() {
        // The noun is said once.
        let what = if index == 0 && parts.is_empty() { switches(count) } else { count.to_string() };
        parts.push(format!("{what} on {}", date.strftime("%-d %B %Y")));
    }
    let counts = [
        (summary.cancelled, "cancelled"),
        (summary.refused, "refused"),
        (summary.unknown, "unknown"),
        (summary.changed, "changed without a switch"),
        (summary.unchanged, "unchanged"),
    ];
    parts
        .extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    if parts.is_empty() {
        return "No TenantPricing was found.".to_owned();
    }
    format!("{}.", parts.join(", "))
}

fn switches(count: usize) -> String {
    if count == 1 { "1 switch".to_owned() } else { format!("{count} switches") }
}

/// The number of changed objects that are switched later, by the date in UTC.
fn later(plan: &Plan) -> BTreeMap<Date, usize> {
    let mut dates = BTreeMap::new();
    let date = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
    let is_later = |entry: &&super::document::Entry| {
        entry.change != Change::None && entry.outcome == Outcome::SwitchLater
    };
    for at in plan.objects.iter().filter(is_later).filter_map(|entry| entry.at) {
        *dates.entry(date(at)).or_default() += 1;
    }
    dates
}
