//! What a reconcile is given, and what follows it.

pub(crate) mod permit;
pub(crate) mod requeue;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use self::permit::SwitchPermit;
use super::{
    budget::Budget,
    decide::Requeue,
    facts::{QueueState, Target, TenantRead},
};
use crate::{
    api::PlatformConnection,
    cluster::Key,
    connections::{ConnectionHandle, SpecRevision},
};

/// A request to reconcile an object, with what was found out for it.
#[derive(Debug, Default)]
pub struct ReconcileRequest {
    /// The tenant, as it was read for this reconcile.
    pub read: Option<TimedRead>,
    /// The permit for its switch, and the connection whose switch queue admitted it.
    pub permit: Option<(Key, SwitchPermit)>,
    /// Why the switch queue does not admit its switch yet, which is due.
    pub queue_state: Option<QueueState>,
    /// Whether its switch is due, and the listing that proves its name is still in progress.
    pub awaits_listing: bool,
}

/// A read of a tenant, and when it was made.
#[derive(Clone, Debug)]
pub struct TimedRead {
    /// What the platform answered.
    pub read: TenantRead,
    /// When the request began. The read may not show what happened since.
    pub started_at: Instant,
    /// When the answer arrived. The age of a read counts from here: a slow platform would otherwise make every read
    /// too old on arrival.
    pub received_at: Instant,
    /// The connection that was used.
    pub through: Key,
    /// The spec of that connection. `None`: nothing was read.
    pub spec: Option<SpecRevision>,
}

impl TimedRead {
    /// Whether the read was made with this spec of its connection. With another one, it may show another platform.
    pub(super) fn is_made_with(&self, connection: Option<&PlatformConnection>) -> bool {
        self.spec == connection.map(SpecRevision::of)
    }
}

/// What follows a reconcile.
#[derive(Debug)]
pub enum Action {
    /// Nothing, until the watch shows a change: the object is gone, or cannot be read.
    AwaitChange,
    /// The status is up to date. The tenant is read again later.
    Poll {
        /// When the tenant is read again.
        next: NextPoll,
        /// Whether its switch is due and keeps its place in the switch queue.
        keeps_place: bool,
        /// Whether a new status was stored.
        written: bool,
    },
    /// Read the tenant, then reconcile with the answer.
    Read {
        /// The connection to read through.
        connection: Key,
        /// What to read.
        target: Target,
    },
    /// The switch is due: reconcile when the switch queue admits it, or with the reason why it waits.
    EnqueueSwitch {
        /// The connection whose switch queue it joins.
        connection: Key,
        /// Its place in the queue: since when it is due, or due again after a failure.
        due: Timestamp,
        /// The earliest time of its admission, if its status names one.
        said: Option<Timestamp>,
        /// Rate limit and budget of the connection.
        limits: Limits,
        /// The read that the decision was made on.
        read: TimedRead,
    },
    /// The switch is due, and no listing has proved yet that exactly one customer has the name: reconcile after a
    /// listing.
    ProveName {
        /// The client of the connection.
        handle: ConnectionHandle,
        /// The listing has to begin no earlier.
        since: Instant,
        /// The read that the decision was made on.
        read: TimedRead,
    },
    /// Reconcile again after this time: nothing could be done now.
    Requeue(Duration),
}

/// Rate limit and budget of a connection, as far as they concern switches.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The switch budget.
    pub budget: Budget,
    /// The maximum number of requests in a second, of any kind.
    pub requests_per_second: u32,
}

/// The requests of one switch: two reads before it, the PUT, and two reads after it.
const REQUESTS_OF_A_SWITCH: u32 = 5;

/// The maximum number of switches of one connection in flight, whatever its rate limit. Each is one more to resolve by
/// reading if the process dies.
const MAX_CONCURRENT_SWITCHES: u32 = 16;

impl Limits {
    /// The limits of a connection.
    #[must_use]
    pub fn of(connection: &PlatformConnection) -> Self {
        let spec = &connection.spec;
        Self { budget: Budget::of(&spec.switch.budget), requests_per_second: spec.requests_per_second }
    }

    /// How many switches may be in flight: as many as the rate limit admits in a second. More would only wait for one
    /// another, while their reads grow old.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        (self.requests_per_second / REQUESTS_OF_A_SWITCH).clamp(1, MAX_CONCURRENT_SWITCHES) as usize
    }
}

/// When the tenant of an object is read again.
#[derive(Debug)]
pub struct NextPoll {
    /// The connection to read through.
    pub connection: Key,
    /// What to read. `None`: nothing is known that could be read, so the object is reconciled after the interval.
    pub target: Option<Target>,
    /// How long after its last read the tenant is read again. `None`: it is not polled.
    pub interval: Option<Duration>,
    /// After this time the object is reconciled in any case.
    pub reconcile_after: Option<Duration>,
}

/// How often a tenant past trial is polled.
const DAILY_INTERVAL: Duration = Duration::from_hours(24);

impl NextPoll {
    /// The next poll that `requeue` asks for. `failures` counts those in a row, and `poll` is the poll interval of the
    /// connection.
    pub(super) fn new(
        connection: Key,
        target: Option<Target>,
        requeue: Requeue,
        failures: u32,
        poll: Duration,
    ) -> Self {
        let interval = match requeue {
            Requeue::AtPollInterval | Requeue::WhenAdmitted | Requeue::WhenProved | Requeue::After(_) => {
                Some(poll)
            }
            Requeue::Daily => Some(DAILY_INTERVAL),
            Requeue::Backoff | Requeue::OnChange | Requeue::Recheck => None,
        };
        Self { connection, target, interval, reconcile_after: requeue::pause(requeue, failures, poll) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_of_a_second_limits_the_switches_in_flight() {
        let budget = Budget { count: 1, window: Duration::from_secs(1) };
        let most = |requests_per_second| Limits { budget, requests_per_second }.max_concurrent();
        assert_eq!(most(1), 1);
        assert_eq!(most(3 * REQUESTS_OF_A_SWITCH), 3);
        assert_eq!(most(u32::MAX), MAX_CONCURRENT_SWITCHES as usize);
    }
}
