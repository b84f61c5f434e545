//! The one place that reads the wall clock.
//!
//! Everything else gets a [`Timestamp`] from its caller. So a decision can be replayed, and a test can move the clock
//! over the end of a month.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The longer of two measurements of the same time.
///
/// The monotonic measurement (`elapsed`) is too short if the machine was suspended. A wall clock that was set back
/// gives a negative time, which never wins.
pub(crate) fn longer(elapsed: Duration, wall_elapsed: SignedDuration) -> Duration {
    elapsed.max(Duration::try_from(wall_elapsed).unwrap_or_default())
}

/// Sleeps until an instant. Without one, it never completes.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// An instant, by the monotonic clock and by the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

/// The time since a moment, by each clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    /// By the monotonic clock, which stands still while a machine is suspended.
    pub monotonic: Duration,
    /// By the wall clock, which can be set.
    pub wall: SignedDuration,
}

impl Moment {
    /// The time since this moment.
    #[must_use]
    pub fn elapsed(&self, clock: &Clock) -> Elapsed {
        let wall = clock.now().duration_since(self.wall);
        Elapsed { monotonic: self.monotonic.elapsed(), wall }
    }

    /// How much later the other moment is by the monotonic clock. Negative if it is earlier.
    #[must_use]
    pub fn until(&self, other: &Self) -> SignedDuration {
        let later = |one: Instant, than: Instant| {
            SignedDuration::try_from(one.saturating_duration_since(than)).unwrap_or(SignedDuration::MAX)
        };
        later(other.monotonic, self.monotonic) - later(self.monotonic, other.monotonic)
    }
}

impl Elapsed {
    /// Whether the time reaches `limit` by either clock, or the wall clock was set back.
    #[must_use]
    pub fn reaches(&self, limit: Duration) -> bool {
        self.monotonic >= limit || Duration::try_from(self.wall).map_or(true, |wall| wall >= limit)
    }
}

/// A source of wall-clock time. Cheap to clone.
///
/// Intervals (time limits, pauses) are not measured with it: those use the monotonic
/// [`tokio::time::Instant`], which a clock adjustment cannot move.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    #[cfg(feature = "test-support")]
    file: Option<std::path::PathBuf>,
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock whose offset from the machine's clock, in whole seconds, is read from `file` at each call. A missing or
    /// unreadable file means no offset. For tests only.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub fn from_file(file: std::path::PathBuf) -> Self {
        Self { file: Some(file) }
    }

    /// The present instant.
    #[must_use]
    #[allow(clippy::disallowed_methods)] // only this place may
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        #[cfg(feature = "test-support")]
        let now = now + SignedDuration::from_secs(self.offset());
        now
    }

    /// The present instant by both clocks.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { monotonic: Instant::now(), wall: self.now() }
    }

    #[cfg(feature = "test-support")]
    fn offset(&self) -> i64 {
        let text = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }
}
