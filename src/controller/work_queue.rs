//! The work queue: which object is reconciled next.
//!
//! As in client-go, an object waits once however often it is added, and is never reconciled twice at a time. Adding an
//! object during its reconcile queues it once more. Besides that there are priorities, so an edit never waits behind
//! ten thousand objects that are merely polled. Each object can carry a request.
//! An object whose connection may have no slot now is set aside, and the objects behind it go first.

mod request;
mod slots;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
pub(super) use request::WorkQueue;
pub(super) use slots::{Slot, Slots};
use tokio::{sync::Notify, time::Instant};

use crate::{clock::sleep_until, cluster::Key, string_enum::string_enum};

string_enum! {
    /// The order in which objects are reconciled. Later variants go first.
    QueuePriority {
        /// Work without a waiting user: reads that showed a change, retries, switches that became due.
        Background = "background",
        /// Work that a user waits for: objects that were just created or edited.
        Interactive = "interactive",
        /// Admitted switches. They have slots apart from all others.
        Switch = "switch",
    }
}

/// A request that an object carries while it waits.
pub trait Merge: Default {
    /// Merges a newer request into this one.
    fn merge(&mut self, newer: Self);

    /// Whether the request is empty.
    fn is_nothing(&self) -> bool;
}

/// The queue. Shared by reference.
pub struct Queue<B> {
    inner: Mutex<Inner<B>>,
    /// Notified when there is work: in the priority `Switch`, and in the others.
    switches: Notify,
    others: Notify,
}

struct Inner<B> {
    entries: HashMap<Key, Entry<B>>,
    /// May hold keys that have left the priority since: `entries` says where an object is.
    waiting_keys: [VecDeque<(Key, u64)>; QueuePriority::ALL.len()],
    waiting: [usize; QueuePriority::ALL.len()],
    /// By connection and priority, the objects that wait for a slot of their connection.
    aside: [HashMap<Key, VecDeque<(Key, u64)>>; QueuePriority::ALL.len()],
    waiting_aside: [usize; QueuePriority::ALL.len()],
    /// By priority, the objects that were added while set aside. They may have another connection now.
    called_aside: [Vec<Key>; QueuePriority::ALL.len()],
    timers: BTreeSet<(Instant, Key)>,
    /// The number of the last place. It tells an object's present place from one that it left.
    places: u64,
}

struct Entry<B> {
    waits: Option<(QueuePriority, u64)>,
    /// The connection for whose slot the object is set aside.
    aside: Option<Key>,
    running: bool,
    timer: Option<Instant>,
    /// Boxed, because most objects carry nothing and ten thousand may wait.
    request: Option<Box<B>>,
}

/// An object to reconcile.
#[derive(Debug)]
pub struct Job<B> {
    /// The key of the object.
    pub key: Key,
    /// The priority at which it was queued.
    pub priority: QueuePriority,
    /// The request that it carries.
    pub request: B,
}

impl<B: Merge> Default for Queue<B> {
    fn default() -> Self {
        let inner = Inner {
            entries: HashMap::new(),
            waiting_keys: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            waiting: [0; QueuePriority::ALL.len()],
            aside: [HashMap::new(), HashMap::new(), HashMap::new()],
            waiting_aside: [0; QueuePriority::ALL.len()],
            called_aside: [Vec::new(), Vec::new(), Vec::new()],
            timers: BTreeSet::new(),
            places: 0,
        };
        Self { inner: Mutex::new(inner), switches: Notify::new(), others: Notify::new() }
    }
}

impl<B: Merge> Queue<B> {
    /// Adds an object. An object that waits at a lower priority moves up. An object that is being reconciled is
    /// reconciled once more.
    pub fn push(&self, key: &Key, priority: QueuePriority, request: B) {
        let priority = {
            let mut inner = self.inner.lock();
            if !request.is_nothing() {
                inner.entry(key).request.get_or_insert_default().merge(request);
            }
            inner.enter(key, priority);
            priority
        };
        self.notify(priority);
    }

    /// The next object whose connection may have a slot, except for admitted switches. `connection` returns the
    /// connection of an object, and must not call the queue. For one task.
    pub(super) async fn take_next(&self, slots: &Slots, connection: impl Fn(&Key) -> Key) -> (Job<B>, Slot) {
        loop {
            let next_timer = {
                let mut inner = self.inner.lock();
                inner.fire(Instant::now());
                for priority in [QueuePriority::Interactive, QueuePriority::Background] {
                    if let Some(taken) = inner.take(priority, slots, &connection) {
                        return taken;
                    }
                }
                inner.timers.first().map(|(at, _)| *at)
            };
            tokio::select! {
                () = self.others.notified() => {}
                () = slots.freed() => {}
                () = sleep_until(next_timer) => {}
            }
        }
    }

    /// The next admitted switch whose connection may have a slot.
    pub(super) async fn take_next_switch(
        &self,
        slots: &Slots,
        connection: impl Fn(&Key) -> Key,
    ) -> (Job<B>, Slot) {
        loop {
            if let Some(taken) = self.inner.lock().take(QueuePriority::Switch, slots, &connection) {
                return taken;
            }
            tokio::select! {
                () = self.switches.notified() => {}
                () = slots.freed() => {}
            }
        }
    }

    /// Records the end of a reconcile. `again` adds the object after that time, and replaces an earlier timer.
    pub fn done(&self, key: &Key, again: Option<Duration>) {
        let mut inner = self.inner.lock();
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.running = false;
        }
        // An object that was added meanwhile has waited for this.
        let priority = inner.entries.get(key).and_then(|entry| entry.waits).map(|(priority, _)| priority);
        if let Some(priority) = priority {
            inner.requeue(key, priority);
        }
        inner.set_timer(key, again.map(|pause| Instant::now() + pause));
        inner.tidy(key);
        drop(inner);
        self.notify(priority.unwrap_or(QueuePriority::Background));
    }

    /// Adds an object after a time, and replaces an earlier timer.
    pub fn push_after(&self, key: &Key, pause: Duration) {
        let mut inner = self.inner.lock();
        inner.entry(key);
        inner.set_timer(key, Some(Instant::now() + pause));
        drop(inner);
        self.notify(QueuePriority::Background);
    }

    /// Adds an object after a time, unless an earlier timer is set.
    pub fn push_within(&self, key: &Key, pause: Duration) {
        let at = Instant::now() + pause;
        let mut inner = self.inner.lock();
        if inner.entry(key).timer.is_none_or(|timer| timer > at) {
            inner.set_timer(key, Some(at));
        }
        drop(inner);
        self.notify(QueuePriority::Background);
    }

    /// Forgets an object that is gone, with its timer. A reconcile in progress runs to its end.
    pub fn forget(&self, key: &Key) {
        let mut inner = self.inner.lock();
        inner.set_timer(key, None);
        inner.leave(key);
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.request = None;
        }
        inner.tidy(key);
    }

    /// The number of objects that wait in a priority.
    #[must_use]
    pub fn depth(&self, priority: QueuePriority) -> usize {
        self.inner.lock().waiting[priority as usize]
    }

    /// The number of objects in a priority that wait before one of this connection. Objects of other connections
    /// without a free slot do not count.
    #[must_use]
    pub fn backlog(&self, priority: QueuePriority, connection: &Key) -> usize {
        let inner = self.inner.lock();
        let own = inner.aside[priority as usize].get(connection).map_or(0, VecDeque::len);
        inner.waiting[priority as usize] - inner.waiting_aside[priority as usize] + own
    }

    fn notify(&self, priority: QueuePriority) {
        if priority == QueuePriority::Switch { self.switches.notify_one() } else { self.others.notify_one() }
    }
}

impl<B: Merge> Inner<B> {
    fn entry(&mut self, key: &Key) -> &mut Entry<B> {
        self.entries.entry(key.clone()).or_insert_with(|| Entry {
            waits: None,
            aside: None,
            running: false,
            timer: None,
            request: None,
        })
    }

    /// Queues an object in this priority, unless it waits in a higher one.
    fn enter(&mut self, key: &Key, priority: QueuePriority) {
        let entry = self.entry(key);
        let slower = entry.waits.is_some_and(|(waits, _)| waits < priority);
        if entry.waits.is_none() || slower {
            self.leave(key);
            self.place(key, priority);
        } else if let (Some((waits, _)), Some(_)) = (entry.waits, &entry.aside) {
            self.called_aside[waits as usize].push(key.clone());
        }
    }

    /// Moves the objects that were added while set aside and have another connection now.
    fn move_aside(&mut self, priority: QueuePriority, connection: &impl Fn(&Key) -> Key) {
        for key in std::mem::take(&mut self.called_aside[priority as usize]) {
            let Some(entry) = self.entries.get(&key) else { continue };
            let (Some((waits, place)), Some(of)) = (entry.waits, entry.aside.clone()) else { continue };
            if waits != priority || of == connection(&key) {
                continue;
            }
            if let Some(waiting) = self.aside[priority as usize].get_mut(&of) {
                waiting.retain(|(_, other)| *other != place);
                if waiting.is_empty() {
                    self.aside[priority as usize].remove(&of);
                }
            }
            self.requeue(&key, priority);
        }
    }

    /// Moves an object that was being reconciled to the end of its priority, because its old place may have been
    /// passed.
    fn requeue(&mut self, key: &Key, priority: QueuePriority) {
        self.leave(key);
        self.place(key, priority);
    }

    fn place(&mut self, key: &Key, priority: QueuePriority) {
        self.places += 1;
        let place = self.places;
        self.entry(key).waits = Some((priority, place));
        self.waiting_keys[priority as usize].push_back((key.clone(), place));
        self.waiting[priority as usize] += 1;
    }

    fn leave(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some((priority, _)) = entry.waits.take() {
            self.waiting[priority as usize] -= 1;
            if entry.aside.take().is_some() {
                self.waiting_aside[priority as usize] -= 1;
            }
        }
    }

    /// The first object of a priority that is not being reconciled and whose connection may have a slot.
    fn take(
        &mut self,
        priority: QueuePriority,
        slots: &Slots,
        connection: &impl Fn(&Key) -> Key,
    ) -> Option<(Job<B>, Slot)> {
        self.move_aside(priority, connection);
        if let Some(taken) = self.take_aside(priority, slots) {
            return Some(taken);
        }
        while let Some((key, place)) = self.waiting_keys[priority as usize].pop_front() {
            if !self.waits_at(&key, priority, place) {
                continue;
            }
            let of = connection(&key);
            match slots.take(&of) {
                Some(slot) => return Some((self.begin(key, priority), slot)),
                None => self.set_aside(of, key, priority, place),
            }
        }
        // Frees the memory that a burst of objects took.
        self.waiting_keys[priority as usize].shrink_to(64);
        None
    }

    /// Of the set-aside objects of a priority whose connection may have a slot by now, the one that has waited longest.
    fn take_aside(&mut self, priority: QueuePriority, slots: &Slots) -> Option<(Job<B>, Slot)> {
        loop {
            let aside = &self.aside[priority as usize];
            let may_go = aside.iter().filter(|(of, _)| slots.has_room(of));
            let first = may_go.filter_map(|(of, waiting)| Some((waiting.front()?.1, of)));
            let of = first.min_by_key(|(place, _)| *place)?.1.clone();
            let waiting = self.aside[priority as usize].get_mut(&of)?;
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.aside[priority as usize].remove(&of);
            }
            let (key, place) = next?;
            if !self.waits_at(&key, priority, place) {
                continue;
            }
            let slot = slots.take(&of)?;
            return Some((self.begin(key, priority), slot));
        }
    }

    fn set_aside(&mut self, connection: Key, key: Key, priority: QueuePriority, place: u64) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.aside = Some(connection.clone());
        self.waiting_aside[priority as usize] += 1;
        self.aside[priority as usize].entry(connection).or_default().push_back((key, place));
    }

    /// Whether this is an object's present place and the object can be reconciled. It may have left the place, or it is
    /// being reconciled: then `done` gives it a new place.
    fn waits_at(&self, key: &Key, priority: QueuePriority, place: u64) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.waits == Some((priority, place)) && !entry.running)
    }

    fn begin(&mut self, key: Key, priority: QueuePriority) -> Job<B> {
        self.leave(&key);
        let entry = self.entry(&key);
        entry.running = true;
        let request = entry.request.take().map(|request| *request).unwrap_or_default();
        Job { key, priority, request }
    }

    fn set_timer(&mut self, key: &Key, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(before) = std::mem::replace(&mut entry.timer, at) {
            self.timers.remove(&(before, key.clone()));
        }
        self.timers.extend(at.map(|at| (at, key.clone())));
    }

    /// Queues the objects whose timer has expired.
    fn fire(&mut self, now: Instant) {
        while let Some((_, key)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.set_timer(&key, None);
            self.enter(&key, QueuePriority::Background);
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
