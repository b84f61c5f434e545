//! What has been spent of the budgets: when an attempt was announced, for each connection.

use std::collections::{BTreeSet, HashMap};

use super::record::{Intent, Number};
use crate::cluster::Key;

/// The longest window that a budget can have, in seconds.
const LONGEST_WINDOW: i64 = 744 * 3600;

/// The announcements that count: one for each object's present journal, and those that are remembered.
#[derive(Debug, Default)]
pub(super) struct Spending {
    /// By connection: when, and for which object.
    spent: HashMap<Key, BTreeSet<(i64, Number)>>,
    /// Those of this process that the watch has not brought yet.
    ours: HashMap<Number, Intent>,
    /// Those of objects that are gone: nothing but this memory holds them.
    gone: HashMap<Key, BTreeSet<(i64, Number)>>,
}

impl Spending {
    /// This process has announced an attempt for an object.
    pub fn announced(&mut self, uid: Number, intent: &Intent) {
        if let Some(earlier) = self.ours.insert(uid, intent.clone()) {
            self.remove(uid, &earlier);
        }
        self.insert(uid, intent);
    }

    /// The watch shows this object's announcement; before, it showed another one.
    pub fn shown(&mut self, uid: Number, before: Option<&Intent>, now: Option<&Intent>) {
        // What the watch shows may be older than what this process wrote.
        if self.ours.get(&uid).is_some_and(|ours| now.is_some_and(|now| now.at >= ours.at)) {
            let ours = self.ours.remove(&uid);
            self.replace(uid, ours.as_ref(), now);
        }
        if before != now {
            self.replace(uid, before, now);
        }
    }

    /// The object is gone; what was spent for it stays spent.
    pub fn kept(&mut self, uid: Number, shown: Option<&Intent>) {
        let ours = self.ours.remove(&uid);
        for intent in ours.iter().chain(shown) {
            self.gone.entry(intent.connection.clone()).or_default().insert((intent.at, uid));
        }
    }

    /// The seconds after `after`, in order, but for those of one object.
    pub fn since(&mut self, connection: &Key, after: i64, besides: Option<Number>) -> Vec<i64> {
        self.prune(connection, after.saturating_sub(LONGEST_WINDOW));
        let Some(spent) = self.spent.get(connection) else { return Vec::new() };
        let recent = spent.range((after.saturating_add(1), Number::MIN)..);
        recent.filter(|(_, uid)| Some(*uid) != besides).map(|(at, _)| *at).collect()
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

    fn replace(&mut self, uid: Number, before: Option<&Intent>, now: Option<&Intent>) {
        if let Some(before) = before.filter(|before| Some(*before) != self.ours.get(&uid)) {
            self.remove(uid, before);
        }
        if let Some(now) = now {
            self.insert(uid, now);
        }
    }

    fn insert(&mut self, uid: Number, intent: &Intent) {
        self.spent.entry(intent.connection.clone()).or_default().insert((intent.at, uid));
    }

    fn remove(&mut self, uid: Number, intent: &Intent) {
        if let Some(spent) = self.spent.get_mut(&intent.connection) {
            spent.remove(&(intent.at, uid));
        }
    }
}
