//! The one line that says what a plan does. Pure.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::document::{Change, Entry, Outcome, Plan};
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
    let connections = if summary.connections == 1 { "connection changed" } else { "connections changed" };
    let counts = [
        (held_back(plan), "held back by a budget".to_owned()),
        (summary.cancelled, cancelled(plan)),
        (summary.refused, "refused".to_owned()),
        (summary.unknown, "unknown".to_owned()),
        (summary.changed, "changed without a switch".to_owned()),
        (summary.unchanged, "unchanged".to_owned()),
        (summary.connections, connections.to_owned()),
    ];
    parts
        .extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    if plan.objects.is_empty() {
        parts.insert(0, "No TenantPricing was found".to_owned());
    }
    format!("{}.", parts.join(", "))
}

/// The word for the cancelled switches. Those of objects that are only gone from the manifests may take place.
fn cancelled(plan: &Plan) -> String {
    let is_deleted = |entry: &&Entry| entry.change == Change::Delete && entry.outcome == Outcome::Cancelled;
    match plan.objects.iter().filter(is_deleted).count() {
        0 => "cancelled".to_owned(),
        deleted => format!("cancelled ({deleted} only if the cluster loses the object too)"),
    }
}

/// The number of changed objects whose switch has no time, since the budget of the connection allows none.
fn held_back(plan: &Plan) -> usize {
    plan.objects.iter().filter(|entry| is_later(entry) && entry.at.is_none()).count()
}

fn is_later(entry: &Entry) -> bool {
    entry.change != Change::None && entry.outcome == Outcome::SwitchLater
}

fn switches(count: usize) -> String {
    if count == 1 { "1 switch".to_owned() } else { format!("{count} switches") }
}

/// The number of changed objects that are switched later, by the date in UTC.
fn later(plan: &Plan) -> BTreeMap<Date, usize> {
    let mut dates = BTreeMap::new();
    let date = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
    for at in plan.objects.iter().filter(|entry| is_later(entry)).filter_map(|entry| entry.at) {
        *dates.entry(date(at)).or_default() += 1;
    }
    dates
}
