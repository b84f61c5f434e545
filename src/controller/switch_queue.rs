//! The switch queue of one connection. Due switches wait here for its rate limit and its budget, ordered by the instant
//! at which they became due.
//!
//! One lock guards the whole state: the order of the waiting objects, what each of them has to report, and the permits
//! in use. So an object is never reported to wait after it was admitted, and an object that has left is in no part of
//! the queue.

mod dispatcher;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

pub(super) use dispatcher::Dispatchers;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{
    cluster::Key,
    pricing::{
        Limits, PermitIssuer, QueueState, ReconcileRequest, SwitchPermit, TimedRead,
        budget::{BudgetStatus, Users},
    },
};

/// A shorter wait is not reported: one more status write for each of a hundred switches would slow them all down.
const MIN_REPORTED_WAIT: Duration = Duration::from_secs(1);

/// An object is reconciled again when the time in its status has passed by this much. Until then its admission may be
/// in progress.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// The switch queue of one connection. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
struct SwitchQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// A switch that is due.
#[derive(Debug)]
pub(super) struct DueSwitch {
    /// When it became due, or due again after a failure.
    pub due: Timestamp,
    /// The earliest start that its status names, if any.
    pub said: Option<Timestamp>,
    /// The read that its reconcile decided on.
    pub read: TimedRead,
}

/// The state of the waiting objects, and the permits in use.
///
/// Every object in a map or set here is in `waiting`: [`State::remove`] is the only way out.
#[derive(Debug)]
struct State {
    /// The waiting objects, sorted. Even with ten thousand of them an insertion moves only a few hundred kilobytes, and
    /// a binary search finds the position of each.
    waiting: VecDeque<(Timestamp, Key)>,
    /// When each of them became due.
    due: HashMap<Key, Timestamp>,
    /// The objects whose status does not yet say that they wait.
    unreported: HashMap<Key, Unreported>,
    /// The objects whose status says that they wait for others. If the budget is used up before their admission, the
    /// status has to say that.
    behind_others: HashSet<Key>,
    /// The earliest start that is reported for each object that waits for the budget.
    promised: HashMap<Key, Timestamp>,
    /// The limits that the last reconcile to enter knew, for a connection that is not cached.
    limits: Limits,
    permits_out: usize,
    /// The number of permits whose attempt is not announced yet.
    reserved: u32,
}

#[derive(Debug)]
struct Unreported {
    read: TimedRead,
    entered_at: Instant,
    said: Option<Timestamp>,
}

/// Whether the head of the queue gets a permit.
#[derive(Debug)]
struct PermitDecision {
    /// The head of the queue, if it may start.
    admitted: Option<Admitted>,
    /// What the budget allows the head of the queue.
    budget: BudgetStatus,
}

/// An object that may start its switch. It no longer waits.
#[derive(Debug)]
struct Admitted {
    key: Key,
    /// The read it entered with, unless its wait was reported since.
    read: Option<TimedRead>,
    permit: SwitchPermit,
}

/// The objects to reconcile because they wait.
#[derive(Debug)]
struct Reports {
    reports: Vec<(Key, ReconcileRequest)>,
    /// When there is more to report, if nothing changes before.
    next: Option<Instant>,
}

impl SwitchQueue {
    fn new(limits: Limits) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            due: HashMap::new(),
            unreported: HashMap::new(),
            behind_others: HashSet::new(),
            promised: HashMap::new(),
            limits,
            permits_out: 0,
            reserved: 0,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Queues an object whose switch is due. An object that already waits keeps the earlier place, and its new data is
    /// reported.
    fn enter(&self, key: &Key, switch: DueSwitch, limits: Limits, now: Instant) {
        let DueSwitch { due, said, read } = switch;
        let mut state = self.shared.state.lock();
        state.limits = limits;
        state.place(key, due);
        state.unreported.insert(key.clone(), Unreported { read, entered_at: now, said });
        drop(state);
        self.notify();
    }

    /// Removes an object from the queue, if it is there.
    fn leave(&self, key: &Key) {
        let left = self.shared.state.lock().remove(key).is_some();
        if left {
            self.notify();
        }
    }

    /// The limits that the last object to enter knew.
    fn limits(&self) -> Limits {
        self.shared.state.lock().limits
    }

    /// Admits the head of the queue if fewer than `most` permits are in use and the budget has room. `room` returns
    /// what the budget allows the head while this number of other attempts is about to be announced. It is not called
    /// if nothing waits, and must not call the queue.
    #[must_use]
    fn admit(&self, most: usize, room: impl FnOnce(&Key, u32) -> BudgetStatus) -> PermitDecision {
        let mut state = self.shared.state.lock();
        let Some((_, head)) = state.waiting.front().cloned() else {
            return PermitDecision { admitted: None, budget: BudgetStatus::Room };
        };
        // Called under the lock, so an attempt that is announced meanwhile is counted at least once.
        let budget = room(&head, state.reserved);
        if budget != BudgetStatus::Room || state.permits_out >= most {
            return PermitDecision { admitted: None, budget };
        }
        let read = state.remove(&head).and_then(|left| left.read);
        state.permits_out += 1;
        state.reserved += 1;
        let permit = SwitchPermit::new(self.shared.clone());
        PermitDecision { admitted: Some(Admitted { key: head, read, permit }), budget }
    }

    /// The objects that have to report their wait, given what the budget allows the head of the queue. `clock` is the
    /// controller's wall clock. The returned objects count as reported.
    #[must_use]
    fn report(&self, budget: &BudgetStatus, now: Instant, clock: Timestamp) -> Reports {
        self.shared.state.lock().report(budget, now, clock)
    }

    /// Makes the dispatcher check the queue again.
    fn notify(&self) {
        self.shared.changed.notify_one();
    }

    /// Waits for an event since the last wait: an object entered or left, a permit was given back, or [`Self::notify`]
    /// was called. For one waiter.
    async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

impl PermitIssuer for Shared {
    fn reserved(&self) -> u32 {
        self.state.lock().reserved
    }

    fn commit(&self) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
    }

    fn release(&self) {
        let mut state = self.state.lock();
        state.permits_out = state.permits_out.saturating_sub(1);
        drop(state);
        self.changed.notify_one();
    }
}

/// An object that was removed from the queue.
struct Left {
    read: Option<TimedRead>,
}

impl State {
    /// Gives an object its place, unless it has an earlier one.
    fn place(&mut self, key: &Key, due: Timestamp) {
        if self.due.get(key).is_some_and(|earlier| *earlier <= due) {
            return;
        }
        self.displace(key);
        let place = (due, key.clone());
        let at = self.waiting.partition_point(|other| *other < place);
        self.waiting.insert(at, place);
        self.due.insert(key.clone(), due);
    }

    fn displace(&mut self, key: &Key) -> bool {
        let left = self.position(key).and_then(|at| self.waiting.remove(at)).is_some();
        self.due.remove(key);
        left
    }

    /// Removes an object with the state of its wait. `None`: it does not wait.
    fn remove(&mut self, key: &Key) -> Option<Left> {
        if !self.displace(key) {
            return None;
        }
        self.behind_others.remove(key);
        self.promised.remove(key);
        Some(Left { read: self.unreported.remove(key).map(|unreported| unreported.read) })
    }

    /// The number of objects that wait before this one. `None` if it does not wait.
    fn position(&self, key: &Key) -> Option<usize> {
        let place = (*self.due.get(key)?, key.clone());
        self.waiting.binary_search(&place).ok()
    }

    fn report(&mut self, budget: &BudgetStatus, now: Instant, clock: Timestamp) -> Reports {
        let is_short = |entered: &Unreported| {
            *budget == BudgetStatus::Room && now < entered.entered_at + MIN_REPORTED_WAIT
        };
        let ripe: Vec<_> = self.unreported.extract_if(|_, entered| !is_short(entered)).collect();
        let next = self.unreported.values().map(|entered| entered.entered_at + MIN_REPORTED_WAIT).min();
        let mut users = HashMap::new();
        let mut reports = Vec::with_capacity(ripe.len());
        for (key, Unreported { read, said, .. }) in ripe {
            let Some(ahead) = self.position(&key) else { continue };
            let queue_state = match budget {
                BudgetStatus::Room => {
                    self.behind_others.insert(key.clone());
                    QueueState::Waits { ahead }
                }
                BudgetStatus::Exhausted(account) => {
                    let of_its_namespace = || account.users(key.namespace());
                    let users: &Users =
                        users.entry(key.namespace().to_owned()).or_insert_with(of_its_namespace);
                    let exhausted = account.exhausted_by(users.clone(), ahead);
                    let stays = said.filter(|said| *said > clock);
                    if let Some(promised) = stays.or(exhausted.next) {
                        self.promised.insert(key.clone(), promised);
                    }
                    QueueState::Exhausted(exhausted)
                }
            };
            reports.push((
                key,
                ReconcileRequest {
                    read: Some(read),
                    queue_state: Some(queue_state),
                    ..ReconcileRequest::default()
                },
            ));
        }
        if *budget != BudgetStatus::Room {
            // Objects that reported to wait for others are reconciled again. They return to their places, and report
            // the budget.
            let behind_others = std::mem::take(&mut self.behind_others);
            // So are objects whose reported time has passed: each gets a new time, once.
            let overdue = self.promised.extract_if(|_, promised| *promised < clock - OVERDUE_AFTER);
            let again: HashSet<_> = behind_others.into_iter().chain(overdue.map(|(key, _)| key)).collect();
            reports.extend(again.into_iter().map(|key| (key, ReconcileRequest::default())));
        }
        Reports { reports, next }
    }
}

#[cfg(test)]
mod tests;
