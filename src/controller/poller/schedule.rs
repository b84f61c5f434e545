//! Which tenants are read next through one connection, and when each is read again.
//!
//! Pure: instants are handed in.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::{cluster::Key, controller::work_queue::QueuePriority, platform::TenantId, pricing::Target};

/// The most ids that the platform accepts in one request.
pub const MAX_BATCH: usize = 100;

/// The most names in flight: enough that the resolver sees when a listing of all tenants is cheaper.
const MAX_NAMES: usize = 2000;

/// The delay of a name that is due while [`MAX_NAMES`] are in flight.
const NAME_DELAY: Duration = Duration::from_secs(1);

/// A read that comes due within this part of its interval goes along with one that is due now. Requests are fuller, and
/// so fewer.
const EARLY_FRACTION: f64 = 0.1;

/// The most that an interval is lengthened, as a random part of it, so that nothing runs in step.
const JITTER: f64 = 0.05;

/// The schedule of one connection.
#[derive(Debug, Default)]
pub struct Schedule {
    entries: HashMap<Key, Entry>,
    interactive: Waiting,
    background: Waiting,
    due: BTreeSet<(Instant, Key)>,
    names_in_flight: usize,
    batches: u32,
}

/// The requested reads. Names have a queue of their own, because a search may take long and must not delay a tenant
/// with a known id.
#[derive(Debug, Default)]
struct Waiting {
    ids: VecDeque<Key>,
    names: VecDeque<Key>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    priority: Option<QueuePriority>,
    due: Option<Instant>,
    /// The number of the batch in which it is being read.
    out: Option<u32>,
    /// When it was last read, and by which part of its interval the next read comes later.
    last: Option<(Instant, f64)>,
}

/// Tenants to be read now.
#[derive(Debug, Default, PartialEq)]
pub struct Batch {
    /// Distinguishes the batch from all others of its schedule.
    pub number: u32,
    /// Tenants by id, read in one request.
    pub ids: Vec<(Key, TenantId)>,
    /// Tenants by name, to be found first.
    pub names: Vec<(Key, String)>,
    /// Whether an interactive request waits for one of them.
    pub interactive: bool,
}

impl Batch {
    /// Whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.names.is_empty()
    }
}

/// One object of a batch of reads.
#[derive(Clone, Copy, Debug)]
pub struct BatchEntry {
    /// The number of the batch.
    pub batch: u32,
    /// Whether the tenant is searched by its name.
    pub by_name: bool,
}

/// What a read was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The object was unscheduled since, or has another target: a read of one tenant must never count for another.
    Stale,
    /// A periodic read of this target.
    Periodic(Target),
    /// A read of this target that a reconcile requested.
    Requested(Target, QueuePriority),
}

impl Completed {
    /// The priority with which the object is enqueued, if the read counts.
    pub fn priority(&self) -> Option<QueuePriority> {
        match self {
            Self::Stale => None,
            Self::Periodic(_) => Some(QueuePriority::Background),
            Self::Requested(_, priority) => Some(*priority),
        }
    }
}

impl Schedule {
    /// Requests a read. A read in flight satisfies the request.
    pub fn request(&mut self, key: &Key, target: Target, priority: QueuePriority) {
        self.unqueue(key);
        let entry = self.entry(key, target);
        let more = entry.priority < Some(priority);
        entry.priority = entry.priority.max(Some(priority));
        if more && entry.out.is_none() {
            let by_name = matches!(entry.target, Target::Name(_));
            let queue = self.queue(priority);
            if by_name { queue.names.push_back(key.clone()) } else { queue.ids.push_back(key.clone()) }
        }
    }

    /// Cancels the request of an object. Its tenant is read again an interval after its last read. If it was never
    /// read, it is read as soon as nothing more urgent waits.
    pub fn poll_after(&mut self, key: &Key, target: Target, interval: Duration, now: Instant) {
        let entry = self.entry(key, target);
        let due = match entry.last {
            Some((last, factor)) => last + interval.mul_f64(factor),
            None => now,
        };
        self.set_due(key, due);
    }

    /// Schedules the next read for this instant.
    pub fn poll_at(&mut self, key: &Key, target: Target, due: Instant) {
        self.entry(key, target);
        self.set_due(key, due);
    }

    /// Schedules the read of a resting object for as soon as nothing more urgent waits. Returns false if no read is
    /// scheduled.
    pub fn expedite(&mut self, key: &Key, now: Instant) -> bool {
        let rests = self.entries.get(key).is_some_and(|entry| entry.due.is_some_and(|due| due > now));
        if rests {
            self.set_due(key, now);
        }
        let to_come = |entry: &Entry| entry.due.is_some() || entry.priority.is_some() || entry.out.is_some();
        self.entries.get(key).is_some_and(to_come)
    }

    /// Cancels all reads for this object.
    pub fn unschedule(&mut self, key: &Key) {
        self.unqueue(key);
        self.entries.remove(key);
        if self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(64.max(self.entries.len() * 2));
        }
    }

    /// The reads to send now. With `only_urgent`, background reads wait.
    pub fn next_batch(&mut self, now: Instant, only_urgent: bool, jitter: f64) -> Batch {
        let mut batch = Batch { number: self.batches.wrapping_add(1), ..Batch::default() };
        batch.interactive = self.add_waiting(&mut batch, QueuePriority::Interactive);
        if !only_urgent {
            self.add_waiting(&mut batch, QueuePriority::Background);
            self.add_due(&mut batch, now);
        }
        if batch.is_empty() {
            for queue in [&mut self.interactive, &mut self.background] {
                queue.ids.shrink_to(64);
                queue.names.shrink_to(64);
            }
            return batch;
        }
        self.batches = batch.number;
        let phase = spread(self.batches);
        for key in batch.ids.iter().map(|(key, _)| key).chain(batch.names.iter().map(|(key, _)| key)) {
            if let Some(entry) = self.entries.get_mut(key) {
                // Tenants that are first read together, after a start, are spread over the first interval batch by
                // batch. So no two batches coincide again.
                let factor = if entry.last.is_some() { 1.0 + JITTER * jitter } else { phase };
                entry.last = Some((now, factor));
            }
        }
        batch
    }

    /// When the next read is due if nothing is requested before. `None`: never.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The number of requested reads that can be sent now: interactive ones, and background ones.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let takes_names = self.names_in_flight < MAX_NAMES;
        let waiting = |queue: &Waiting| queue.ids.len() + if takes_names { queue.names.len() } else { 0 };
        (waiting(&self.interactive), waiting(&self.background))
    }

    /// Whether the requests make up a full batch.
    #[must_use]
    pub fn has_full_batch(&self) -> bool {
        let (interactive, background) = self.waiting();
        interactive + background >= MAX_BATCH
    }

    /// Ends a read of an object in a batch.
    pub fn complete(&mut self, key: &Key, read: BatchEntry) -> Completed {
        if read.by_name {
            self.names_in_flight = self.names_in_flight.saturating_sub(1);
        }
        // If it was unscheduled and requested again since, another read answers that request.
        let current = self
            .entries
            .get_mut(key)
            .and_then(|entry| entry.out.take_if(|out| *out == read.batch).map(|_| entry));
        match current.map(|entry| (entry.target.clone(), entry.priority.take())) {
            None => Completed::Stale,
            Some((target, None)) => Completed::Periodic(target),
            Some((target, Some(priority))) => Completed::Requested(target, priority),
        }
    }

    fn entry(&mut self, key: &Key, target: Target) -> &mut Entry {
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            target: target.clone(),
            priority: None,
            due: None,
            out: None,
            last: None,
        });
        if entry.target != target {
            // The read in flight is one of another tenant, and so was its request.
            entry.target = target;
            (entry.priority, entry.out) = (None, None);
        }
        entry
    }

    fn set_due(&mut self, key: &Key, due: Instant) {
        self.unqueue(key);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.due = Some(due);
            self.due.insert((due, key.clone()));
        }
    }

    /// Removes an object from the due queue.
    fn unqueue(&mut self, key: &Key) {
        let due = self.entries.get_mut(key).and_then(|entry| entry.due.take());
        if let Some(due) = due {
            self.due.remove(&(due, key.clone()));
        }
    }

    fn queue(&mut self, priority: QueuePriority) -> &mut Waiting {
        match priority {
            QueuePriority::Background => &mut self.background,
            QueuePriority::Interactive | QueuePriority::Switch => &mut self.interactive,
        }
    }

    /// Adds objects of a queue while there is room. Returns whether any was added.
    fn add_waiting(&mut self, batch: &mut Batch, priority: QueuePriority) -> bool {
        let mut added = false;
        while batch.ids.len() < MAX_BATCH {
            let Some(key) = self.queue(priority).ids.pop_front() else { break };
            added |= self.add(batch, key, priority);
        }
        while self.names_in_flight < MAX_NAMES {
            let Some(key) = self.queue(priority).names.pop_front() else { break };
            added |= self.add(batch, key, priority);
        }
        added
    }

    /// Adds an object of a queue, if it still waits there.
    fn add(&mut self, batch: &mut Batch, key: Key, priority: QueuePriority) -> bool {
        let waits = self
            .entries
            .get(&key)
            .is_some_and(|entry| entry.priority == Some(priority) && entry.out.is_none());
        if waits {
            self.send_out(batch, key);
        }
        waits
    }

    /// Adds the objects that are due and, if there is room, those that are due soon.
    fn add_due(&mut self, batch: &mut Batch, now: Instant) {
        if self.due.first().is_none_or(|(due, _)| *due > now) {
            return;
        }
        let mut later = Vec::new();
        while batch.ids.len() < MAX_BATCH {
            let Some((due, key)) = self.due.first().cloned() else { break };
            let entry = self.entries.get(&key);
            let last = entry.and_then(|entry| entry.last);
            let interval = last.map_or(Duration::ZERO, |(last, _)| due.saturating_duration_since(last));
            if due > now + interval.mul_f64(EARLY_FRACTION) {
                break;
            }
            let is_out = entry.is_none_or(|entry| entry.out.is_some());
            let by_name = entry.is_some_and(|entry| matches!(entry.target, Target::Name(_)));
            self.unqueue(&key);
            if by_name && self.names_in_flight >= MAX_NAMES {
                later.push(key);
            } else if !is_out {
                self.send_out(batch, key);
            }
        }
        for key in later {
            self.set_due(&key, now + NAME_DELAY);
        }
    }

    fn send_out(&mut self, batch: &mut Batch, key: Key) {
        self.unqueue(&key);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.out = Some(batch.number);
        match &entry.target {
            Target::Id(id) => batch.ids.push((key, id.clone())),
            Target::Name(name) => {
                self.names_in_flight += 1;
                batch.names.push((key, name.to_string()));
            }
        }
    }
}

/// Numbers between 0 and 1 that are evenly spaced for any count: multiples of the golden ratio.
fn spread(number: u32) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    // At 0 everything would be read twice at once.
    (f64::from(number) * GOLDEN).fract().max(0.01)
}

#[cfg(test)]
mod tests;
