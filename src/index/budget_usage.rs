//! What has been spent of the budgets: when an attempt was announced, for each connection.
//!
//! Only attempts that took effect, or may have, are spent. One that is known to have had no effect gives its place
//! back. Only two things say so: this process knows it, or the store shows the closed journal of the same attempt.
//! A journal that is absent, or that holds another attempt, says nothing: others may have wiped or restored the status.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::record::{Intent, Number};
use crate::cluster::Key;

/// The longest window that a budget can have, in seconds.
const LONGEST_WINDOW: i64 = 744 * 3600;

/// An announcement of one object: the second, the object's uid, and the attempt.
type Announcement = (i64, Number, u64);

/// An attempt that took effect, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedAttempt {
    /// When it was announced, by the controller's clock of that moment.
    pub at: Timestamp,
    /// For so long this process has counted it, by its monotonic clock.
    pub counted_for: Duration,
    /// The object that it was made for.
    pub object: Key,
}

/// The announcements that count: one for each object's present journal, and those that are remembered.
#[derive(Debug, Default)]
pub(super) struct BudgetUsage {
    /// By connection: when, and for which object.
    spent: HashMap<Key, BTreeMap<Announcement, Counted>>,
    /// Those of this process that the watch has not brought yet.
    ours: HashMap<Number, Intent>,
    /// The last attempts of objects that had no effect, as this process knows.
    without_effect: HashMap<Number, WithoutEffect>,
    /// Those that no journal in the store holds any more: nothing but this memory holds them.
    gone: HashMap<Key, BTreeSet<Announcement>>,
    /// The connections that got room back since this was asked last.
    freed: BTreeSet<Key>,
}

#[derive(Debug)]
struct Counted {
    object: Key,
    /// When a budget first counted it, by the monotonic clock of this process.
    first: Option<Instant>,
}

#[derive(Debug)]
struct WithoutEffect {
    intent: Intent,
    /// No process that starts now would count it.
    is_stored: bool,
}

impl BudgetUsage {
    /// This process has announced an attempt for an object, over a journal that holds this earlier one.
    pub fn announced(&mut self, object: &Key, uid: Number, earlier: Option<&Intent>, intent: &Intent) {
        // An attempt follows another one only if that had no effect.
        if let Some(closed) = earlier.filter(|earlier| !earlier.counts) {
            self.remove(uid, closed);
        }
        if let Some(earlier) = self.ours.insert(uid, intent.clone()) {
            self.remove(uid, &earlier);
        }
        self.insert(object, uid, intent);
    }

    /// The watch shows this object's announcement; before, it showed another one.
    pub fn shown(&mut self, object: &Key, uid: Number, before: Option<&Intent>, now: Option<&Intent>) {
        // What the watch shows may be older than what this process wrote.
        let is_brought =
            |ours: &Intent| now.is_some_and(|now| now.attempt == ours.attempt || now.at > ours.at);
        let ours = self.ours.get(&uid).cloned();
        if ours.as_ref().is_some_and(is_brought) {
            self.ours.remove(&uid);
        }
        self.comes_to_nothing(uid, before, now);
        if before == now && ours.is_none() {
            return;
        }
        let known: Vec<_> = ours.iter().chain(before).filter(|known| known.counts).collect();
        match now {
            Some(closed) if !closed.counts => {
                // Others may have changed the time that it says.
                for same in known.iter().filter(|known| known.attempt == closed.attempt) {
                    self.remove(uid, same);
                }
                self.remove(uid, closed);
            }
            Some(now) => {
                // An attempt has one place. And one that is older than the last had no effect: others restored it.
                let is_other = |known: &&Intent| {
                    !is_same(known, now) && (known.attempt == now.attempt || known.at > now.at)
                };
                if self.is_spent(uid, now) || !known.into_iter().any(|known| is_other(&known)) {
                    self.insert(object, uid, now);
                }
            }
            None => {}
        }
        // Others may have taken away what the store held. It stays spent.
        for earlier in before.into_iter().chain(ours.as_ref().filter(|ours| is_brought(ours))) {
            if !now.is_some_and(|now| is_same(earlier, now)) {
                self.leaves_the_store(uid, earlier);
            }
        }
    }

    /// The watch shows what the last attempt that had no effect, as this process knows, gave way to.
    fn comes_to_nothing(&mut self, uid: Number, before: Option<&Intent>, now: Option<&Intent>) {
        let Some(known) = self.without_effect.get_mut(&uid) else { return };
        let intent = known.intent.clone();
        let is_counted = |journal: Option<&Intent>| {
            journal.is_some_and(|journal| journal.counts && journal.attempt == intent.attempt)
        };
        if is_counted(now) {
            return;
        }
        known.is_stored = true;
        // The watch is past it. A later journal of this attempt is another fact.
        if is_counted(before) || now.is_some_and(|now| now.attempt == intent.attempt) {
            self.without_effect.remove(&uid);
        }
        self.remove(uid, &intent);
    }

    /// This process knows that the last attempt for an object had no effect. It gives its place back when no process
    /// that starts now would count it: `is_stored`, or the watch shows another journal.
    pub fn returned(&mut self, uid: Number, intent: &Intent, is_stored: bool) {
        if is_stored {
            self.ours.remove(&uid);
            self.remove(uid, intent);
        }
        self.without_effect.insert(uid, WithoutEffect { intent: intent.clone(), is_stored });
    }

    /// This process knows that the last attempt for an object that is gone had no effect.
    pub fn returned_of_gone(&mut self, uid: Number, intent: &Intent) {
        self.ours.remove(&uid);
        self.remove(uid, intent);
    }

    /// The object is gone; what was spent for it stays spent.
    pub fn kept(&mut self, uid: Number, shown: Option<&Intent>) {
        let ours = self.ours.remove(&uid);
        for intent in ours.iter().chain(shown) {
            self.leaves_the_store(uid, intent);
        }
        self.without_effect.remove(&uid);
    }

    /// Those after the second `after`, in order. `now` is the time by the monotonic clock.
    pub fn since(&mut self, connection: &Key, after: i64, now: Instant) -> Vec<CountedAttempt> {
        self.prune(connection, after.saturating_sub(LONGEST_WINDOW));
        let Some(spent) = self.spent.get_mut(connection) else { return Vec::new() };
        let recent = spent.range_mut((after.saturating_add(1), Number::MIN, u64::MIN)..);
        let counted = recent.filter_map(|((at, ..), counted)| {
            let first = *counted.first.get_or_insert(now);
            let counted_for = now.checked_duration_since(first).unwrap_or(Duration::ZERO);
            Some(CountedAttempt {
                at: Timestamp::from_second(*at).ok()?,
                counted_for,
                object: counted.object.clone(),
            })
        });
        counted.collect()
    }

    /// The connections that may have room again since this was asked last.
    pub fn freed(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.freed)
    }

    /// Forgets what no window reaches back to, of what no journal holds any more. The others are kept whatever
    /// a clock says: they are as many as the objects, and a clock that leaps must not empty the budget.
    fn prune(&mut self, connection: &Key, until: i64) {
        let Some(gone) = self.gone.get_mut(connection) else { return };
        let mut old = Vec::new();
        while let Some(entry) = gone.pop_first() {
            if entry.0 > until {
                gone.insert(entry);
                break;
            }
            old.push(entry);
        }
        if let Some(spent) = self.spent.get_mut(connection) {
            for entry in &old {
                spent.remove(entry);
            }
        }
    }

    fn insert(&mut self, object: &Key, uid: Number, intent: &Intent) {
        let known = self.without_effect.get(&uid);
        let had_no_effect =
            known.is_some_and(|known| known.is_stored && known.intent.attempt == intent.attempt);
        if !intent.counts || had_no_effect {
            return;
        }
        let spent = self.spent.entry(intent.connection.clone()).or_default();
        let gone = self.gone.entry(intent.connection.clone()).or_default();
        // Created again with the status that it had: the same attempt.
        let in_this_second = (intent.at, Number::MIN, u64::MIN)..=(intent.at, Number::MAX, u64::MAX);
        let is_this = |entry: &&Announcement| {
            entry.2 == intent.attempt && spent.get(entry).is_some_and(|counted| counted.object == *object)
        };
        let earlier = gone.range(in_this_second).find(is_this).copied();
        let earlier = earlier.and_then(|entry| {
            gone.remove(&entry);
            spent.remove(&entry)
        });
        let counted = || earlier.unwrap_or_else(|| Counted { object: object.clone(), first: None });
        spent.entry(announcement(uid, intent)).or_insert_with(counted);
    }

    fn remove(&mut self, uid: Number, intent: &Intent) {
        let entry = announcement(uid, intent);
        if let Some(gone) = self.gone.get_mut(&intent.connection) {
            gone.remove(&entry);
        }
        let spent = self.spent.get_mut(&intent.connection);
        if spent.and_then(|spent| spent.remove(&entry)).is_some() {
            self.freed.insert(intent.connection.clone());
        }
    }

    fn is_spent(&self, uid: Number, intent: &Intent) -> bool {
        let spent = self.spent.get(&intent.connection);
        spent.is_some_and(|spent| spent.contains_key(&announcement(uid, intent)))
    }

    /// No journal in the store holds this announcement any more. If it is spent, it stays spent.
    fn leaves_the_store(&mut self, uid: Number, intent: &Intent) {
        if self.is_spent(uid, intent) {
            let gone = self.gone.entry(intent.connection.clone()).or_default();
            gone.insert(announcement(uid, intent));
        }
    }
}

fn announcement(uid: Number, intent: &Intent) -> Announcement {
    (intent.at, uid, intent.attempt)
}

/// Whether both stand in the same place.
fn is_same(one: &Intent, other: &Intent) -> bool {
    (&one.connection, one.at, one.attempt) == (&other.connection, other.at, other.attempt)
}
