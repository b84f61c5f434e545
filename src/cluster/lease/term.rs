//! How long a replica leads.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::has_time;
use crate::clock::Clock;

/// One period of leadership, from acquiring the lease to losing or releasing it. Cheap to clone; clones share
/// everything.
#[derive(Clone, Debug)]
pub struct Term {
    begun: Instant,
    ended: CancellationToken,
    /// `None` without an election: the term then ends only with the process.
    lease: Option<Arc<Lease>>,
}

#[derive(Debug)]
struct Lease {
    clock: Clock,
    renewed: Mutex<Renewed>,
}

/// The start of the last successful renewal.
#[derive(Clone, Copy, Debug)]
struct Renewed {
    at: Instant,
    /// The monotonic clock stops while a machine is suspended; the wall clock does not.
    wall: Timestamp,
}

/// The start of a try to acquire or renew the lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try(Renewed);

impl Try {
    pub(super) fn begin(clock: &Clock) -> Self {
        Self(Renewed { at: Instant::now(), wall: clock.now() })
    }
}

impl Term {
    /// The term of a process that runs without an election.
    #[must_use]
    pub fn always() -> Self {
        Self { begun: Instant::now(), ended: CancellationToken::new(), lease: None }
    }

    /// Begins the term with the try that acquired the lease.
    pub(super) fn begin(clock: &Clock, by: Try) -> Self {
        let lease = Lease { clock: clock.clone(), renewed: Mutex::new(by.0) };
        // A request from now on shows a state read after the lease was acquired.
        Self { begun: Instant::now(), ended: CancellationToken::new(), lease: Some(Arc::new(lease)) }
    }

    /// Records the try that renewed the lease.
    pub(super) fn renew(&self, by: Try) {
        if let Some(lease) = &self.lease {
            *lease.renewed.lock() = by.0;
        }
    }

    /// Ends the term.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// When the term began. A read that starts later shows all that earlier leaders did.
    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Cancelled when the term is over, perhaps late. A writer must check [`Self::has_time_for`].
    #[must_use]
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Whether an operation of at most `limit` that begins now ends at least two seconds before another process could
    /// lead.
    #[must_use]
    pub fn has_time_for(&self, limit: Duration) -> bool {
        if self.ended.is_cancelled() {
            return false;
        }
        self.lease.as_ref().is_none_or(|lease| {
            let (elapsed, wall) = lease.age();
            has_time(elapsed, wall, limit)
        })
    }

    /// The time since the start of the last successful renewal, by the monotonic clock. A wall clock that someone sets
    /// must not decide whether to go on trying.
    pub(super) fn since_renewal(&self) -> Duration {
        self.lease.as_ref().map_or(Duration::ZERO, |lease| lease.renewed.lock().at.elapsed())
    }
}

impl Lease {
    /// The time since the start of the last successful renewal, by each clock.
    fn age(&self) -> (Duration, SignedDuration) {
        let renewed = *self.renewed.lock();
        (renewed.at.elapsed(), self.clock.now().duration_since(renewed.wall))
    }
}

/// Whether this process leads, for tasks that outlive a term. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct LeadershipFlag(Arc<Mutex<Option<Term>>>);

impl LeadershipFlag {
    /// Records that a term has begun.
    pub fn begin(&self, term: Term) {
        *self.0.lock() = Some(term);
    }

    /// Records that the term is over.
    pub fn end(&self) {
        *self.0.lock() = None;
    }

    /// Whether this process leads now, by the clock.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|term| term.has_time_for(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, pause};

    use super::{super::LEASE_DURATION, *};

    const PUT: Duration = Duration::from_secs(8);

    fn term(clock: &Clock) -> Term {
        Term::begin(clock, Try::begin(clock))
    }

    #[tokio::test]
    async fn a_request_begins_only_if_it_ends_2_s_before_the_lease() {
        pause();
        let term = term(&Clock::system());
        advance(Duration::from_secs(5) - Duration::from_millis(50)).await;
        assert!(term.has_time_for(PUT));
        advance(Duration::from_millis(51)).await;
        assert!(!term.has_time_for(PUT), "15 s - 2 s - 8 s are over");
        assert!(term.has_time_for(Duration::ZERO));
        advance(Duration::from_secs(8)).await;
        assert!(!term.has_time_for(Duration::ZERO));
        term.renew(Try::begin(&Clock::system()));
        assert!(term.has_time_for(PUT), "it was renewed");
    }

    #[tokio::test]
    async fn a_renewal_counts_from_its_start() {
        pause();
        let term = term(&Clock::system());
        advance(Duration::from_secs(3)).await;
        let renewal = Try::begin(&Clock::system());
        advance(Duration::from_secs(4)).await;
        term.renew(renewal);
        assert!(term.has_time_for(PUT));
        advance(Duration::from_millis(1001)).await;
        assert!(!term.has_time_for(PUT), "its answer took four of the five seconds");
    }

    #[cfg(feature = "test-support")] // the clock can be moved
    #[test]
    fn the_clock_that_shows_more_time_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offset");
        let clock = Clock::from_file(file.clone());
        let term = term(&clock);
        assert!(term.has_time_for(PUT));
        // As after a minute of suspension, in which the monotonic clock stopped.
        std::fs::write(&file, "60").unwrap();
        assert!(!term.has_time_for(Duration::ZERO));
        std::fs::write(&file, "-60").unwrap();
        assert!(term.has_time_for(PUT));
    }

    #[tokio::test]
    async fn an_expired_term_does_not_lead_whatever_the_flag_says() {
        pause();
        let (leads, clock) = (LeadershipFlag::default(), Clock::system());
        assert!(!leads.is_leading());
        leads.begin(term(&clock));
        assert!(leads.clone().is_leading());
        advance(LEASE_DURATION).await;
        assert!(!leads.is_leading(), "it was not renewed");
        leads.begin(term(&clock));
        leads.end();
        assert!(!leads.is_leading());
    }

    #[test]
    fn an_ended_term_has_no_time_and_one_without_a_lease_always_has() {
        let term = term(&Clock::system());
        let other = term.clone();
        term.end();
        assert!(other.ended().is_cancelled() && !other.has_time_for(Duration::ZERO));
        assert!(Term::always().has_time_for(Duration::from_hours(1)));
    }
}
