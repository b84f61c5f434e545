//! The work queue: which object is worked on next.
//!
//! As client-go's: an object waits once however often it is called for, is never worked on twice at a time, and
//! what calls for it meanwhile has it worked on once more. Besides that there are priorities, so that an edit never
//! waits behind ten thousand objects that are merely polled, and each object can carry something along.
//! An object whose connection may have no slot now is set aside, and those behind it go first.

mod request;
mod slots;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub(super) use request::WorkQueue;
pub(super) use slots::{Slot, Slots};

use crate::cluster::Key;

/// In which order objects are worked on: the later ones here go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// What nobody waits for: looks that showed a change, retries, switches that became due.
    Background,
    /// What somebody waits for: objects created or edited just now.
    Interactive,
    /// Switches whose turn has come. They are worked on apart from all others.
    Switch,
}

impl Priority {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Background, Self::Interactive, Self::Switch];
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
    /// Something is to be done, in the priority `Turn` and in the others.
    switches: Notify,
    others: Notify,
}

struct Inner<B> {
    entries: HashMap<Key, Entry<B>>,
    /// May hold keys that have left the priority since: the entry says where it is.
    waiting_keys: [VecDeque<(Key, u64)>; Priority::ALL.len()],
    waiting: [usize; Priority::ALL.len()],
    /// By connection, those of each priority that wait for a slot of their connection.
    aside: [HashMap<Key, VecDeque<(Key, u64)>>; Priority::ALL.len()],
    waiting_aside: [usize; Priority::ALL.len()],
    /// Those of each priority that were called for while they were set aside: they may have another connection now.
    called_aside: [Vec<Key>; Priority::ALL.len()],
    timers: BTreeSet<(Instant, Key)>,
    /// Tells a place in a priority from one that was left.
    places: u64,
}

struct Entry<B> {
    waits: Option<(Priority, u64)>,
    /// The connection for whose slot it was set aside.
    aside: Option<Key>,
    running: bool,
    timer: Option<Instant>,
    /// Most carry nothing, and ten thousand may wait.
    request: Option<Box<B>>,
}

/// An object to be worked on.
#[derive(Debug)]
pub struct Job<B> {
    /// Its key.
    pub key: Key,
    /// The priority it came by.
    pub priority: Priority,
    /// What it carries along.
    pub request: B,
}

impl<B: Merge> Default for Queue<B> {
    fn default() -> Self {
        let inner = Inner {
            entries: HashMap::new(),
            waiting_keys: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            waiting: [0; Priority::ALL.len()],
            aside: [HashMap::new(), HashMap::new(), HashMap::new()],
            waiting_aside: [0; Priority::ALL.len()],
            called_aside: [Vec::new(), Vec::new(), Vec::new()],
            timers: BTreeSet::new(),
            places: 0,
        };
        Self { inner: Mutex::new(inner), switches: Notify::new(), others: Notify::new() }
    }
}

impl<B: Merge> Queue<B> {
    /// Calls for an object. One that waits in a slower priority changes over; one that is worked on now is worked
    /// on once more.
    pub fn push(&self, key: &Key, priority: Priority, request: B) {
        let priority = {
            let mut inner = self.lock();
            if !request.is_nothing() {
                inner.entry(key).request.get_or_insert_default().merge(request);
            }
            inner.enter(key, priority);
            priority
        };
        self.notify(priority);
    }

    /// The next object to be worked on whose connection may have a slot, but for those whose turn has come.
    /// `connection` says which connection an object names; it must not come back to the queue. To be called by one
    /// task.
    pub(super) async fn take_next(&self, slots: &Slots, connection: impl Fn(&Key) -> Key) -> (Job<B>, Slot) {
        loop {
            let next_timer = {
                let mut inner = self.lock();
                inner.fire(Instant::now());
                for priority in [Priority::Interactive, Priority::Background] {
                    if let Some(taken) = inner.take(priority, slots, &connection) {
                        return taken;
                    }
                }
                inner.timers.first().map(|(at, _)| *at)
            };
            let timer = async {
                match next_timer {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.others.notified() => {}
                () = slots.freed() => {}
                () = timer => {}
            }
        }
    }

    /// The same among those whose turn has come.
    pub(super) async fn take_next_switch(
        &self,
        slots: &Slots,
        connection: impl Fn(&Key) -> Key,
    ) -> (Job<B>, Slot) {
        loop {
            if let Some(taken) = self.lock().take(Priority::Switch, slots, &connection) {
                return taken;
            }
            tokio::select! {
                () = self.switches.notified() => {}
                () = slots.freed() => {}
            }
        }
    }

    /// The work on an object has ended; `again` calls for it after so long, in place of what was set before.
    pub fn done(&self, key: &Key, again: Option<Duration>) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.running = false;
        }
        // What was called for meanwhile has waited for this.
        let priority = inner.entries.get(key).and_then(|entry| entry.waits).map(|(priority, _)| priority);
        if let Some(priority) = priority {
            inner.requeue(key, priority);
        }
        inner.set_timer(key, again.map(|pause| Instant::now() + pause));
        inner.tidy(key);
        drop(inner);
        self.notify(priority.unwrap_or(Priority::Background));
    }

    /// Calls for an object after so long, in place of what was set before.
    pub fn push_after(&self, key: &Key, pause: Duration) {
        let mut inner = self.lock();
        inner.entry(key);
        inner.set_timer(key, Some(Instant::now() + pause));
        drop(inner);
        self.notify(Priority::Background);
    }

    /// Calls for an object after so long, unless it is called for sooner.
    pub fn push_within(&self, key: &Key, pause: Duration) {
        let at = Instant::now() + pause;
        let mut inner = self.lock();
        if inner.entry(key).timer.is_none_or(|timer| timer > at) {
            inner.set_timer(key, Some(at));
        }
        drop(inner);
        self.notify(Priority::Background);
    }

    /// An object is gone: nothing calls for it any more. Work on it goes on to its end.
    pub fn forget(&self, key: &Key) {
        let mut inner = self.lock();
        inner.set_timer(key, None);
        inner.leave(key);
        if let Some(entry) = inner.entries.get_mut(key) {
            entry.request = None;
        }
        inner.tidy(key);
    }

    /// How many objects wait in a priority.
    #[must_use]
    pub fn depth(&self, priority: Priority) -> usize {
        self.lock().waiting[priority as usize]
    }

    /// How many objects wait in a priority that are in the way of one of this connection: those of other connections that
    /// have no slot are not.
    #[must_use]
    pub fn backlog(&self, priority: Priority, connection: &Key) -> usize {
        let inner = self.lock();
        let own = inner.aside[priority as usize].get(connection).map_or(0, VecDeque::len);
        inner.waiting[priority as usize] - inner.waiting_aside[priority as usize] + own
    }

    fn lock(&self) -> MutexGuard<'_, Inner<B>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self, priority: Priority) {
        if priority == Priority::Switch { self.switches.notify_one() } else { self.others.notify_one() }
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

    /// Has an object wait in this priority, if it does not wait in a faster one.
    fn enter(&mut self, key: &Key, priority: Priority) {
        let entry = self.entry(key);
        let slower = entry.waits.is_some_and(|(waits, _)| waits < priority);
        if entry.waits.is_none() || slower {
            self.leave(key);
            self.place(key, priority);
        } else if let (Some((waits, _)), Some(_)) = (entry.waits, &entry.aside) {
            self.called_aside[waits as usize].push(key.clone());
        }
    }

    /// Moves those that were called for while they were set aside, and have another connection now.
    fn move_aside(&mut self, priority: Priority, connection: &impl Fn(&Key) -> Key) {
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

    /// Puts an object that was worked on to the end of its priority: its old place may have been passed.
    fn requeue(&mut self, key: &Key, priority: Priority) {
        self.leave(key);
        self.place(key, priority);
    }

    fn place(&mut self, key: &Key, priority: Priority) {
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

    /// The first of a priority that is not being worked on and whose connection may have a slot.
    fn take(
        &mut self,
        priority: Priority,
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
        // What was emptied by a great wave is given back.
        self.waiting_keys[priority as usize].shrink_to(64);
        None
    }

    /// Of those of a priority that were set aside and whose connection may have a slot by now, the one that waits longest.
    fn take_aside(&mut self, priority: Priority, slots: &Slots) -> Option<(Job<B>, Slot)> {
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

    fn set_aside(&mut self, connection: Key, key: Key, priority: Priority, place: u64) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.aside = Some(connection.clone());
        self.waiting_aside[priority as usize] += 1;
        self.aside[priority as usize].entry(connection).or_default().push_back((key, place));
    }

    /// Whether this is an object's place and it can be worked on. It may have left the place; or it is worked on, and
    /// then `done` gives it a new one.
    fn waits_at(&self, key: &Key, priority: Priority, place: u64) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.waits == Some((priority, place)) && !entry.running)
    }

    fn begin(&mut self, key: Key, priority: Priority) -> Job<B> {
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

    /// Has those wait whose time has come.
    fn fire(&mut self, now: Instant) {
        while let Some((_, key)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.set_timer(&key, None);
            self.enter(&key, Priority::Background);
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
