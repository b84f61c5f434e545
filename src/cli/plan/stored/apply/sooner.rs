//! Which of two values lets a switch happen sooner. Where it is not known which one is stored, the plan takes the
//! sooner one. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::connections::interval;

/// Whether a switch is sooner with `value` than with `other`, which is its default or not there. `None`: that cannot be
/// said of this field.
pub(super) fn switches_sooner(path: &[String], value: &Value, other: Option<&Value>) -> Option<bool> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let sooner = match path.as_slice() {
        ["spec", "mode"] => value == "production" || other.is_none_or(|other| other != "production"),
        ["spec", "suspend"] => *value == Value::Bool(false),
        ["spec", "switch", "at"] => value == "Immediately",
        ["spec", "switch", "notBefore"] => other.is_some_and(|other| instant(value) < instant(other)),
        ["spec", "switch", "budget", "count"] => value.as_u64() >= other.and_then(Value::as_u64),
        ["spec", "switch", "budget", "window"] => other.is_none_or(|other| window(value) <= window(other)),
        ["spec", "allowedNamespaces"] => width(Some(value)) > width(other),
        _ => return None,
    };
    Some(sooner)
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn window(value: &Value) -> Duration {
    interval(value.as_str().unwrap_or_default(), Duration::MAX)
}

/// How many namespaces are admitted, as a rank.
fn width(allowed: Option<&Value>) -> u8 {
    match allowed.and_then(|allowed| allowed["from"].as_str()) {
        Some("All") => 2,
        Some("Selector") => 1,
        _ => 0,
    }
}
