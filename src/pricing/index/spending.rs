//! What has been spent of the budgets: when an attempt was announced, for each connection.
//!
//! Only attempts that took effect, or may have, are spent. One that is known to have had no effect gives its place
//! back: its journal is closed, and does not count.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::record::{Intent, Number};
use crate::{cluster::Key, pricing::budget::Spent};

/// The longest window that a budget can have, in seconds.
const LONGEST_WINDOW: i64 = 744 * 3600;

/// An announcement of one object: the second, and the object's uid.
type Announcement = (i64, Number);

/// The announcements that count: one for each object's present journal, and those that are remembered.
#[derive(Debug, Default)]
pub(super) struct Spending {
    /// By connection: when, and for which object.
    spent: HashMap<Key, BTreeMap<Announcement, Counted>>,
    /// Those of this process that the watch has not brought yet.
    ours: HashMap<Number, Intent>,
    /// Those of objects that are gone: nothing but this memory holds them.
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

impl Spending {
    /// This process has announced an attempt for an object.
    pub fn announced(&mut self, object: &Key, uid: Number, intent: &Intent) {
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
        if self.ours.get(&uid).is_some_and(is_brought) {
            let ours = self.ours.remove(&uid);
            self.replace(object, uid, ours.as_ref(), now);
        }
        if before != now {
            self.replace(object, uid, before, now);
        }
    }

    /// This process knows that the last attempt for an object had no effect, and has stored that.
    pub fn returned(&mut self, uid: Number, intent: &Intent) {
        self.ours.remove(&uid);
        self.remove(uid, intent);
    }

    /// The object is gone; what was spent for it stays spent.
    pub fn kept(&mut self, uid: Number, shown: Option<&Intent>) {
        let ours = self.ours.remove(&uid);
        for intent in ours.iter().chain(shown).filter(|intent| intent.counts) {
            self.gone.entry(intent.connection.clone()).or_default().insert((intent.at, uid));
        }
    }

    /// Those after the second `after`, in order. `now` is the time by the monotonic clock.
    pub fn since(&mut self, connection: &Key, after: i64, now: Instant) -> Vec<Spent> {
        self.prune(connection, after.saturating_sub(LONGEST_WINDOW));
        let Some(spent) = self.spent.get_mut(connection) else { return Vec::new() };
        let recent = spent.range_mut((after.saturating_add(1), Number::MIN)..);
        let counted = recent.filter_map(|((at, _), counted)| {
            let first = *counted.first.get_or_insert(now);
            let counted_for = now.checked_duration_since(first).unwrap_or(Duration::ZERO);
            Some(Spent { at: Timestamp::from_second(*at).ok()?, counted_for, object: counted.object.clone() })
        });
        counted.collect()
    }

    /// The connections that may have room again since this was asked last.
    pub fn freed(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.freed)
    }

    /// Forgets what no window reaches back to, of objects that are gone. Those of the others are kept whatever
    /// a clock says: they are as many as the objects, and a clock that leaps must not empty the budget.
    fn prune(&mut self, connection: &Key, until: i64) {
        let Some(gone) = self.gone.get_mut(connection) else { return };
        let mut old = Vec::new();
        while let Some((at, uid)) = gone.pop_first() {
            if at > until {
                gone.insert((at, uid));
                break;
            }
            old.push((at, uid));
        }
        if let Some(spent) = self.spent.get_mut(connection) {
            for entry in &old {
                spent.remove(entry);
            }
        }
    }

    fn replace(&mut self, object: &Key, uid: Number, before: Option<&Intent>, now: Option<&Intent>) {
        if let Some(before) =
            before.filter(|before| self.ours.get(&uid).is_none_or(|ours| !is_same(before, ours)))
        {
            // What stays the same keeps what is known of it.
            if now.is_some_and(|now| now.counts && is_same(before, now)) {
                return;
            }
            self.remove(uid, before);
        }
        if let Some(now) = now {
            self.insert(object, uid, now);
        }
    }

    fn insert(&mut self, object: &Key, uid: Number, intent: &Intent) {
        if intent.counts {
            let counted = || Counted { object: object.clone(), first: None };
            let spent = self.spent.entry(intent.connection.clone()).or_default();
            spent.entry((intent.at, uid)).or_insert_with(counted);
        }
    }

    fn remove(&mut self, uid: Number, intent: &Intent) {
        let spent = self.spent.get_mut(&intent.connection);
        if spent.and_then(|spent| spent.remove(&(intent.at, uid))).is_some() {
            self.freed.insert(intent.connection.clone());
        }
    }
}

/// Whether both stand in the same place.
fn is_same(one: &Intent, other: &Intent) -> bool {
    (&one.connection, one.at) == (&other.connection, other.at)
}
