//! Whether a lease of a certain age leaves time for a request. Pure: the model (`src/model`) calls the same function.

use std::time::Duration;

use jiff::SignedDuration;

use super::{LEASE_DURATION, MARGIN};
use crate::clock::longer;

/// Whether an operation of at most `limit` that begins now ends at least two seconds before another process could lead.
/// `elapsed` and `wall_elapsed` are the time since the start of the last successful renewal, by both clocks.
pub(crate) fn has_time(elapsed: Duration, wall_elapsed: SignedDuration, limit: Duration) -> bool {
    longer(elapsed, wall_elapsed).saturating_add(limit).saturating_add(MARGIN) <= LEASE_DURATION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_says_more_counts() {
        let has_time = |elapsed, wall_elapsed| {
            let wall_elapsed = SignedDuration::from_millis(wall_elapsed);
            has_time(Duration::from_millis(elapsed), wall_elapsed, Duration::from_secs(8))
        };
        assert!(has_time(5000, 0) && has_time(0, 5000), "15 s - 2 s - 8 s");
        assert!(!has_time(5001, 0) && !has_time(0, 5001));
        assert!(has_time(5000, -60_000) && !has_time(5001, -60_000), "it was set back");
    }

    #[test]
    fn any_age_and_any_limit_give_an_answer() {
        assert!(!has_time(Duration::MAX, SignedDuration::MAX, Duration::MAX));
        assert!(has_time(Duration::ZERO, SignedDuration::MIN, Duration::ZERO));
    }
}
