//! When the budget of its connection admits each switch. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use tokio::time::Instant;

use super::decided::{Decided, due_at};
use crate::{
    api::SwitchAt,
    calendar,
    cli::plan::connections::Links,
    cluster::Key,
    index::Index,
    pricing::{
        QueueState, account,
        budget::{Account, Budget},
        decide::{self, Verdict},
        facts::Access,
        schedule::Clocks,
    },
};

/// Gives each switch its place in the budget of its connection. Returns when each is admitted at the earliest; a budget
/// of zero admits none.
pub(super) fn admit(
    planned: &mut BTreeMap<Key, Decided<'_>>,
    index: &Index,
    changed: &BTreeSet<&Key>,
    links: &Links,
    now: Timestamp,
    instant: Instant,
) -> HashMap<Key, Timestamp> {
    let mut due: BTreeMap<Key, Vec<(Timestamp, bool, Key)>> = BTreeMap::new();
    for (key, decided) in planned.iter() {
        if let Some(at) = due_at(&decided.decision) {
            // What is there already was due earlier than what the input changes.
            let place = (at, changed.contains(key), key.clone());
            due.entry(decided.object.connection_key()).or_default().push(place);
        }
    }
    let mut times = HashMap::new();
    for (connection, mut queue) in due {
        let Some(budget) = links.budget(&connection) else { continue };
        queue.sort();
        let mut admitted: Vec<Timestamp> = Vec::new();
        let clocks = Clocks { controller: now, platform: now };
        let spent = account(index, &connection, budget, 0, clocks, instant);
        let room = spent.left();
        for (place, (at, _, key)) in queue.into_iter().enumerate() {
            let Some(decided) = planned.get_mut(&key) else { continue };
            // One that was held back is due since the past, and its turn comes now.
            let earliest =
                earliest(&budget, &spent, &admitted, room, place).map(|turn| turn.max(at).max(now));
            let Some(earliest) = earliest else {
                hold_back(decided, &spent, place.saturating_sub(room), now);
                continue;
            };
            let at = within_its_month(decided, at, earliest);
            admitted.push(at);
            if at > now && matches!(decided.decision.verdict, Verdict::Switch { .. }) {
                hold_back(decided, &spent, place.saturating_sub(room), now);
            }
            times.insert(key, at);
        }
    }
    times
}

/// The earliest turn of the switch at this place, after those in `admitted`. `None`: the budget admits none.
fn earliest(
    budget: &Budget,
    spent: &Account,
    admitted: &[Timestamp],
    room: usize,
    place: usize,
) -> Option<Timestamp> {
    let count = budget.count as usize;
    if count == 0 {
        return None;
    }
    if place < room {
        return Some(Timestamp::MIN);
    }
    if place < count {
        // The switch waits for one that is in the budget already.
        return spent.next(place - room);
    }
    // The switch waits until the one `count` places ahead of it leaves the window.
    let before = admitted.get(place - count)?;
    before.checked_add(budget.window).ok()
}

/// A month start whose turn comes in a later month is planned again, for the start of a month.
fn within_its_month(decided: &Decided<'_>, scheduled_for: Timestamp, turn: Timestamp) -> Timestamp {
    let Access::Open(connection) = &decided.access else { return turn };
    let is_missed = decided.facts(turn).switch_at(connection) == SwitchAt::MonthStart
        && turn >= calendar::next_month_start(scheduled_for)
        && !calendar::is_first_of_month(turn);
    if is_missed { calendar::next_month_start(turn) } else { turn }
}

/// Decides again, with a budget that is used up.
fn hold_back(decided: &mut Decided<'_>, spent: &Account, ahead: usize, now: Timestamp) {
    let namespace = decided.object.metadata.namespace.as_deref().unwrap_or_default();
    decided.circumstances.queue_state = QueueState::Exhausted(spent.exhausted(ahead, namespace));
    decided.decision = decide::decide(&decided.facts(now));
}
