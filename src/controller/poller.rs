//! Reads the tenants of one connection, in batches, outside the work queue.
//!
//! A periodic read is judged here, and only an object whose state has changed is reconciled. So neither a poll of ten
//! thousand tenants nor an unreachable platform delays an edit.

mod pollers;
mod reads;
mod schedule;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube::core::DeserializeGuard;
use parking_lot::Mutex;
pub(super) use pollers::Pollers;
use rand::RngExt;
use schedule::{Batch, Schedule};
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::work_queue::{QueuePriority, WorkQueue};
use crate::{
    api::PlatformConnection,
    cluster::Key,
    connections::{ConnectionHandle, SpecRevision},
    platform::Priority,
    pricing::{self, Context, NextPoll, Target},
};

/// How long an interactive read waits for others to share its request.
const INTERACTIVE_BATCH_WINDOW: Duration = Duration::from_millis(2);

/// How long a background read waits for others to share its request. It waits again while more come, up to
/// [`MAX_BATCH_WINDOWS`] times. After a start the objects come one by one, and each batch that is not full costs an
/// extra request.
const BATCH_WINDOW: Duration = Duration::from_millis(10);
const MAX_BATCH_WINDOWS: u32 = 10;

/// The most concurrent batches, for interactive and for background reads.
const MAX_INTERACTIVE_REQUESTS: usize = 8;
const MAX_BACKGROUND_REQUESTS: usize = 2;

/// The most concurrent single reads.
const MAX_SINGLE_READS: usize = 4;

/// While this number of objects waits in the work queue, no background read is sent. It would wait in memory, and be
/// old by the time its object is reconciled.
const MAX_BACKLOG: usize = 64;

/// A connection that no watch delivers is read again for a batch made later than this.
const STORED_MAX_AGE: Duration = Duration::from_secs(2);

/// How soon a full work queue is checked for room again.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// The poller of one connection.
struct Poller {
    connection: Key,
    context: Context,
    queue: Arc<WorkQueue>,
    state: Mutex<State>,
    called: Notify,
    closed: CancellationToken,
    in_flight_interactive: AtomicUsize,
    in_flight_background: AtomicUsize,
    single_reads: Semaphore,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    /// The last read of the connection, where no watch delivers it.
    stored: Option<(Instant, CachedConnection)>,
    /// The number of connection failures in a row, and when periodic reads resume.
    failures: u32,
    paused_until: Option<Instant>,
}

/// The next step of the loop.
enum Step {
    Take {
        only_urgent: bool,
    },
    /// Send a batch as soon as no more requests come that could share it.
    WaitForBatch,
    Wait(Option<Instant>),
}

impl Poller {
    /// Starts the poller of a connection. It ends when `closed` is cancelled.
    fn start(
        connection: Key,
        context: Context,
        queue: Arc<WorkQueue>,
        closed: CancellationToken,
    ) -> Arc<Self> {
        let poller = Arc::new(Self {
            connection,
            context,
            queue,
            state: Mutex::default(),
            called: Notify::new(),
            closed: closed.clone(),
            in_flight_interactive: AtomicUsize::new(0),
            in_flight_background: AtomicUsize::new(0),
            single_reads: Semaphore::new(MAX_SINGLE_READS),
        });
        tokio::spawn(closed.run_until_cancelled_owned(poller.clone().run()));
        poller
    }

    /// Requests a read of the tenant of an object.
    fn request(&self, key: &Key, target: Target, priority: QueuePriority) {
        self.state.lock().schedule.request(key, target, priority);
        self.called.notify_one();
    }

    /// Cancels the request of an object. Its tenant is read again an interval after the last read.
    fn poll_after(&self, key: &Key, target: Target, interval: Duration) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let before = state.schedule.next_due();
        state.schedule.poll_after(key, target, interval, now);
        let sooner = state.schedule.next_due().is_some_and(|due| before.is_none_or(|before| due < before));
        drop(state);
        if sooner {
            self.called.notify_one();
        }
    }

    /// Reads the tenant as soon as nothing more urgent waits. Returns false if no read of it is scheduled.
    fn expedite(&self, key: &Key) -> bool {
        let found = self.state.lock().schedule.expedite(key, Instant::now());
        if found {
            self.called.notify_one();
        }
        found
    }

    /// Cancels all reads for this object.
    fn unschedule(&self, key: &Key) {
        self.state.lock().schedule.unschedule(key);
    }

    /// Plans the next poll of an object. Returns the time after which the object is reconciled in any case.
    fn schedule_next(&self, key: &Key, next: NextPoll) -> Option<Duration> {
        schedule_next(
            next,
            || self.unschedule(key),
            |target, interval| self.poll_after(key, target, interval),
        )
    }

    async fn run(self: Arc<Self>) {
        // After a start the objects may be listed before their connections. Without its connection no tenant can be
        // read, and every object would be reconciled only to report that.
        self.context.connections.wait_synced(self.connection.namespace()).await;
        loop {
            match self.step() {
                Step::Take { only_urgent } => {
                    tokio::time::sleep(INTERACTIVE_BATCH_WINDOW).await;
                    self.send_next(only_urgent);
                }
                Step::WaitForBatch => {
                    self.wait_for_batch().await;
                    self.send_next(false);
                }
                Step::Wait(Some(at)) => drop(timeout_at(at, self.called.notified()).await),
                Step::Wait(None) => self.called.notified().await,
            }
        }
    }

    fn step(&self) -> Step {
        let now = Instant::now();
        let state = self.state.lock();
        let (interactive, background) = state.schedule.waiting();
        let due = state.schedule.next_due();
        let resumes = state.paused_until.filter(|until| *until > now);
        let is_due = resumes.is_none() && due.is_some_and(|due| due <= now);
        let room = self.in_flight_background.load(Ordering::Relaxed) < MAX_BACKGROUND_REQUESTS;
        let idle = self.queue.backlog(QueuePriority::Background, &self.connection) < MAX_BACKLOG;
        if interactive > 0 && self.in_flight_interactive.load(Ordering::Relaxed) < MAX_INTERACTIVE_REQUESTS {
            return Step::Take { only_urgent: !(room && idle) };
        }
        let others = background > 0 || is_due;
        if others && room && idle {
            return Step::WaitForBatch;
        }
        if others && room {
            return Step::Wait(Some(now + ROOM_CHECK_INTERVAL));
        }
        // The end of a request triggers the loop as well.
        Step::Wait(due.map(|due| resumes.map_or(due, |resumes| due.max(resumes))).filter(|_| !others))
    }

    /// Waits for others to share the request, as long as more come. An interactive read ends the wait.
    async fn wait_for_batch(&self) {
        let mut before = None;
        for _ in 0..MAX_BATCH_WINDOWS {
            let (interactive, background, is_full) = {
                let schedule = &self.state.lock().schedule;
                let (interactive, background) = schedule.waiting();
                (interactive, background, schedule.has_full_batch())
            };
            if interactive > 0 || is_full || before == Some(background) {
                return;
            }
            before = Some(background);
            tokio::time::sleep(BATCH_WINDOW).await;
        }
    }

    fn send_next(self: &Arc<Self>, only_urgent: bool) {
        let batch = self.state.lock().schedule.next_batch(Instant::now(), only_urgent, rand::rng().random());
        if !batch.is_empty() {
            self.send(batch);
        }
    }

    /// Reads a batch, in a task of its own, so that a slow answer delays no other batch.
    fn send(self: &Arc<Self>, batch: Batch) {
        let Batch { number, ids, names, interactive } = batch;
        for (key, name) in names {
            let poller = self.clone();
            tokio::spawn(async move {
                poller.find_by_name(key, number, name).await;
                // There is room for another name.
                poller.called.notify_one();
            });
        }
        if ids.is_empty() {
            return;
        }
        let in_flight = InFlight::begin(self.clone(), interactive);
        let priority = if interactive { Priority::Interactive } else { Priority::Background };
        tokio::spawn(async move { in_flight.poller.read_by_id(ids, number, priority).await });
    }

    /// The present route to the platform. `None`: it is closed, and the objects' own reconciles report why.
    async fn route(&self) -> Option<Route> {
        let connection = self.present().await?;
        let handle = self.context.registry.open(connection.0.as_ref().ok()?).ok()?;
        Some(Route { handle, connection })
    }

    /// Whether the connection still has the spec that opened this route.
    async fn is_present(&self, route: &Route) -> bool {
        self.present().await.is_some_and(|present| spec(&present) == route.spec())
    }

    /// The connection as it is now.
    async fn present(&self) -> Option<CachedConnection> {
        match self.context.connections.get(self.connection.namespace(), self.connection.name()) {
            Some(cached) => Some(cached),
            None => self.stored().await,
        }
    }

    /// The connection from the API server, if it was just created or is in a namespace that is not watched. One read
    /// serves all batches within a moment.
    async fn stored(&self) -> Option<CachedConnection> {
        let recent = self.state.lock().stored.clone().filter(|(at, _)| at.elapsed() < STORED_MAX_AGE);
        if let Some((_, connection)) = recent {
            return Some(connection);
        }
        let at = Instant::now();
        let read = pricing::stored_connection(&self.context, &self.connection).await.ok()?;
        let connection = Arc::new(DeserializeGuard(Ok(read)));
        self.state.lock().stored = Some((at, connection.clone()));
        Some(connection)
    }
}

/// Plans the next poll of an object, or unschedules it if it is not polled. Returns the time after which the object is
/// reconciled in any case.
fn schedule_next(
    next: NextPoll,
    unschedule: impl FnOnce(),
    schedule: impl FnOnce(Target, Duration),
) -> Option<Duration> {
    match (next.interval, next.target) {
        (None, _) => unschedule(),
        // An object without a tenant to read is reconciled an interval later.
        (Some(interval), None) => return Some(interval),
        (Some(interval), Some(target)) => schedule(target, interval),
    }
    next.reconcile_after
}

/// A connection from a watch or a read.
type CachedConnection = Arc<DeserializeGuard<PlatformConnection>>;

/// The spec of a connection, if it can be read.
fn spec(connection: &CachedConnection) -> Option<SpecRevision> {
    connection.0.as_ref().ok().map(SpecRevision::of)
}

/// The route to the platform, and the connection that opened it.
#[derive(Clone)]
struct Route {
    handle: ConnectionHandle,
    connection: CachedConnection,
}

impl Route {
    /// The spec that opened it.
    fn spec(&self) -> Option<SpecRevision> {
        spec(&self.connection)
    }
}

/// A request in progress, counted until it ends in any way.
struct InFlight {
    poller: Arc<Poller>,
    interactive: bool,
}

impl InFlight {
    fn begin(poller: Arc<Poller>, interactive: bool) -> Self {
        let request = Self { poller, interactive };
        request.counter().fetch_add(1, Ordering::Relaxed);
        request
    }

    fn counter(&self) -> &AtomicUsize {
        if self.interactive { &self.poller.in_flight_interactive } else { &self.poller.in_flight_background }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
        self.poller.called.notify_one();
    }
}
