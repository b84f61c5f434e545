//! The rate limit of a client, and which request goes first.

use std::{num::NonZeroU32, time::Duration};

use governor::{Quota, RateLimiter as GovernorLimiter, clock::Clock, middleware, state};
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as FairMutex, Notify},
    time::{Instant, sleep},
};

use crate::string_enum::string_enum;

string_enum! {
    /// How urgent a request is while it waits for the rate limit.
    #[derive(Default)]
    Priority {
        /// A person or a switch waits for the request.
        #[default]
        Interactive = "interactive",
        /// The request may wait for interactive ones: periodic reads, and name searches in bulk.
        Background = "background",
    }
}

/// While both priorities wait, one request in this number is a background one. So an interactive request waits for at
/// most one background request, and ten thousand due switches do not stop the periodic reads.
const BACKGROUND_SHARE: u32 = 10;

/// Limits the requests per second, with a burst of one second's worth: at most `(t + 1)` times the rate in `t` seconds.
///
/// Each class is served first come, first served. Only the first waiter of a class competes for the next permit, so
/// only that one needs to be notified.
pub(in crate::platform) struct RateLimiter {
    queues: [FairMutex<()>; 3],
    state: Mutex<State>,
    /// A waiter got its permit or gave up: another class may go first now.
    changed: Notify,
}

/// The priorities, and the class that no caller can choose.
#[derive(Clone, Copy)]
pub(in crate::platform) enum Class {
    /// The token request, before all others, because they need the token.
    Token,
    Interactive,
    Background,
}

struct State {
    rate: NonZeroU32,
    limiter: Limiter,
    /// The number of waiters by class.
    waiting: [usize; 3],
    /// The number of interactive requests in a row that passed while a background one waited.
    interactive_in_a_row: u32,
}

type Limiter = GovernorLimiter<
    state::NotKeyed,
    state::InMemoryState,
    RuntimeClock,
    middleware::NoOpMiddleware<<RuntimeClock as Clock>::Instant>,
>;

/// The runtime's monotonic clock, which stands still with a test's.
#[derive(Clone, Copy)]
struct RuntimeClock(Instant);

/// What the first waiter of a class has to do.
enum Decision {
    Go,
    WaitFor(Duration),
    /// Another class goes first.
    Yield,
}

impl RateLimiter {
    pub(in crate::platform) fn new(rate: NonZeroU32) -> Self {
        let limiter = limiter(rate);
        let state = Mutex::new(State { rate, limiter, waiting: [0; 3], interactive_in_a_row: 0 });
        Self { queues: Default::default(), state, changed: Notify::new() }
    }

    /// Changes the rate. Each change starts without a burst, so that a series of edits cannot exceed the rate.
    pub(in crate::platform) fn set_rate(&self, rate: NonZeroU32) {
        let mut state = self.state.lock();
        if state.rate != rate {
            state.rate = rate;
            state.limiter = limiter(rate);
            // This empties a new limiter: the burst is as large as the rate.
            let _ = state.limiter.check_n(rate);
        }
    }

    /// Waits for this number of permits, taken one after the other without giving up the place in the queue.
    ///
    /// `check` is asked before each. When it fails, the wait ends, and no further permit is used.
    pub(in crate::platform) async fn acquire<E>(
        &self,
        class: Class,
        permits: u32,
        check: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        let _waiting = Waiting::new(self, class);
        let _turn = self.queues[class as usize].lock().await;
        let mut missing = permits;
        while missing > 0 {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registers now, and not at the first poll, so that no change is missed.
            changed.as_mut().enable();
            check()?;
            let decision = self.state.lock().decide(class);
            match decision {
                Decision::Go => {
                    missing -= 1;
                    self.changed.notify_waiters();
                }
                Decision::WaitFor(time) => sleep(time).await,
                Decision::Yield => changed.await,
            }
        }
        Ok(())
    }
}

impl State {
    fn decide(&mut self, class: Class) -> Decision {
        let waits = |class: Class| self.waiting[class as usize] > 0;
        let background_is_due = self.interactive_in_a_row + 1 >= BACKGROUND_SHARE;
        let yields = match class {
            Class::Token => false,
            Class::Interactive => waits(Class::Token) || (waits(Class::Background) && background_is_due),
            Class::Background => waits(Class::Token) || (waits(Class::Interactive) && !background_is_due),
        };
        let background_waits = waits(Class::Background);
        if yields {
            return Decision::Yield;
        }
        if let Err(early) = self.limiter.check() {
            return Decision::WaitFor(early.wait_time_from(self.limiter.clock().now()));
        }
        self.interactive_in_a_row = match class {
            Class::Interactive if background_waits => self.interactive_in_a_row + 1,
            Class::Interactive | Class::Background => 0,
            Class::Token => self.interactive_in_a_row,
        };
        Decision::Go
    }
}

/// Counts one waiter until it gets its permits or gives up.
struct Waiting<'a> {
    limiter: &'a RateLimiter,
    class: Class,
}

impl<'a> Waiting<'a> {
    fn new(limiter: &'a RateLimiter, class: Class) -> Self {
        limiter.state.lock().waiting[class as usize] += 1;
        Self { limiter, class }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.limiter.state.lock().waiting[self.class as usize] -= 1;
        self.limiter.changed.notify_waiters();
    }
}

fn limiter(rate: NonZeroU32) -> Limiter {
    Limiter::direct_with_clock(Quota::per_second(rate), RuntimeClock(Instant::now()))
}

impl Clock for RuntimeClock {
    /// The time since this clock was made.
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl From<Priority> for Class {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Interactive => Self::Interactive,
            Priority::Background => Self::Background,
        }
    }
}
