//! How long to wait before the next look or the next attempt.

use std::time::Duration;

use rand::RngExt;

use crate::{backoff::Backoff, pricing::decide::Requeue};

/// The first pause after a failure; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// An object that its connection does not admit is reconciled again after this pause at the earliest. A changed
/// connection or namespace wakes it at once; only where neither can be watched the pause is what it waits for.
const SHORTEST_RECHECK: Duration = Duration::from_mins(1);

/// The pause after which `requeue` asks for another pass in any case, after `failures` in a row, through a
/// connection whose poll interval is `poll`. `None`: only when a look or something else shows a change.
#[must_use]
pub fn pause(requeue: Requeue, failures: u32, poll: Duration) -> Option<Duration> {
    match requeue {
        // Waits that end at an instant are not spread: they are what a person asked for. A little is added so
        // that the instant has passed when the pass begins.
        Requeue::After(pause) => Some(pause + Duration::from_millis(20)),
        Requeue::Backoff => Some(after_failures(failures, poll)),
        Requeue::Recheck => Some(poll.max(SHORTEST_RECHECK).mul_f64(rand::rng().random_range(1.0..=1.1))),
        Requeue::AtPollInterval
        | Requeue::Daily
        | Requeue::WhenAdmitted
        | Requeue::WhenProved
        | Requeue::OnChange => None,
    }
}

/// Grows from one failure to the next, up to the poll interval, with full jitter above the first pause.
fn after_failures(failures: u32, poll: Duration) -> Duration {
    Backoff::new(FIRST_PAUSE / 2, FIRST_PAUSE, poll.max(FIRST_PAUSE)).pause(failures.max(1))
}

#[cfg(test)]
mod tests;
