//! What is shown before an edit and after it, for a terminal. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;

use super::{
    change::Difference,
    forecast::Forecast,
    settled::{Settled, is_seen},
};
use crate::{
    api::TenantPricing,
    cli::{
        output::escape,
        plan::formats,
        status::{
            fleet::{telling, tenant, view},
            story::past::bill,
        },
    },
    cluster::Key,
};

/// What an edit changes, and what it means for the bill.
pub(super) fn summary(object: &TenantPricing, differences: &[Difference], forecast: &Forecast) -> String {
    let (shown, entry) = (view(object), &forecast.entry);
    let id = shown.tenant_id.as_deref().unwrap_or("id not known");
    let mut facts = vec![
        ("Object:", format!("{}/{}", shown.namespace, shown.name)),
        ("Tenant:", format!("{} ({id})", tenant(&shown))),
        ("Mode:", shown.mode.clone().unwrap_or_else(|| "not read yet".to_owned())),
        ("State:", state(object)),
    ];
    facts.extend(differences.iter().map(|difference| ("Edit:", edit(difference))));
    let when = match formats::when(entry).as_str() {
        "-" | "now" => String::new(),
        when => format!(", {when}"),
    };
    facts.push(("Outcome:", format!("{}{when}", formats::outcome(entry.outcome))));
    facts.push(("Billed from:", entry.billed_month.clone().unwrap_or_else(|| "-".to_owned())));
    let mut text = String::new();
    for (name, value) in facts {
        let _ = writeln!(text, "{name:<13}{}", escape::terminal(&value));
    }
    let _ = writeln!(text, "\n{}", escape::terminal(&entry.message));
    if !forecast.unknown.is_empty() {
        text.push_str("\nNot known from the cluster alone:\n");
        for unknown in &forecast.unknown {
            let _ = writeln!(text, "- {}", escape::terminal(unknown));
        }
    }
    text
}

fn edit(difference: &Difference) -> String {
    let value = |value: &Value| match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{}: {} -> {}", difference.field.path(), value(&difference.from), value(&difference.to))
}

/// How the object is doing, in one line.
pub(super) fn state(object: &TenantPricing) -> String {
    let reported = object.status.as_ref().and_then(|status| telling(&status.conditions));
    let Some((state, condition)) = reported else { return "not seen by the controller yet".to_owned() };
    let outdated = if is_seen(object) { "" } else { ", before the last edit" };
    format!("{} ({}){outdated}", state.as_str(), condition.reason)
}

/// How an edit ended, by the conditions of the object, and what was billed.
pub(super) fn outcome(
    object: &TenantPricing,
    settled: Settled,
    condition: &Condition,
    now: Timestamp,
) -> String {
    let word = match settled {
        Settled::Done => "Done",
        Settled::Scheduled => "Scheduled",
        Settled::HeldBack => "Held back",
        Settled::Stalled => "Stalled: a person must act",
    };
    format!(
        "{}: {word} ({}). {}\nBilled: {}\n",
        escape::terminal(Key::of(object).as_str()),
        escape::terminal(&condition.reason),
        escape::terminal(&condition.message),
        escape::terminal(&bill(object, now).0),
    )
}

#[cfg(test)]
mod tests;
