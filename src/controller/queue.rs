//! The work queue: which object is worked on next.
//!
//! As client-go's: an object waits once however often it is called for, is never worked on twice at a time, and
//! what calls for it meanwhile has it worked on once more. Besides that there are lanes, so that an edit never
//! waits behind ten thousand objects that are merely looked at, and each object can carry something along.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::cluster::Key;

/// In which order objects are worked on: the later ones here go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What nobody waits for: looks that showed a change, retries, switches that became due.
    Bulk,
    /// What somebody waits for: objects created or edited just now.
    Urgent,
    /// Switches whose turn has come. They are worked on apart from all others.
    Turn,
}

impl Lane {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Bulk, Self::Urgent, Self::Turn];
}

/// What objects carry along while they wait.
pub trait Merge: Default {
    /// Adds what a newer call brings.
    fn merge(&mut self, newer: Self);

    /// Whether it is nothing at all.
    fn is_nothing(&self) -> bool;
}

/// The queue. Shared by reference.
pub struct Queue<B> {
    inner: Mutex<Inner<B>>,
    /// Something is to be done, in the lane `Turn` and in the others.
    turn: Notify,
    others: Notify,
}

struct Inner<B> {
    entries: HashMap<Key, Entry<B>>,
    /// May hold keys that have left the lane since: the entry says where it is.
    lanes: [VecDeque<(Key, u64)>; Lane::ALL.len()],
    waiting: [usize; Lane::ALL.len()],
    timers: BTreeSet<(Instant, Key)>,
    /// Tells a place in a lane from one that was left.
    places: u64,
}

struct Entry<B> {
    waits: Option<(Lane, u64)>,
    running: bool,
    timer: Option<Instant>,
    /// Most carry nothing, and ten thousand may wait.
    brought: Option<Box<B>>,
}

/// An object to be worked on.
#[derive(Debug)]
pub struct Job<B> {
    /// Its key.
    pub key: Key,
    /// The lane it came by.
    pub lane: Lane,
    /// What it carries along.
    pub brought: B,
}

impl<B: Merge> Default for Queue<B> {
    fn default() -> Self {
        let inner = Inner {
            entries: HashMap::new(),
            lanes: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            waiting: [0; Lane::ALL.len()],
            timers: BTreeSet::new(),
            places: 0,
        };
        Self { inner: Mutex::new(inner), turn: Notify::new(), others: Notify::new() }
    }
}

impl<B: Merge> Queue<B> {
    /// Calls for an object. One that waits in a slower lane changes over; one that is worked on now is worked
    /// on once more.
    pub fn push(&self, key: &Key, lane: Lane, brought: B) {
        let lane = {
            let mut inner = self.lock();
            if !brought.is_nothing() {
                inner.entry(key).brought.get_or_insert_default().merge(brought);
            }
            inner.enter(key, lane);
            lane
        };
        self.wake(lane);
    }

    /// The next object to be worked on, but for those whose turn has come. To be called by one task.
    pub async fn next(&self) -> Job<B> {
        loop {
            let next_timer = {
                let mut inner = self.lock();
                inner.fire(Instant::now());
                if let Some(job) = inner.take(Lane::Urgent).or_else(|| inner.take(Lane::Bulk)) {
                    return job;
                }
                inner.timers.first().map(|(at, _)| *at)
            };
            let called = self.others.notified();
            match next_timer {
                Some(at) => drop(tokio::time::timeout_at(at, called).await),
                None => called.await,
            }
        }
    }

    /// The next object whose turn has come. To be called by one task.
    pub async fn next_turn(&self) -> Job<B> {
        loop {
            if let Some(job) = self.lock().take(Lane::Turn) {
                return job;
            }
            self.turn.notified().await;
        }
    }

    /// The work on an object has ended; `again` calls for it after so long, in place of what was set before.
    pub fn done(&self, key: &Key, again: Option<Duration>) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.running = false;
        }
        // What was called for meanwhile has waited for this.
        let lane = inner.entries.get(key).and_then(|entry| entry.waits).map(|(lane, _)| lane);
        if let Some(lane) = lane {
            inner.requeue(key, lane);
        }
        inner.set_timer(key, again.map(|pause| Instant::now() + pause));
        inner.tidy(key);
        drop(inner);
        self.wake(lane.unwrap_or(Lane::Bulk));
    }

    /// Calls for an object after so long, in place of what was set before.
    pub fn push_after(&self, key: &Key, pause: Duration) {
        let mut inner = self.lock();
        inner.entry(key);
        inner.set_timer(key, Some(Instant::now() + pause));
        drop(inner);
        self.wake(Lane::Bulk);
    }

    /// An object is gone: nothing calls for it any more. Work on it goes on to its end.
    pub fn forget(&self, key: &Key) {
        let mut inner = self.lock();
        inner.set_timer(key, None);
        inner.leave(key);
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.brought = None;
        }
        inner.tidy(key);
    }

    /// How many objects wait in a lane.
    #[must_use]
    pub fn depth(&self, lane: Lane) -> usize {
        self.lock().waiting[lane as usize]
    }

    fn lock(&self) -> MutexGuard<'_, Inner<B>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, lane: Lane) {
        if lane == Lane::Turn { self.turn.notify_one() } else { self.others.notify_one() }
    }
}

impl<B: Merge> Inner<B> {
    fn entry(&mut self, key: &Key) -> &mut Entry<B> {
        self.entries.entry(key.clone()).or_insert_with(|| Entry {
            waits: None,
            running: false,
            timer: None,
            brought: None,
        })
    }

    /// Has an object wait in this lane, if it does not wait in a faster one.
    fn enter(&mut self, key: &Key, lane: Lane) {
        let entry = self.entry(key);
        let slower = entry.waits.is_some_and(|(waits, _)| waits < lane);
        if entry.waits.is_none() || slower {
            self.leave(key);
            self.place(key, lane);
        }
    }

    /// Puts an object that was worked on to the end of its lane: its old place may have been passed.
    fn requeue(&mut self, key: &Key, lane: Lane) {
        self.leave(key);
        self.place(key, lane);
    }

    fn place(&mut self, key: &Key, lane: Lane) {
        self.places += 1;
        let place = self.places;
        self.entry(key).waits = Some((lane, place));
        self.lanes[lane as usize].push_back((key.clone(), place));
        self.waiting[lane as usize] += 1;
    }

    fn leave(&mut self, key: &Key) {
        if let Some((lane, _)) = self.entries.get_mut(key).and_then(|entry| entry.waits.take()) {
            self.waiting[lane as usize] -= 1;
        }
    }

    /// The first of a lane that is not being worked on.
    fn take(&mut self, lane: Lane) -> Option<Job<B>> {
        while let Some((key, place)) = self.lanes[lane as usize].pop_front() {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            // Left since; or worked on, and then `done` gives it a new place.
            if entry.waits != Some((lane, place)) || entry.running {
                continue;
            }
            entry.running = true;
            let brought = entry.brought.take().map(|brought| *brought).unwrap_or_default();
            self.leave(&key);
            return Some(Job { key, lane, brought });
        }
        // What was emptied by a great wave is given back.
        self.lanes[lane as usize].shrink_to(64);
        None
    }

    fn set_timer(&mut self, key: &Key, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(before) = std::mem::replace(&mut entry.timer, at) {
            self.timers.remove(&(before, key.clone()));
        }
        self.timers.extend(at.map(|at| (at, key.clone())));
    }

    /// Has those wait whose time has come.
    fn fire(&mut self, now: Instant) {
        while let Some((_, key)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.set_timer(&key, None);
            self.enter(&key, Lane::Bulk);
        }
    }

    fn tidy(&mut self, key: &Key) {
        let idle = |entry: &Entry<B>| entry.waits.is_none() && !entry.running && entry.timer.is_none();
        if self.entries.get(key).is_some_and(idle) {
            self.entries.remove(key);
        }
        if self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(64.max(self.entries.len() * 2));
        }
    }
}

#[cfg(test)]
mod tests;
