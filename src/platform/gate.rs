//! The pause that the platform asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ErrorClass, PlatformError};

/// Closed while a pause is on, for every call of a client: a 429 speaks of the client, not of the call.
///
/// Measured on the monotonic clock, which no adjustment moves.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pause: Mutex<Option<Pause>>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    status: u16,
}

impl Gate {
    /// Closes the gate after an answer with `status`. A pause that is on is never shortened.
    pub(super) fn close_for(&self, length: Duration, status: u16) {
        let until = Instant::now() + length;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if pause.is_none_or(|pause| pause.until < until) {
            *pause = Some(Pause { until, status });
        }
    }

    /// Fails during a pause, with the time that is left.
    pub(super) fn check(&self, operation: &str) -> Result<(), PlatformError> {
        let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pause) = pause else { return Ok(()) };
        let left = pause.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        Err(PlatformError::new(operation, ErrorClass::Throttled)
            .with_status(pause.status)
            .with_retry_after(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_and_says_how_long_it_lasts() {
        let gate = Gate::default();
        assert_eq!(gate.check("reading"), Ok(()));
        gate.close_for(Duration::from_secs(20), 429);
        tokio::time::advance(Duration::from_secs(15)).await;
        let error = gate.check("reading").unwrap_err();
        assert_eq!(error.class(), ErrorClass::Throttled);
        assert_eq!(error.status(), Some(429));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(gate.check("reading"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_pause_does_not_end_a_longer_one() {
        let gate = Gate::default();
        gate.close_for(Duration::from_secs(20), 503);
        gate.close_for(Duration::from_secs(1), 429);
        assert_eq!(gate.check("reading").unwrap_err().retry_after(), Some(Duration::from_secs(20)));
    }
}
