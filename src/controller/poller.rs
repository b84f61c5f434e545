//! Looks at the tenants of one connection, in batches, outside the work queue.
//!
//! What is looked at because its interval is over is judged here, and only an object about which there is
//! something to say is worked on. So neither a poll of ten thousand tenants nor a platform that is away is in the
//! way of an edit.

mod pollers;
mod reads;
mod schedule;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube::core::DeserializeGuard;
use rand::RngExt;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub(super) use pollers::Pollers;
pub(super) use schedule::Wish;
use schedule::{Agenda, Batch};

use super::work_queue::{Lane, WorkQueue};
use crate::{
    api::PlatformConnection,
    cluster::Key,
    connections::Handle,
    platform::Priority as PlatformPriority,
    pricing::{self, Again, Context, Rest, Target},
};

/// What somebody waits for waits so long for others to go along.
const GATHERING_URGENT: Duration = Duration::from_millis(2);

/// What nobody waits for waits so long, and as long again while more comes, up to so many times: after a start
/// the objects come one by one, and each batch that is not full is a request too many.
const GATHERING: Duration = Duration::from_millis(10);
const GATHERINGS: u32 = 10;

/// So many requests for what somebody waits for are under way at a time, and so many for other looks.
const MOST_URGENT: usize = 8;
const MOST_OTHERS: usize = 2;

/// So many tenants are looked at alone at the same time.
const ALONE: usize = 4;

/// With so many objects waiting to be worked on, nothing is looked at that nobody waits for: it would wait in
/// memory, and be old by the time it is worked on.
const ENOUGH_WORK: usize = 64;

/// A connection that no watch brings is read again for a batch that is made later than this.
const STORED_HOLDS: Duration = Duration::from_secs(2);

/// How often a tenant past trial is polled.
const DAY: Duration = Duration::from_hours(24);

/// How soon it is looked whether there is room again.
const NO_ROOM: Duration = Duration::from_millis(5);

/// The poller of one connection.
struct Poller {
    connection: Key,
    context: Context,
    queue: Arc<WorkQueue>,
    state: Mutex<State>,
    called: Notify,
    closed: CancellationToken,
    urgent_out: AtomicUsize,
    others_out: AtomicUsize,
    alone: Semaphore,
}

#[derive(Default)]
struct State {
    agenda: Agenda,
    /// The connection as it was last read, where no watch brings it.
    stored: Option<(Instant, Cached)>,
    /// Failures of the way in a row, and when periodic looks go on.
    failures: u32,
    paused_until: Option<Instant>,
}

/// What the loop is to do next.
enum Step {
    Take {
        only_urgent: bool,
    },
    /// The same, as soon as no more comes that could go along.
    Gather,
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
            urgent_out: AtomicUsize::new(0),
            others_out: AtomicUsize::new(0),
            alone: Semaphore::new(ALONE),
        });
        tokio::spawn(closed.run_until_cancelled_owned(poller.clone().run()));
        poller
    }

    /// Asks for a look at what an object stands for.
    fn want(&self, key: &Key, target: Target, wish: Wish) {
        self.lock().agenda.want(key, target, wish);
        self.called.notify_one();
    }

    /// Nothing is wanted for now: it is looked at again an interval after the last look.
    fn rest(&self, key: &Key, target: Target, interval: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        let before = state.agenda.next_due();
        state.agenda.rest(key, target, interval, now);
        let sooner = state.agenda.next_due().is_some_and(|due| before.is_none_or(|before| due < before));
        drop(state);
        if sooner {
            self.called.notify_one();
        }
    }

    /// It is looked at as soon as nothing more pressing is to be done. False if no look at it is to come.
    fn hasten(&self, key: &Key) -> bool {
        let found = self.lock().agenda.hasten(key, Instant::now());
        if found {
            self.called.notify_one();
        }
        found
    }

    /// Nothing is looked at for this object any more.
    fn forget(&self, key: &Key) {
        self.lock().agenda.forget(key);
    }

    /// Plans the next poll of an object. Returns after how long it is to be reconciled in any case.
    fn settle(&self, key: &Key, rest: Rest) -> Option<Duration> {
        settle(rest, || self.forget(key), |target, interval| self.rest(key, target, interval))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        // After a start the objects may be listed before their connections. Without its connection no tenant can be
        // looked at, and each object would be worked on for it.
        self.context.connections.settled(self.connection.namespace()).await;
        loop {
            match self.step() {
                Step::Take { only_urgent } => {
                    tokio::time::sleep(GATHERING_URGENT).await;
                    self.take(only_urgent);
                }
                Step::Gather => {
                    self.gather().await;
                    self.take(false);
                }
                Step::Wait(Some(at)) => drop(timeout_at(at, self.called.notified()).await),
                Step::Wait(None) => self.called.notified().await,
            }
        }
    }

    fn step(&self) -> Step {
        let now = Instant::now();
        let state = self.lock();
        let (urgent, wanted) = state.agenda.waiting();
        let due = state.agenda.next_due();
        let resumes = state.paused_until.filter(|until| *until > now);
        let is_due = resumes.is_none() && due.is_some_and(|due| due <= now);
        let room = self.others_out.load(Ordering::Relaxed) < MOST_OTHERS;
        let idle = self.queue.backlog(Lane::Bulk, &self.connection) < ENOUGH_WORK;
        if urgent > 0 && self.urgent_out.load(Ordering::Relaxed) < MOST_URGENT {
            return Step::Take { only_urgent: !(room && idle) };
        }
        let others = wanted > 0 || is_due;
        if others && room && idle {
            return Step::Gather;
        }
        if others && room {
            return Step::Wait(Some(now + NO_ROOM));
        }
        // A request that ends calls as well.
        Step::Wait(due.map(|due| resumes.map_or(due, |resumes| due.max(resumes))).filter(|_| !others))
    }

    /// Waits for others to go along, as long as more come. Whoever somebody waits for ends it.
    async fn gather(&self) {
        let mut before = None;
        for _ in 0..GATHERINGS {
            let (urgent, wanted, is_full) = {
                let agenda = &self.lock().agenda;
                let (urgent, wanted) = agenda.waiting();
                (urgent, wanted, agenda.has_full_batch())
            };
            if urgent > 0 || is_full || before == Some(wanted) {
                return;
            }
            before = Some(wanted);
            tokio::time::sleep(GATHERING).await;
        }
    }

    fn take(self: &Arc<Self>, only_urgent: bool) {
        let batch = self.lock().agenda.take(Instant::now(), only_urgent, rand::rng().random());
        if !batch.is_empty() {
            self.send(batch);
        }
    }

    /// Looks at a batch, in a task of its own, so that a slow answer keeps no other waiting.
    fn send(self: &Arc<Self>, batch: Batch) {
        let Batch { number, ids, names, urgent } = batch;
        for (key, name) in names {
            let poller = self.clone();
            tokio::spawn(async move {
                poller.look_for(key, number, name).await;
                // There is room for another name.
                poller.called.notify_one();
            });
        }
        if ids.is_empty() {
            return;
        }
        let under_way = UnderWay::begin(self.clone(), urgent);
        let lane = if urgent { PlatformPriority::Interactive } else { PlatformPriority::Background };
        tokio::spawn(async move { under_way.poller.look_at(ids, number, lane).await });
    }

    /// The way to the platform as it is now. `None`: it is closed, and the objects' own passes say why.
    async fn way(&self) -> Option<Way> {
        let context = &self.context;
        let connection = match context.connections.get(self.connection.namespace(), self.connection.name()) {
            Some(cached) => cached,
            None => self.stored().await?,
        };
        let handle = context.registry.open(connection.0.as_ref().ok()?).ok()?;
        Some(Way { handle, connection })
    }

    /// The connection as the API server has it, for one that was created just now or is in a namespace that is not
    /// watched. One read serves the batches of a moment.
    async fn stored(&self) -> Option<Cached> {
        let recent = self.lock().stored.clone().filter(|(at, _)| at.elapsed() < STORED_HOLDS);
        if let Some((_, connection)) = recent {
            return Some(connection);
        }
        let at = Instant::now();
        let read = pricing::stored_connection(&self.context, &self.connection).await.ok()?;
        let connection = Arc::new(DeserializeGuard(Ok(read)));
        self.lock().stored = Some((at, connection.clone()));
        Some(connection)
    }
}

/// Plans the next poll of an object, or forgets it if it is not polled. Returns after how long it is to be reconciled
/// in any case.
fn settle(rest: Rest, forget: impl FnOnce(), schedule: impl FnOnce(Target, Duration)) -> Option<Duration> {
    let Rest { target, poll, again, failures, .. } = rest;
    let interval = match again {
        Again::Poll | Again::Turn | Again::Proof | Again::After(_) => poll,
        Again::Daily => DAY,
        Again::Backoff | Again::OnChange | Again::Recheck => {
            forget();
            return pricing::pause(again, failures, poll);
        }
    };
    // Without anything to read it is reconciled an interval later.
    let Some(target) = target else { return Some(interval) };
    schedule(target, interval);
    pricing::pause(again, failures, poll)
}

/// A connection as a watch or a read brought it.
type Cached = Arc<DeserializeGuard<PlatformConnection>>;

/// The way to the platform, and the connection that opened it.
#[derive(Clone)]
struct Way {
    handle: Handle,
    connection: Cached,
}

/// A request under way, counted until it ends, however it ends.
struct UnderWay {
    poller: Arc<Poller>,
    urgent: bool,
}

impl UnderWay {
    fn begin(poller: Arc<Poller>, urgent: bool) -> Self {
        let request = Self { poller, urgent };
        request.counter().fetch_add(1, Ordering::Relaxed);
        request
    }

    fn counter(&self) -> &AtomicUsize {
        if self.urgent { &self.poller.urgent_out } else { &self.poller.others_out }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
        self.poller.called.notify_one();
    }
}
