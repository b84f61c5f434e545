//! The pause before the next read or the next attempt.

use std::time::Duration;

use rand::RngExt;

use crate::{backoff::Backoff, pricing::decide::Requeue};

/// The scale of the pause after a failure, which is at random. Half of this is its least length. Twice this is its
/// greatest length after the first failure, which doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The shortest pause before the next reconcile of an object that its connection does not admit. A changed connection
/// or namespace triggers it at once. Only where neither can be watched does it wait for the pause.
const MIN_RECHECK: Duration = Duration::from_mins(1);

/// The pause after which `requeue` asks for another reconcile in any case. `failures` counts those in a row, and `poll`
/// is the poll interval of the connection. `None`: only a read or another change triggers a reconcile.
#[must_use]
pub fn pause(requeue: Requeue, failures: u32, poll: Duration) -> Option<Duration> {
    match requeue {
        // Waits that end at an instant are not spread: a user asked for that instant. The added time makes sure that
        // the instant has passed when the reconcile begins.
        Requeue::After(pause) => Some(pause + Duration::from_millis(20)),
        Requeue::Backoff => Some(after_failures(failures, poll)),
        Requeue::Recheck => Some(poll.max(MIN_RECHECK).mul_f64(rand::rng().random_range(1.0..=1.1))),
        Requeue::AtPollInterval
        | Requeue::Daily
        | Requeue::WhenAdmitted
        | Requeue::WhenProved
        | Requeue::OnChange => None,
    }
}

/// A pause that grows from one failure to the next, up to the poll interval.
fn after_failures(failures: u32, poll: Duration) -> Duration {
    Backoff::new(FIRST_PAUSE / 2, FIRST_PAUSE, poll.max(FIRST_PAUSE)).pause(failures.max(1))
}

#[cfg(test)]
mod tests;
