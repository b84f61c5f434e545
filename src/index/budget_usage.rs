//! The usage of the switch budgets: when attempts were announced, for each connection.
//!
//! Only an attempt that took effect, or may have, uses the budget. An attempt that is known to have had no effect gives
//! its place back. There are two proofs of that: this process knows it, or the store shows the closed journal of the
//! same attempt. A journal that is absent, or that holds another attempt, proves nothing: others may have wiped or
//! restored the status.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::record::{Intent, UuidBits};
use crate::cluster::Key;

/// The longest window of a budget, in seconds.
const MAX_WINDOW: i64 = 744 * 3600;

/// The announcement of one attempt. Announcements are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Announcement {
    /// The second of the announcement.
    at: i64,
    /// The uid of the object.
    object: UuidBits,
    attempt: u64,
}

impl Announcement {
    /// Sorts before all announcements of this second.
    const fn first_at(at: i64) -> Self {
        Self { at, object: UuidBits::MIN, attempt: u64::MIN }
    }

    /// Sorts after all other announcements of this second.
    const fn last_at(at: i64) -> Self {
        Self { at, object: UuidBits::MAX, attempt: u64::MAX }
    }
}

/// An attempt that took effect, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedAttempt {
    /// The time of the announcement, by the controller's clock at that moment.
    pub at: Timestamp,
    /// How long this process has counted it, by its monotonic clock.
    pub counted_for: Duration,
    /// The object that the attempt was made for.
    pub object: Key,
}

/// The announcements that count: one for the present journal of each object, and those that only this process still
/// holds.
#[derive(Debug, Default)]
pub(super) struct BudgetUsage {
    /// The announcements by connection.
    used: HashMap<Key, BTreeMap<Announcement, Counted>>,
    /// The announcements of this process that the watch has not delivered yet, by uid of the object.
    ours: HashMap<UuidBits, Intent>,
    /// The last attempts that this process knows to have had no effect, by uid of the object.
    without_effect: HashMap<UuidBits, WithoutEffect>,
    /// The announcements that no journal in the store holds any more. Only this process still knows them.
    gone: HashMap<Key, BTreeSet<Announcement>>,
    /// The connections that got room back since the last call of [`BudgetUsage::take_freed_budgets`].
    freed: BTreeSet<Key>,
}

#[derive(Debug)]
struct Counted {
    object: Key,
    /// The time at which a budget first counted it, by the monotonic clock of this process.
    first: Option<Instant>,
}

#[derive(Debug)]
struct WithoutEffect {
    intent: Intent,
    /// The store shows that it had no effect, so a process that starts now would not count it.
    is_stored: bool,
}

impl BudgetUsage {
    /// Records that this process has announced an attempt for an object, over a journal that held `earlier`.
    pub fn announced(&mut self, object: &Key, uid: UuidBits, earlier: Option<&Intent>, intent: &Intent) {
        // An attempt follows another one only if the other one had no effect.
        if let Some(closed) = earlier.filter(|earlier| !earlier.counts) {
            self.remove(uid, closed);
        }
        if let Some(earlier) = self.ours.insert(uid, intent.clone()) {
            self.remove(uid, &earlier);
        }
        self.insert(object, uid, intent);
    }

    /// Records the announcement that the watch shows for an object. The watch showed `before` previously.
    pub fn shown(&mut self, object: &Key, uid: UuidBits, before: Option<&Intent>, now: Option<&Intent>) {
        // The watch may show something older than what this process wrote.
        let is_delivered =
            |ours: &Intent| now.is_some_and(|now| now.attempt == ours.attempt || now.at > ours.at);
        let ours = self.ours.get(&uid).cloned();
        if ours.as_ref().is_some_and(is_delivered) {
            self.ours.remove(&uid);
        }
        self.confirm_no_effect(uid, before, now);
        if before == now && ours.is_none() {
            return;
        }
        let known: Vec<_> = ours.iter().chain(before).filter(|known| known.counts).collect();
        match now {
            Some(closed) if !closed.counts => {
                // Others may have changed the time in the journal, so the attempt id decides.
                for same in known.iter().filter(|known| known.attempt == closed.attempt) {
                    self.remove(uid, same);
                }
                self.remove(uid, closed);
            }
            Some(now) => {
                // An attempt has one place. An attempt older than the last one had no effect: others restored it.
                let is_other = |known: &&Intent| {
                    !is_same(known, now) && (known.attempt == now.attempt || known.at > now.at)
                };
                if self.is_used(uid, now) || !known.into_iter().any(|known| is_other(&known)) {
                    self.insert(object, uid, now);
                }
            }
            None => {}
        }
        // Others may have removed what the store held. The place stays used.
        for earlier in before.into_iter().chain(ours.as_ref().filter(|ours| is_delivered(ours))) {
            if !now.is_some_and(|now| is_same(earlier, now)) {
                self.keep_without_journal(uid, earlier);
            }
        }
    }

    /// Handles a watch event of an object whose last attempt had no effect, as this process knows.
    fn confirm_no_effect(&mut self, uid: UuidBits, before: Option<&Intent>, now: Option<&Intent>) {
        let Some(known) = self.without_effect.get_mut(&uid) else { return };
        let intent = known.intent.clone();
        let is_counted = |journal: Option<&Intent>| {
            journal.is_some_and(|journal| journal.counts && journal.attempt == intent.attempt)
        };
        if is_counted(now) {
            return;
        }
        known.is_stored = true;
        // The watch has moved past the attempt. A later journal of the same attempt is a new fact.
        if is_counted(before) || now.is_some_and(|now| now.attempt == intent.attempt) {
            self.without_effect.remove(&uid);
        }
        self.remove(uid, &intent);
    }

    /// Records that the last attempt for an object had no effect. The attempt gives its place back as soon as no
    /// process that starts now would count it. That is at once if `is_stored`, otherwise when the watch shows another
    /// journal.
    pub fn returned(&mut self, uid: UuidBits, intent: &Intent, is_stored: bool) {
        if is_stored {
            self.ours.remove(&uid);
            self.remove(uid, intent);
        }
        self.without_effect.insert(uid, WithoutEffect { intent: intent.clone(), is_stored });
    }

    /// Records that the last attempt for a deleted object had no effect.
    pub fn returned_of_gone(&mut self, uid: UuidBits, intent: &Intent) {
        self.ours.remove(&uid);
        self.remove(uid, intent);
    }

    /// Keeps what a deleted object has used: its place stays used.
    pub fn retain_deleted(&mut self, uid: UuidBits, shown: Option<&Intent>) {
        let ours = self.ours.remove(&uid);
        for intent in ours.iter().chain(shown) {
            self.keep_without_journal(uid, intent);
        }
        self.without_effect.remove(&uid);
    }

    /// The announcements after the second `after`, in order. `now` is the time by the monotonic clock.
    pub fn since(&mut self, connection: &Key, after: i64, now: Instant) -> Vec<CountedAttempt> {
        self.prune(connection, after.saturating_sub(MAX_WINDOW));
        let Some(used) = self.used.get_mut(connection) else { return Vec::new() };
        let recent = used.range_mut(Announcement::first_at(after.saturating_add(1))..);
        let counted = recent.filter_map(|(announcement, counted)| {
            let first = *counted.first.get_or_insert(now);
            let counted_for = now.checked_duration_since(first).unwrap_or(Duration::ZERO);
            Some(CountedAttempt {
                at: Timestamp::from_second(announcement.at).ok()?,
                counted_for,
                object: counted.object.clone(),
            })
        });
        counted.collect()
    }

    /// The connections that may have room again since the last call.
    pub fn take_freed_budgets(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.freed)
    }

    /// Forgets announcements that no journal holds any more and that no window reaches back to. All others are kept
    /// whatever a clock says. There is at most one for each object, and a clock that leaps must not empty the budget.
    fn prune(&mut self, connection: &Key, until: i64) {
        let Some(gone) = self.gone.get_mut(connection) else { return };
        let mut old = Vec::new();
        while let Some(entry) = gone.pop_first() {
            if entry.at > until {
                gone.insert(entry);
                break;
            }
            old.push(entry);
        }
        if let Some(used) = self.used.get_mut(connection) {
            for entry in &old {
                used.remove(entry);
            }
        }
    }

    fn insert(&mut self, object: &Key, uid: UuidBits, intent: &Intent) {
        let known = self.without_effect.get(&uid);
        let had_no_effect =
            known.is_some_and(|known| known.is_stored && known.intent.attempt == intent.attempt);
        if !intent.counts || had_no_effect {
            return;
        }
        let used = self.used.entry(intent.connection.clone()).or_default();
        let gone = self.gone.entry(intent.connection.clone()).or_default();
        // The object was created again with the status that it had. That is the same attempt.
        let in_this_second = Announcement::first_at(intent.at)..=Announcement::last_at(intent.at);
        let is_this = |entry: &&Announcement| {
            entry.attempt == intent.attempt
                && used.get(entry).is_some_and(|counted| counted.object == *object)
        };
        let earlier = gone.range(in_this_second).find(is_this).copied();
        let earlier = earlier.and_then(|entry| {
            gone.remove(&entry);
            used.remove(&entry)
        });
        let counted = || earlier.unwrap_or_else(|| Counted { object: object.clone(), first: None });
        used.entry(announcement(uid, intent)).or_insert_with(counted);
    }

    fn remove(&mut self, uid: UuidBits, intent: &Intent) {
        let entry = announcement(uid, intent);
        if let Some(gone) = self.gone.get_mut(&intent.connection) {
            gone.remove(&entry);
        }
        let used = self.used.get_mut(&intent.connection);
        if used.and_then(|used| used.remove(&entry)).is_some() {
            self.freed.insert(intent.connection.clone());
        }
    }

    fn is_used(&self, uid: UuidBits, intent: &Intent) -> bool {
        let used = self.used.get(&intent.connection);
        used.is_some_and(|used| used.contains_key(&announcement(uid, intent)))
    }

    /// Keeps an announcement that no journal in the store holds any more, if it is used.
    fn keep_without_journal(&mut self, uid: UuidBits, intent: &Intent) {
        if self.is_used(uid, intent) {
            let gone = self.gone.entry(intent.connection.clone()).or_default();
            gone.insert(announcement(uid, intent));
        }
    }
}

fn announcement(uid: UuidBits, intent: &Intent) -> Announcement {
    Announcement { at: intent.at, object: uid, attempt: intent.attempt }
}

/// Whether both announcements take the same place.
fn is_same(one: &Intent, other: &Intent) -> bool {
    (&one.connection, one.at, one.attempt) == (&other.connection, other.at, other.attempt)
}
