//! Reconciles the queued objects, and carries out the action that each reconcile returns.

mod proofs;
#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::FutureExt;
use tokio::{sync::mpsc, time::Instant};

use self::proofs::{Proofs, Unproved};
use super::{
    poller::Pollers,
    switch_queue::{Dispatchers, DueSwitch},
    work_queue::{Job, QueuePriority, Slot, Slots, WorkQueue},
};
use crate::{
    cluster::{Key, Uid},
    pricing::{self, Action, Context, ReconcileRequest},
    telemetry::ReconcileOutcome,
};

/// The most concurrent reconciles, half of them for one connection. A reconcile mostly waits for the API server. That
/// takes more concurrent writes hardly any faster, and its API priority and fairness would refuse some.
const MAX_CONCURRENT_RECONCILES: usize = 32;

/// The most concurrent switches, half of them for one connection. They have slots of their own, so a long queue of
/// switches delays no other object.
const MAX_CONCURRENT_SWITCHES: usize = 64;

/// Reconciles objects for one term. The queue, the pollers and the switch queues hold no reference to the workers, so
/// all of them end with the last reference to this.
pub(super) struct Workers {
    /// The dependencies of the reconciles.
    pub context: Context,
    /// The queue of objects.
    pub queue: Arc<WorkQueue>,
    /// Reads the tenants of objects that have nothing else to do.
    pub pollers: Pollers,
    /// Admits the due switches.
    pub switches: Dispatchers,
    proofs: Proofs,
    active: AtomicUsize,
}

impl Workers {
    /// Idle workers.
    pub(super) fn new(context: Context) -> Arc<Self> {
        let queue = Arc::new(WorkQueue::default());
        Arc::new(Self {
            pollers: Pollers::new(context.clone(), queue.clone()),
            switches: Dispatchers::new(context.clone(), queue.clone()),
            proofs: Proofs::new(queue.clone(), context.stopping.clone()),
            context,
            queue,
            active: AtomicUsize::new(0),
        })
    }

    /// Works until the end of the term. Work in progress then runs to its end.
    pub(super) async fn run(self: Arc<Self>) {
        let ordinary = self.clone().work_on(MAX_CONCURRENT_RECONCILES, false);
        let switches = self.clone().work_on(MAX_CONCURRENT_SWITCHES, true);
        let stopping = self.context.stopping.clone();
        stopping.run_until_cancelled(async { tokio::join!(ordinary, switches) }).await;
    }

    /// Enqueues the objects that the reconciles of other objects request.
    pub(super) async fn enqueue_requested(self: Arc<Self>, mut requests: mpsc::UnboundedReceiver<Key>) {
        while let Some(key) = requests.recv().await {
            self.queue.push(&key, QueuePriority::Interactive, ReconcileRequest::default());
        }
    }

    /// The number of reconciles in progress.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Forgets a connection that is gone.
    pub(super) fn close(&self, connection: &Key) {
        self.pollers.close(connection);
        self.switches.close(connection);
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.queue.forget(key);
        self.switches.leave(key);
        self.pollers.unschedule(key);
    }

    /// Handles a change that an object depends on: the object is polled soon or, if it is not polled, reconciled.
    pub(super) fn requeue_soon(&self, key: &Key, connection: &Key) {
        if !self.pollers.expedite(connection, key) {
            self.queue.push(key, QueuePriority::Background, ReconcileRequest::default());
        }
    }

    async fn work_on(self: Arc<Self>, most: usize, switches: bool) {
        let slots = Slots::new(most);
        let connection = |key: &Key| self.context.index.connection(key);
        loop {
            // The slot comes first: the next object is chosen when it can be reconciled.
            let (job, slot) = if switches {
                self.queue.take_next_switch(&slots, connection).await
            } else {
                self.queue.take_next(&slots, connection).await
            };
            self.context.tasks.spawn(self.clone().reconcile(job, slot));
        }
    }

    /// Reconciles one object, in a task of its own that nothing cancels.
    async fn reconcile(self: Arc<Self>, job: Job<ReconcileRequest>, _slot: Slot) {
        let Job { key, priority, request } = job;
        let started_at = Instant::now();
        self.active.fetch_add(1, Ordering::Relaxed);
        let reconcile = AssertUnwindSafe(pricing::reconcile(&key, request, &self.context)).catch_unwind();
        let (action, outcome) = reconcile.await.unwrap_or_else(|_| {
            tracing::error!(namespace = key.namespace(), name = key.name(), "reconcile panicked; will retry");
            let object = self.context.objects.get(&key);
            // An object that is gone is not retried.
            let action = object.map_or(Action::AwaitChange, |object| {
                pricing::retry_after_failure(&Uid::of(&object), &self.context)
            });
            (action, ReconcileOutcome::Panicked)
        });
        self.active.fetch_sub(1, Ordering::Relaxed);
        // A reconcile that only requests a read or a listing is the first half of one.
        if !matches!(action, Action::Read { .. } | Action::ProveName { .. }) {
            self.context.metrics.reconciled(outcome, started_at.elapsed());
        }
        self.carry_out(&key, priority, action);
    }

    /// Carries out the action of a reconcile.
    fn carry_out(&self, key: &Key, priority: QueuePriority, action: Action) {
        let awaits_change = matches!(action, Action::AwaitChange);
        let timer = match action {
            Action::AwaitChange => {
                self.pollers.unschedule(key);
                None
            }
            Action::Requeue(pause) => Some(pause),
            Action::Poll { next, keeps_place, .. } => {
                if !keeps_place {
                    self.switches.leave(key);
                }
                self.pollers.schedule_next(key, next)
            }
            Action::Read { connection, target } => {
                let priority = priority.min(QueuePriority::Interactive);
                self.pollers.request(&connection, key, target, priority);
                None
            }
            Action::ProveName { handle, since, read } => {
                self.proofs.wait(key, Unproved { priority, handle, since, read });
                None
            }
            Action::EnqueueSwitch { connection, due, said, limits, read } => {
                self.switches.enter(&connection, key, DueSwitch { due, said, read }, limits);
                None
            }
        };
        // A foreign status is overwritten even if the next reconcile is far off, unless the object is gone.
        let restore = self.context.reconcile_state.own_statuses().pause(key).filter(|_| !awaits_change);
        let timer = timer.map_or(restore, |timer| Some(restore.map_or(timer, |restore| restore.min(timer))));
        self.queue.done(key, timer);
    }
}
