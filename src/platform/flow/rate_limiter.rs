//! The pace of a client: so many requests in a second, and who goes first.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{Quota, RateLimiter, clock::Clock, middleware, state};
use tokio::{
    sync::{Mutex as Turn, Notify},
    time::{Instant, sleep},
};

/// How urgent a request is while the pace holds it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for it: an edited object, a switch and what belongs to it.
    #[default]
    Urgent,
    /// It can wait for what is urgent: periodic looks, the search for names in numbers.
    Bulk,
}

/// While both lanes wait, one request of so many is a bulk one: an urgent one waits for one bulk request at
/// most, and the drain of ten thousand switches does not bring the periodic looks to a stand.
const SHARE: u32 = 10;

/// Lets through as many requests in a second as were agreed upon, with a burst of one second's worth: in `t`
/// seconds no more than `(t + 1)` times the rate.
///
/// Within a lane it is first come, first served. Of each lane only the first contends for the next place, so
/// nothing but that first one has to be told when its turn comes.
pub(in crate::platform) struct Pace {
    turns: [Turn<()>; 3],
    state: Mutex<State>,
    /// Somebody was let through, or has gone: another lane may have its turn.
    changed: Notify,
}

/// The lanes with the one that is nobody's to choose.
#[derive(Clone, Copy)]
pub(in crate::platform) enum Rank {
    /// Before all others: the token, which they need.
    First,
    Urgent,
    Bulk,
}

struct State {
    rate: NonZeroU32,
    limiter: Limiter,
    /// By rank.
    waiting: [usize; 3],
    /// So many urgent requests were let through one after the other while a bulk one waited.
    urgent_in_a_row: u32,
}

type Limiter = RateLimiter<
    state::NotKeyed,
    state::InMemoryState,
    RuntimeClock,
    middleware::NoOpMiddleware<<RuntimeClock as Clock>::Instant>,
>;

/// The runtime's monotonic clock, which stands still with a test's.
#[derive(Clone, Copy)]
struct RuntimeClock(Instant);

/// What the first of a lane is told.
enum Told {
    Go,
    WaitFor(Duration),
    /// Another lane goes first.
    Yield,
}

impl Pace {
    pub(in crate::platform) fn new(rate: NonZeroU32) -> Self {
        let limiter = limiter(rate);
        let state = Mutex::new(State { rate, limiter, waiting: [0; 3], urgent_in_a_row: 0 });
        Self { turns: Default::default(), state, changed: Notify::new() }
    }

    /// Changes the pace. Every change begins without a burst, so that no series of edits gets past the pace.
    pub(in crate::platform) fn set_rate(&self, rate: NonZeroU32) {
        let mut state = self.state();
        if state.rate != rate {
            state.rate = rate;
            state.limiter = limiter(rate);
            // It is as large as the burst, so there is always enough to take away.
            let _ = state.limiter.check_n(rate);
        }
    }

    /// Waits until so many requests may be sent, whose places are taken one after the other in a single turn.
    /// `check` says whether they still may be sent at all: when that ends, so does the waiting, and no further
    /// place is used up.
    pub(in crate::platform) async fn permit<E>(
        &self,
        rank: Rank,
        places: u32,
        check: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        let _waiting = Waiting::new(self, rank);
        let _turn = self.turns[rank as usize].lock().await;
        let mut missing = places;
        while missing > 0 {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on, and not only from the first poll, so that no change is missed.
            changed.as_mut().enable();
            check()?;
            let told = self.state().ask(rank);
            match told {
                Told::Go => {
                    missing -= 1;
                    self.changed.notify_waiters();
                }
                Told::WaitFor(time) => sleep(time).await,
                Told::Yield => changed.await,
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, rank: Rank) -> Told {
        let waits = |rank: Rank| self.waiting[rank as usize] > 0;
        let turn_of_bulk = self.urgent_in_a_row + 1 >= SHARE;
        let yields = match rank {
            Rank::First => false,
            Rank::Urgent => waits(Rank::First) || (waits(Rank::Bulk) && turn_of_bulk),
            Rank::Bulk => waits(Rank::First) || (waits(Rank::Urgent) && !turn_of_bulk),
        };
        let bulk_waits = waits(Rank::Bulk);
        if yields {
            return Told::Yield;
        }
        if let Err(early) = self.limiter.check() {
            return Told::WaitFor(early.wait_time_from(self.limiter.clock().now()));
        }
        self.urgent_in_a_row = match rank {
            Rank::Urgent if bulk_waits => self.urgent_in_a_row + 1,
            Rank::Urgent | Rank::Bulk => 0,
            Rank::First => self.urgent_in_a_row,
        };
        Told::Go
    }
}

/// Counts one that waits, until it is let through or gives up.
struct Waiting<'a> {
    pace: &'a Pace,
    rank: Rank,
}

impl<'a> Waiting<'a> {
    fn new(pace: &'a Pace, rank: Rank) -> Self {
        pace.state().waiting[rank as usize] += 1;
        Self { pace, rank }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pace.state().waiting[self.rank as usize] -= 1;
        self.pace.changed.notify_waiters();
    }
}

fn limiter(rate: NonZeroU32) -> Limiter {
    Limiter::direct_with_clock(Quota::per_second(rate), RuntimeClock(Instant::now()))
}

impl Clock for RuntimeClock {
    /// Since the clock was made.
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl From<Lane> for Rank {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Urgent => Self::Urgent,
            Lane::Bulk => Self::Bulk,
        }
    }
}
