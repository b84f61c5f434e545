//! Works on the objects that the queue names, and does what each pass calls for.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    poller::{Observer, Wish},
    switch_queue::{Dispatchers, DueSwitch},
    work_queue::{Job, Lane, Merge, Queue, Slot, Slots},
};
use crate::{
    cluster::{Key, Uid},
    connections::{Counters, Handle},
    pricing::{self, Again, Brought, Context, Next, Rest, Taken},
    telemetry::ReconcileOutcome,
};

/// So many objects are worked on at once, half of them of one connection: what is worked on mostly waits for the API
/// server, which takes writes hardly any faster if more of them come at a time, and whose own fairness would refuse
/// some.
const CONCURRENCY: usize = 32;

/// So many switches are under way at once, half of them of one connection. They are worked on apart from other
/// objects, so that a long line of them is in nobody's way.
const SWITCHES: usize = 64;

/// How often a tenant past trial is looked at.
const DAY: Duration = Duration::from_hours(24);

/// A listing that takes no longer than this is not worth a status of each object that waits for it.
const NOT_WORTH_A_WORD: Duration = Duration::from_secs(1);

/// An object whose wait for a listing was broken off is worked on again after so long.
const AFTER_A_PANIC: Duration = Duration::from_secs(10);

/// What the parts of the controller share.
pub(super) struct Shared {
    /// What passes work with.
    pub context: Context,
    /// Which object is worked on next.
    pub queue: Arc<Queue<Brought>>,
    /// When the counters of connections move.
    pub counters: Counters,
    observers: Mutex<HashMap<Key, Arc<Observer>>>,
    switches: Dispatchers,
    under_way: AtomicUsize,
    /// The objects that wait for a listing.
    proving: Proving,
}

/// The objects that wait for a listing.
#[derive(Clone, Default)]
struct Proving(Arc<Mutex<HashSet<Key>>>);

/// One object waits, until this is dropped, by a panic as well.
struct AwaitsListing {
    of: Proving,
    key: Key,
}

impl Proving {
    /// An object begins to wait. `None`: it waits already.
    fn begin(&self, key: &Key) -> Option<AwaitsListing> {
        self.keys().insert(key.clone()).then(|| AwaitsListing { of: self.clone(), key: key.clone() })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AwaitsListing {
    fn drop(&mut self) {
        self.of.keys().remove(&self.key);
    }
}

impl Merge for Brought {
    fn merge(&mut self, newer: Self) {
        self.look = newer.look.or(self.look.take());
        self.turn = newer.turn.or(self.turn.take());
        self.permit = newer.permit.or(self.permit.take());
        self.awaits_listing |= newer.awaits_listing;
    }

    fn is_nothing(&self) -> bool {
        self.look.is_none() && self.turn.is_none() && self.permit.is_none() && !self.awaits_listing
    }
}

impl Shared {
    /// Nothing to be done yet.
    pub(super) fn new(context: Context, counters: Counters) -> Arc<Self> {
        let queue = Arc::new(Queue::default());
        Arc::new(Self {
            switches: Dispatchers::new(context.clone(), queue.clone()),
            context,
            queue,
            counters,
            observers: Mutex::default(),
            under_way: AtomicUsize::new(0),
            proving: Proving::default(),
        })
    }

    /// Works until the process is to end; what is under way then goes on to its end.
    pub(super) async fn work(self: Arc<Self>) {
        let ordinary = self.clone().work_on(CONCURRENCY, false);
        let turns = self.clone().work_on(SWITCHES, true);
        let stopping = self.context.stopping.clone();
        stopping.run_until_cancelled(async { tokio::join!(ordinary, turns) }).await;
    }

    /// Has objects worked on that passes over others call for.
    pub(super) async fn answer(self: Arc<Self>, mut called: mpsc::UnboundedReceiver<Key>) {
        while let Some(key) = called.recv().await {
            self.queue.push(&key, Lane::Urgent, Brought::default());
        }
    }

    async fn work_on(self: Arc<Self>, most: usize, turns: bool) {
        let slots = Slots::new(most);
        let connection = |key: &Key| self.context.index.connection(key);
        loop {
            // With its slot: which object is the next is decided when it can be worked on.
            let (job, slot) = if turns {
                self.queue.take_next_turn(&slots, connection).await
            } else {
                self.queue.take_next(&slots, connection).await
            };
            self.context.tasks.spawn(self.clone().conduct(job, slot));
        }
    }

    /// One pass, in a task of its own that nothing cuts in half.
    async fn conduct(self: Arc<Self>, job: Job<Brought>, _slot: Slot) {
        let Job { key, lane, brought } = job;
        let begun = Instant::now();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let pass = AssertUnwindSafe(pricing::reconcile(&key, brought, &self.context)).catch_unwind();
        let (next, outcome) = pass.await.unwrap_or_else(|_| {
            tracing::error!(
                namespace = key.namespace(),
                name = key.name(),
                "a pass was broken off; it is repeated"
            );
            let object = self.context.objects.get(&key);
            // Of an object that is gone there is nothing to repeat.
            let next =
                object.map_or(Next::Nothing, |object| pricing::broken_off(&Uid::of(&object), &self.context));
            (next, ReconcileOutcome::BrokenOff)
        });
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        // A pass that only asks for a look or a listing is the first half of one.
        if !matches!(next, Next::Look { .. } | Next::Prove { .. }) {
            self.context.metrics.reconciled(outcome, begun.elapsed());
        }
        self.follow(&key, lane, next);
    }

    /// Does what a pass calls for.
    fn follow(self: &Arc<Self>, key: &Key, lane: Lane, next: Next) {
        let timer = match next {
            Next::Nothing => {
                self.forget_looks(key);
                None
            }
            Next::Repeat(pause) => Some(pause),
            Next::Rest(rest) => {
                if rest.again != Again::Turn {
                    self.switches.leave(key);
                }
                self.settle(key, rest)
            }
            Next::Look { connection, target } => {
                let wish = if lane == Lane::Bulk { Wish::Wanted } else { Wish::Urgent };
                self.observer(&connection).want(key, target, wish);
                None
            }
            Next::Prove { handle, since, look } => {
                self.prove(key, lane, handle, since, look);
                None
            }
            Next::Turn { connection, due, said, limits, look } => {
                self.switches.enter(&connection, key, DueSwitch { due, said, read: look }, limits);
                None
            }
        };
        // A foreign status is answered, however long the rest.
        let mend = self.context.memories.mends().pause(key);
        let timer = timer.map_or(mend, |timer| Some(mend.map_or(timer, |mend| mend.min(timer))));
        self.queue.done(key, timer);
    }

    /// Waits for a listing that began no earlier than `since`, and has the object worked on again when it has ended,
    /// successful or not. If that takes long, also before, so that its status says so.
    fn prove(self: &Arc<Self>, key: &Key, lane: Lane, handle: Handle, since: Instant, look: Taken) {
        let Some(waits) = self.proving.begin(key) else { return };
        let (shared, key) = (self.clone(), key.clone());
        let stopping = self.context.stopping.clone();
        tokio::spawn(async move {
            let listing = async {
                let mut listed = pin!(handle.names().list(since));
                if timeout(NOT_WORTH_A_WORD, &mut listed).await.is_err() {
                    let look = Some(look.clone());
                    let brought = Brought { look, awaits_listing: true, ..Brought::default() };
                    shared.queue.push(&key, Lane::Bulk, brought);
                    listed.await;
                }
            };
            let listing = AssertUnwindSafe(listing).catch_unwind();
            let ended = stopping.run_until_cancelled(listing).await;
            if let Some(error) = handle.names().failure() {
                let _ = handle.noting::<()>(Err(error));
            }
            drop(waits);
            match ended {
                Some(Ok(())) => {
                    shared.queue.push(&key, lane, Brought { look: Some(look), ..Brought::default() });
                }
                Some(Err(_)) => shared.queue.push_within(&key, AFTER_A_PANIC),
                None => {}
            }
        });
    }

    /// Puts an object to rest until its next look. Returns after how long it is to be worked on in any case.
    pub(super) fn settle(self: &Arc<Self>, key: &Key, rest: Rest) -> Option<Duration> {
        let Rest { connection, target, poll, again, failures, .. } = rest;
        let interval = match again {
            Again::Poll | Again::Turn | Again::Proof | Again::After(_) => poll,
            Again::Daily => DAY,
            Again::Backoff | Again::OnChange | Again::Recheck => {
                self.forget_looks(key);
                return pricing::pause(again, failures, poll);
            }
        };
        match target {
            Some(target) => {
                self.observer(&connection).rest(key, target, interval);
                pricing::pause(again, failures, poll)
            }
            // Nothing to look at: it is gone through again all the same.
            None => Some(interval),
        }
    }

    /// The term is over: nothing refers to anything here any more, but what is still under way.
    pub(super) fn dissolve(&self) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.drain().for_each(|(_, observer)| observer.close());
    }

    /// How many passes are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// The observer of a connection.
    pub(super) fn observer(self: &Arc<Self>, connection: &Key) -> Arc<Observer> {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || Observer::start(connection.clone(), self.clone());
        if self.context.stopping.is_cancelled() {
            // `dissolve` has been here, or comes: what is kept after it, nobody takes out of here any more. The two
            // would keep each other, with all that the queue holds.
            return start();
        }
        observers.entry(connection.clone()).or_insert_with(start).clone()
    }

    /// Ends the observer of a connection that is gone.
    pub(super) fn close(&self, connection: &Key) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(observer) = observers.remove(connection) {
            observer.close();
        }
        self.switches.close(connection);
    }

    /// Nothing is looked at for an object any more, through whatever connection.
    pub(super) fn forget_looks(&self, key: &Key) {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.values().for_each(|observer| observer.forget(key));
    }

    /// An object is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.queue.forget(key);
        self.switches.leave(key);
        self.forget_looks(key);
    }

    /// What a connection's limits allow may have changed.
    pub(super) fn limits_changed(&self, connection: &Key) {
        self.switches.limits_changed(connection);
    }

    /// Something that an object depends on changed: it is looked at again soon, or, if nothing is looked at for
    /// it, worked on.
    pub(super) fn revisit(self: &Arc<Self>, key: &Key, connection: &Key) {
        let observer = {
            let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
            observers.get(connection).cloned()
        };
        if !observer.is_some_and(|observer| observer.hasten(key)) {
            self.queue.push(key, Lane::Bulk, Brought::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_wait_for_a_listing() {
        let (proving, key) = (Proving::default(), Key::new("team", "one"));
        let waits = proving.begin(&key).unwrap();
        assert!(proving.begin(&key).is_none(), "it waits already");
        let broken = tokio::spawn(async move {
            let _waits = waits;
            panic!("a wait that breaks off");
        });
        assert!(broken.await.unwrap_err().is_panic());
        assert!(proving.begin(&key).is_some());
    }
}
