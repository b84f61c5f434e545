//! The pollers of all connections.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_util::sync::DropGuard;

use super::{Poller, schedule_next};
use crate::{
    cluster::Key,
    controller::work_queue::{QueuePriority, WorkQueue},
    pricing::{Context, NextPoll, Target},
};

/// The pollers of all connections. Each starts at the first request through its connection.
pub(in crate::controller) struct Pollers {
    context: Context,
    queue: Arc<WorkQueue>,
    running: Mutex<HashMap<Key, Running>>,
}

/// The poller of one connection. It ends when this is dropped.
struct Running {
    poller: Arc<Poller>,
    _ends: DropGuard,
}

impl Pollers {
    /// No pollers. Those that start end with the term of the context, or when this is dropped.
    pub(in crate::controller) fn new(context: Context, queue: Arc<WorkQueue>) -> Self {
        Self { context, queue, running: Mutex::default() }
    }

    /// Requests a read of the tenant of an object.
    pub(in crate::controller) fn request(
        &self,
        connection: &Key,
        key: &Key,
        target: Target,
        priority: QueuePriority,
    ) {
        self.poller(connection).request(key, target, priority);
    }

    /// Plans the next poll of an object. Returns the time after which the object is reconciled in any case.
    pub(in crate::controller) fn schedule_next(&self, key: &Key, next: NextPoll) -> Option<Duration> {
        let connection = next.connection.clone();
        let schedule = |target, interval| self.poller(&connection).poll_after(key, target, interval);
        schedule_next(next, || self.unschedule(key), schedule)
    }

    /// Polls an object as soon as nothing more urgent waits. Returns false if it is not polled.
    pub(in crate::controller) fn expedite(&self, connection: &Key, key: &Key) -> bool {
        let poller = self.running.lock().get(connection).map(|running| running.poller.clone());
        poller.is_some_and(|poller| poller.expedite(key))
    }

    /// Stops polling an object, through any connection.
    pub(in crate::controller) fn unschedule(&self, key: &Key) {
        self.running.lock().values().for_each(|running| running.poller.unschedule(key));
    }

    /// Stops the poller of a connection that is gone.
    pub(in crate::controller) fn close(&self, connection: &Key) {
        self.running.lock().remove(connection);
    }

    fn poller(&self, connection: &Key) -> Arc<Poller> {
        let start = || self.start(connection.clone());
        self.running.lock().entry(connection.clone()).or_insert_with(start).poller.clone()
    }

    fn start(&self, connection: Key) -> Running {
        let closed = self.context.stopping.child_token();
        let poller = Poller::start(connection, self.context.clone(), self.queue.clone(), closed.clone());
        Running { poller, _ends: closed.drop_guard() }
    }
}
