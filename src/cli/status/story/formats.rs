//! The story of one object as text. Pure.

use std::{borrow::Cow, fmt::Write};

use super::document::{Entry, Step, Story};
use crate::cli::{
    output::{escape, table},
    status::fleet::tenant,
};

/// What a cell shows that has no value.
const NONE: &str = "-";

/// The story for a terminal.
pub(crate) fn for_terminal(story: &Story) -> String {
    let object = &story.object;
    let facts = [
        ("Object:", format!("{}/{}", object.namespace, object.name)),
        (
            "Tenant:",
            format!("{} ({})", tenant(object), object.tenant_id.as_deref().unwrap_or("id not known")),
        ),
        ("Connection:", object.connection.clone()),
        ("Asked for:", object.desired.clone().unwrap_or_else(|| "nothing: it is only observed".to_owned())),
        ("Asked by:", story.requested_by.clone().unwrap_or_else(|| NONE.to_owned())),
        ("Mode:", object.mode.clone().unwrap_or_else(|| "not read yet".to_owned())),
        ("State:", state(story)),
        ("Billed:", story.bill.clone()),
    ];
    let mut text = String::new();
    for (name, value) in facts {
        let _ = writeln!(text, "{name:<12}{}", escape::terminal(&value));
    }
    text.push('\n');
    text.push_str(&table::plain(&["WHEN", "FROM", "WHO", "WHAT HAPPENED"], story.past.iter().map(past)));
    text.push('\n');
    text.push_str(&table::plain(
        &["NEXT", "REASON", "BILLED FROM", "WHAT HAPPENS"],
        story.next.iter().map(next),
    ));
    if !story.unknown.is_empty() {
        text.push_str("\nNot known from the cluster alone:\n");
        for unknown in &story.unknown {
            let _ = writeln!(text, "- {}", escape::terminal(unknown));
        }
    }
    text
}

fn state(story: &Story) -> String {
    let object = &story.object;
    let reason = object.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let outdated = if object.outdated { ", before the last edit" } else { "" };
    format!("{}{reason}{outdated}", object.state.as_str())
}

fn past(entry: &Entry) -> Vec<Cow<'_, str>> {
    vec![
        entry.at.to_string().into(),
        entry.source.as_str().into(),
        entry.who.as_deref().unwrap_or(NONE).into(),
        entry.text.as_str().into(),
    ]
}

fn next(step: &Step) -> Vec<Cow<'_, str>> {
    vec![
        step.at.map_or(NONE.into(), |at| at.to_string().into()),
        step.reason.as_str().into(),
        step.billed_month.as_deref().unwrap_or(NONE).into(),
        step.text.as_str().into(),
    ]
}
