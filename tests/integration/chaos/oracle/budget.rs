//! No more attempts through a connection than its budget has room for, counted from what was stored: each that took
//! effect, or may have. One that leads to no request, or whose entry was closed, has no effect. A journal that another
//! program wiped gives nothing back, as far as the process that announced it lives.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Record, Stored, attempts::Attempt};
use crate::chaos::action::MARK;

pub fn faults(record: &Record, announced: &[Attempt<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut attempts = announced.iter().peekable();
    let mut intents: BTreeMap<(&str, &str), Spent<'_>> = BTreeMap::new();
    let mut marks: BTreeMap<(&str, &str), &str> = BTreeMap::new();
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
                let began = attempt.noted.map(|noted| noted.arrived);
                let room = allowed.iter().any(|(count, window)| {
                    let recent = |(of, spent): &(&(&str, &str), &Spent<'_>)| {
                        let is_known = !spent.wiped || (spent.life.is_some() && spent.life == attempt.life());
                        let counts = is_known && spent.counts(at, began, *window);
                        **of != key && spent.connection == connection && counts
                    };
                    intents.iter().filter(recent).count() < *count
                });
                // One whose answer came too late, or not for certain, leads to no request, and lands whenever it likes.
                if attempt.may_lead_to_a_put() {
                    if !room {
                        let name = &attempt.stored.name;
                        faults.push(format!("{name}: attempt {} has no room in the budget", attempt.id));
                    }
                    let life = attempt.life();
                    intents.insert(key, Spent { connection, at, began, life, wiped: false });
                } else {
                    intents.remove(&key);
                }
            }
        }
        let status = stored.object.as_ref().map(|object| &object["status"]);
        let mark = status.and_then(mark);
        let is_foreign = mark.is_some_and(|mark| marks.insert(key, mark) != Some(mark));
        let phase = status.and_then(|status| status["switch"]["phase"].as_str());
        let Some(spent) = intents.get_mut(&key) else { continue };
        match phase {
            Some("InFlight" | "Completed") => spent.wiped = false,
            None if status.is_some() && (is_foreign || spent.wiped) => spent.wiped = true,
            // Closed, or cancelled: the attempt had no effect.
            _ => drop(intents.remove(&key)),
        }
    }
    faults
}

/// The last announcement of an object that may have led to a request.
struct Spent<'a> {
    connection: &'a str,
    /// When it was announced, by the clock of the replica that did it.
    at: Timestamp,
    /// And when in truth.
    began: Option<Instant>,
    /// The process that announced it.
    life: Option<usize>,
    /// Another program took its journal away, and no process has restored it.
    wiped: bool,
}

impl Spent<'_> {
    /// Whether it counts at this time of a replica's clock, which is that instant in truth. No clock that was wrong,
    /// then or now, makes it count for longer than one window.
    fn counts(&self, now: Timestamp, truly: Option<Instant>, window: Duration) -> bool {
        let by_the_clock = self.at > now - SignedDuration::try_from(window).unwrap();
        let passed = self.began.zip(truly).map(|(began, now)| now.saturating_duration_since(began));
        by_the_clock && passed.is_none_or(|passed| passed < window)
    }
}

/// What another program left in a status, each time another text.
fn mark(status: &Value) -> Option<&str> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == MARK)?["message"].as_str()
}

fn intent(object: &Value) -> Option<Timestamp> {
    object["status"]["switch"]["intentAt"].as_str()?.parse().ok()
}

fn budget(stored: &Stored) -> Option<(usize, Duration)> {
    let budget = &stored.object.as_ref()?["spec"]["switch"]["budget"];
    let window = budget["window"].as_str()?.parse::<kube::core::Duration>().ok()?;
    Some((usize::try_from(budget["count"].as_u64()?).ok()?, window.into()))
}
