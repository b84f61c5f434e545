//! The clock of the simulated platform: it can be set, and continues from there in real time.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// A wall clock that differs from the machine's once it is set.
#[derive(Debug)]
pub(crate) struct MovableClock {
    base: Timestamp,
    since: Instant,
}

impl MovableClock {
    /// A clock that reads `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { base: start, since: Instant::now() }
    }

    /// The present instant. Stays at the last instant that can be represented rather than overflow.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        self.base.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Sets the clock to `now`.
    pub fn set(&mut self, now: Timestamp) {
        *self = Self::starting_at(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_on_from_where_it_was_set() {
        let start: Timestamp = "2026-11-30T23:59:59Z".parse().unwrap();
        let mut clock = MovableClock::starting_at(Timestamp::UNIX_EPOCH);
        clock.set(start);
        let first = clock.now();
        assert!(first >= start && first < start + SignedDuration::from_secs(60));
        assert!(clock.now() >= first);
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let clock = MovableClock::starting_at(Timestamp::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
