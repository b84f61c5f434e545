//! Admits due switches of each connection, within its rate limit and its budget.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::{Admitted, DueSwitch, SwitchQueue};
use crate::{
    clock::sleep_until,
    cluster::Key,
    controller::work_queue::{QueuePriority, WorkQueue},
    pricing::{self, Context, Limits, ReconcileRequest, budget::BudgetStatus},
};

/// The shortest wait for room in a budget, however soon that is expected: its instants have whole seconds.
const MIN_BUDGET_WAIT: Duration = Duration::from_secs(1);

/// The longest such wait: a wall clock may be moved while this waits by the monotonic one.
const MAX_BUDGET_WAIT: Duration = Duration::from_secs(10);

/// The switch queues of all connections, each with a task that admits from it.
pub(in crate::controller) struct Dispatchers {
    context: Context,
    work: Arc<WorkQueue>,
    running: Mutex<HashMap<Key, Running>>,
}

/// The queue of one connection. Its dispatcher ends when this is dropped.
struct Running {
    queue: SwitchQueue,
    _ends: DropGuard,
}

impl Dispatchers {
    /// No queues. The dispatchers that start end with the term of the context, or when this is dropped.
    pub(in crate::controller) fn new(context: Context, work: Arc<WorkQueue>) -> Self {
        Self { context, work, running: Mutex::default() }
    }

    /// Queues an object whose switch is due. The object is reconciled when it is admitted. If it has to wait, it is
    /// reconciled before as well, to report why.
    pub(in crate::controller) fn enter(
        &self,
        connection: &Key,
        key: &Key,
        switch: DueSwitch,
        limits: Limits,
    ) {
        let queue = {
            let mut running = self.running.lock();
            // An object whose connection was edited waits in one queue only.
            running.iter().filter(|(of, _)| *of != connection).for_each(|(_, other)| other.queue.leave(key));
            let start = || self.start(connection.clone(), limits);
            running.entry(connection.clone()).or_insert_with(start).queue.clone()
        };
        queue.enter(key, switch, limits, Instant::now());
    }

    /// Removes an object that has nothing to wait for any more.
    pub(in crate::controller) fn leave(&self, key: &Key) {
        for running in self.running.lock().values() {
            running.queue.leave(key);
        }
    }

    /// Stops the dispatcher of a connection that is gone.
    pub(in crate::controller) fn close(&self, connection: &Key) {
        self.running.lock().remove(connection);
    }

    /// Records that the limits of a connection may have changed.
    pub(in crate::controller) fn limits_changed(&self, connection: &Key) {
        if let Some(running) = self.running.lock().get(connection) {
            running.queue.notify();
        }
    }

    fn start(&self, connection: Key, limits: Limits) -> Running {
        let closed = self.context.stopping.child_token();
        let queue = SwitchQueue::new(limits);
        let dispatcher = Dispatcher {
            connection,
            context: self.context.clone(),
            work: self.work.clone(),
            queue: queue.clone(),
        };
        tokio::spawn(closed.clone().run_until_cancelled_owned(dispatcher.run()));
        Running { queue, _ends: closed.drop_guard() }
    }
}

/// Admits from the queue of one connection.
struct Dispatcher {
    connection: Key,
    context: Context,
    work: Arc<WorkQueue>,
    queue: SwitchQueue,
}

impl Dispatcher {
    async fn run(self) {
        loop {
            let budget = self.admit();
            let report_at = self.report(&budget);
            tokio::select! {
                () = self.queue.changed() => {}
                () = self.room(&budget) => {}
                () = sleep_until(report_at) => {}
            }
        }
    }

    /// Admits every switch that may start now. Returns what the budget allows the next one.
    fn admit(&self) -> BudgetStatus {
        let (context, connection) = (&self.context, &self.connection);
        let cached = context.connections.get(connection.namespace(), connection.name());
        let cached = cached.as_ref().and_then(|cached| cached.0.as_ref().ok());
        let limits = cached.map_or_else(|| self.queue.limits(), Limits::of);
        let clocks = context.clocks(connection);
        loop {
            let decision = self.queue.admit(limits.max_concurrent(), |_, reserved| {
                let now = Instant::now();
                pricing::account(&context.index, connection, limits.budget, reserved, clocks, now).status()
            });
            let Some(Admitted { key, read, permit }) = decision.admitted else { return decision.budget };
            let permit = Some((connection.clone(), permit));
            self.work.push(
                &key,
                QueuePriority::Switch,
                ReconcileRequest { read, permit, ..ReconcileRequest::default() },
            );
        }
    }

    /// Triggers a reconcile of the objects that have to report why they wait. Returns when there is more to report.
    fn report(&self, budget: &BudgetStatus) -> Option<Instant> {
        let reports = self.queue.report(budget, Instant::now(), self.context.clock.now());
        for (key, request) in reports.reports {
            self.work.push(&key, QueuePriority::Background, request);
        }
        reports.next
    }

    /// Waits until a used-up budget may have room.
    async fn room(&self, budget: &BudgetStatus) {
        let next = match budget {
            BudgetStatus::Exhausted(account) => account.next(0),
            BudgetStatus::Room => None,
        };
        let Some(next) = next else { return std::future::pending().await };
        let wait = Duration::try_from(next.duration_since(self.context.clock.now())).unwrap_or_default();
        tokio::time::sleep(wait.clamp(MIN_BUDGET_WAIT, MAX_BUDGET_WAIT)).await;
    }
}
