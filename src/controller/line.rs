//! Gives switches that are due their turn, connection by connection, within its pace and its budget.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{work_queue::Lane, workers::Shared};
use crate::{
    cluster::Key,
    pricing::{
        self, Brought, Limits, Taken, Turn,
        budget::{Standing, Users},
        line::Line,
    },
};

/// A budget that is used up is looked at again no sooner, however soon there should be room: its instants have
/// whole seconds.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// And no later, however far off that room is: a wall clock may be moved while this waits by the monotonic one.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An object gets another time when the one that it has is past by this much. Until then its turn may just come.
const OVERDUE: SignedDuration = SignedDuration::from_secs(2);

/// Who waits for no longer than this need not say so: one status more for each of a hundred switches would make
/// all of them slower.
const NOT_WORTH_A_WORD: Duration = Duration::from_secs(1);

/// The lines of all connections.
#[derive(Default)]
pub(super) struct Lines {
    all: Mutex<HashMap<Key, Arc<Moving>>>,
}

/// Who has entered a line and has not been told that it has to wait.
struct Entered {
    look: Taken,
    at: Instant,
    /// When its turn comes at the earliest, as its status says.
    said: Option<Timestamp>,
}

/// The line of one connection, and what is brought by those who have just entered it.
struct Moving {
    line: Line,
    entered: Mutex<HashMap<Key, Entered>>,
    /// Who has been told to wait for others. If the budget is used up before their turn, they are to say that.
    behind_others: Mutex<HashSet<Key>>,
    /// When its turn comes at the earliest, as the status of each object says that waits for the budget.
    promised: Mutex<HashMap<Key, Timestamp>>,
    /// As the pass that entered last knew them, for a connection that is not cached.
    limits: Mutex<Limits>,
    called: tokio::sync::Notify,
    closed: CancellationToken,
}

impl Lines {
    /// A switch is due. Its object is worked on when its turn has come; and before, with what keeps it, if it has
    /// to wait.
    pub(super) fn enter(
        &self,
        shared: &Arc<Shared>,
        connection: &Key,
        key: &Key,
        (due, said, look): (Timestamp, Option<Timestamp>, Taken),
        limits: Limits,
    ) {
        let moving = {
            let mut all = self.lock();
            // Whose connection was edited has its place in one line only.
            all.iter().filter(|(of, _)| *of != connection).for_each(|(_, other)| other.leave(key));
            let start = || Moving::start(connection.clone(), limits, shared);
            all.entry(connection.clone()).or_insert_with(start).clone()
        };
        *lock(&moving.limits) = limits;
        // In this order: who has brought something is told, if its place is not the first.
        moving.line.enter(key, due);
        lock(&moving.entered).insert(key.clone(), Entered { look, at: Instant::now(), said });
        moving.called.notify_one();
    }

    /// An object has nothing to wait for any more.
    pub(super) fn leave(&self, key: &Key) {
        for moving in self.lock().values() {
            moving.leave(key);
        }
    }

    /// A connection is gone.
    pub(super) fn close(&self, connection: &Key) {
        if let Some(moving) = self.lock().remove(connection) {
            moving.closed.cancel();
        }
    }

    /// Nothing is due any more for whoever asks here.
    pub(super) fn close_all(&self) {
        self.lock().drain().for_each(|(_, moving)| moving.closed.cancel());
    }

    /// What a connection's limits allow may have changed.
    pub(super) fn limits_changed(&self, connection: &Key) {
        if let Some(moving) = self.lock().get(connection) {
            moving.called.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Moving>>> {
        lock(&self.all)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Moving {
    fn start(connection: Key, limits: Limits, shared: &Arc<Shared>) -> Arc<Self> {
        let closed = shared.context.stopping.child_token();
        let moving = Arc::new(Self {
            line: Line::default(),
            entered: Mutex::default(),
            behind_others: Mutex::default(),
            promised: Mutex::default(),
            limits: Mutex::new(limits),
            called: tokio::sync::Notify::new(),
            closed: closed.clone(),
        });
        let (running, shared) = (moving.clone(), shared.clone());
        tokio::spawn(async move { closed.run_until_cancelled(running.run(connection, shared)).await });
        moving
    }

    fn leave(&self, key: &Key) {
        self.line.leave(key);
        lock(&self.entered).remove(key);
        lock(&self.behind_others).remove(key);
        lock(&self.promised).remove(key);
    }

    async fn run(self: Arc<Self>, connection: Key, shared: Arc<Shared>) {
        loop {
            let standing = self.grant(&connection, &shared);
            let tell_at = self.tell(&standing, &shared);
            let telling = async {
                match tell_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let room = async {
                let next = match &standing {
                    Standing::Exhausted(account) => account.next(0),
                    Standing::Room => None,
                };
                match next {
                    Some(next) => {
                        let wait = next.duration_since(shared.context.clock.now());
                        let wait = Duration::try_from(wait).unwrap_or_default();
                        tokio::time::sleep(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.line.moved() => {}
                () = self.called.notified() => {}
                () = room => {}
                () = telling => {}
            }
        }
    }

    /// Gives their turn to as many as may have it. Returns how the budget stands for the next.
    fn grant(&self, connection: &Key, shared: &Arc<Shared>) -> Standing {
        let context = &shared.context;
        let cached = context.connections.get(connection.namespace(), connection.name());
        let cached = cached.as_ref().and_then(|cached| cached.0.as_ref().ok());
        let limits = cached.map_or_else(|| *lock(&self.limits), Limits::of);
        let clocks = context.clocks(connection);
        loop {
            let granted = self.line.grant(limits.most_at_once(), |_, reserved| {
                let now = Instant::now();
                pricing::account(&context.index, connection, limits.budget, reserved, clocks, now).standing()
            });
            let Some((key, ticket)) = granted.ticket else { return granted.standing };
            lock(&self.behind_others).remove(&key);
            lock(&self.promised).remove(&key);
            let look = lock(&self.entered).remove(&key).map(|entered| entered.look);
            let ticket = Some((connection.clone(), ticket));
            shared.queue.push(&key, Lane::Turn, Brought { look, ticket, ..Brought::default() });
        }
    }

    /// Tells those who have to wait what they wait for. Returns when there is more to tell.
    fn tell(&self, standing: &Standing, shared: &Shared) -> Option<Instant> {
        let now = Instant::now();
        let is_short = |entered: &Entered| *standing == Standing::Room && now < entered.at + NOT_WORTH_A_WORD;
        let mut waiting = lock(&self.entered);
        let told: Vec<_> = waiting.extract_if(|_, entered| !is_short(entered)).collect();
        let next = waiting.values().map(|entered| entered.at + NOT_WORTH_A_WORD).min();
        drop(waiting);
        let mut users = HashMap::new();
        for (key, Entered { look, said, .. }) in told {
            let Some(ahead) = self.line.position(&key) else { continue };
            let turn = match standing {
                Standing::Room => {
                    lock(&self.behind_others).insert(key.clone());
                    Turn::Waits { ahead }
                }
                Standing::Exhausted(account) => {
                    let of_its_namespace = || account.users(key.namespace());
                    let users: &Users =
                        users.entry(key.namespace().to_owned()).or_insert_with(of_its_namespace);
                    let exhausted = account.exhausted_by(users.clone(), ahead);
                    let stays = said.filter(|said| *said > shared.context.clock.now());
                    if let Some(promised) = stays.or(exhausted.next) {
                        lock(&self.promised).insert(key.clone(), promised);
                    }
                    Turn::Exhausted(exhausted)
                }
            };
            let brought = Brought { look: Some(look), turn: Some(turn), ..Brought::default() };
            shared.queue.push(&key, Lane::Bulk, brought);
        }
        if *standing != Standing::Room {
            // They are looked at again, and come back to their places to be told.
            let mut again = std::mem::take(&mut *lock(&self.behind_others));
            // So do those whose time has passed: each gets another one, once.
            let overdue = shared.context.clock.now() - OVERDUE;
            again.extend(
                lock(&self.promised).extract_if(|_, promised| *promised < overdue).map(|(key, _)| key),
            );
            for key in again {
                shared.queue.push(&key, Lane::Bulk, Brought::default());
            }
        }
        next
    }
}
