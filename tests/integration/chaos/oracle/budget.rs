//! No more announcements through a connection than its budget has room for, counted from what was stored.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::attempts::Attempt;
use super::{Record, Stored};

pub fn faults(record: &Record, announced: &[Attempt<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut attempts = announced.iter().peekable();
    // By object: the connection of the last announcement, and when it was.
    let mut intents: BTreeMap<(&str, &str), (&str, Timestamp)> = BTreeMap::new();
    let mut budgets: BTreeMap<String, [(usize, Duration); 2]> = BTreeMap::new();
    for stored in &record.versions {
        let key = (stored.namespace.as_str(), stored.name.as_str());
        if stored.kind == "platformconnections" {
            let Some(budget) = budget(stored) else { continue };
            // One that was just replaced may have been the one that was read.
            let before = budgets.get(&format!("{}/{}", key.0, key.1)).map_or(budget, |known| known[1]);
            budgets.insert(format!("{}/{}", key.0, key.1), [before, budget]);
            continue;
        }
        if let Some(attempt) = attempts.next_if(|attempt| attempt.stored.revision == stored.revision) {
            let connection = attempt.object["status"]["switch"]["connection"].as_str().unwrap_or_default();
            if let (Some(at), Some(allowed)) = (intent(attempt.object), budgets.get(connection)) {
                let room = allowed.iter().any(|(count, window)| {
                    let window = SignedDuration::try_from(*window).unwrap();
                    let recent = |(of, (through, when)): &(&(&str, &str), &(&str, Timestamp))| {
                        **of != key && *through == connection && *when > at - window
                    };
                    intents.iter().filter(recent).count() < *count
                });
                // One whose answer came too late, or not for certain, leads to no request, and lands whenever it likes.
                if !room && attempt.may_lead_to_a_put() {
                    let name = &attempt.stored.name;
                    faults.push(format!("{name}: attempt {} has no room in the budget", attempt.id));
                }
            }
        }
        match &stored.object {
            None => drop(intents.remove(&key)),
            Some(object) => {
                let connection = object["status"]["switch"]["connection"].as_str();
                match (connection, intent(object)) {
                    (Some(connection), Some(at)) => drop(intents.insert(key, (connection, at))),
                    // It came to nothing and was cancelled: no journal says any more that there was one.
                    _ => drop(intents.remove(&key)),
                }
            }
        }
    }
    faults
}

fn intent(object: &Value) -> Option<Timestamp> {
    object["status"]["switch"]["intentAt"].as_str()?.parse().ok()
}

fn budget(stored: &Stored) -> Option<(usize, Duration)> {
    let budget = &stored.object.as_ref()?["spec"]["switch"]["budget"];
    let window = budget["window"].as_str()?.parse::<kube::core::Duration>().ok()?;
    Some((usize::try_from(budget["count"].as_u64()?).ok()?, window.into()))
}
