//! Exponential backoff: pauses that grow from one failure to the next.

use std::time::Duration;

use rand::RngExt;

/// How pauses grow: a limit that doubles with each failure in a row, between two bounds.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    min: Duration,
    initial: Duration,
    max: Duration,
}

impl Backoff {
    /// The limit is twice `initial` after the first failure, and never more than `max`. No pause is shorter than
    /// `min`, which wins over `max`.
    #[must_use]
    pub const fn new(min: Duration, initial: Duration, max: Duration) -> Self {
        Self { min, initial, max }
    }

    /// The longest pause after this number of failures in a row.
    #[must_use]
    pub fn limit(&self, failures: u32) -> Duration {
        let doubled = self.initial.saturating_mul(2_u32.saturating_pow(failures));
        doubled.min(self.max).max(self.min)
    }

    /// A pause after this number of failures in a row, at random up to the limit (full jitter). So clients that failed
    /// together do not retry together.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        rand::rng().random_range(self.min..=self.limit(failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff::new(Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(60));

    #[test]
    fn the_limit_doubles_up_to_the_maximum() {
        for (failures, seconds) in [(0, 2), (1, 4), (2, 8), (4, 32), (5, 60), (u32::MAX, 60)] {
            assert_eq!(BACKOFF.limit(failures), Duration::from_secs(seconds), "{failures} failures");
        }
    }

    #[test]
    fn a_pause_lies_between_the_minimum_and_the_limit() {
        for failures in [0, 1, 3, 20] {
            for _ in 0..200 {
                let pause = BACKOFF.pause(failures);
                assert!(pause >= BACKOFF.min && pause <= BACKOFF.limit(failures), "{failures}: {pause:?}");
            }
        }
    }

    #[test]
    fn the_minimum_wins_over_a_smaller_maximum() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(2), Duration::ZERO);
        assert_eq!(backoff.pause(9), Duration::from_secs(1));
    }
}
