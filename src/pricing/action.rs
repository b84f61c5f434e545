//! What a pass is given, and what is to follow it.

pub(crate) mod permit;
pub(crate) mod requeue;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use self::permit::SwitchPermit;
use super::{
    budget::Budget,
    decide::Again,
    facts::{Look, Target, Turn},
};
use crate::{api::PlatformConnection, cluster::Key, connections::ConnectionHandle};

/// What an object carries along to its pass.
#[derive(Debug, Default)]
pub struct Brought {
    /// The tenant, as it was looked at for this pass.
    pub look: Option<Taken>,
    /// The switch queue of this connection admitted its switch.
    pub permit: Option<(Key, SwitchPermit)>,
    /// Its switch is due, and this is why it is not its turn.
    pub turn: Option<Turn>,
    /// Its switch is due, and the listing that proves its name takes its time.
    pub awaits_listing: bool,
}

/// A look, and when it was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What was seen.
    pub look: Look,
    /// When it was asked for. What happened since, it need not show.
    pub begun: Instant,
    /// When the answer was there: its age counts from then. Of a platform that takes its time every look would
    /// otherwise be too old when it comes.
    pub came: Instant,
    /// The connection it was taken through.
    pub through: Key,
}

/// What is to follow a pass.
#[derive(Debug)]
pub enum Next {
    /// The object is gone, or cannot be read: nothing, until the watch shows it anew.
    Nothing,
    /// All that could be said now is said.
    Rest(Rest),
    /// The pass needs a look, and is to be repeated with it.
    Look {
        /// Which connection it goes through.
        connection: Key,
        /// What is to be looked at.
        target: Target,
    },
    /// The switch is due: the pass is to be repeated when it is its turn, or with what keeps it.
    Turn {
        /// The connection whose switch queue it joins.
        connection: Key,
        /// Its place in the queue: since when it is due, or tried again.
        due: Timestamp,
        /// When its turn comes at the earliest, if its status says so.
        said: Option<Timestamp>,
        /// Pace and budget of the connection.
        limits: Limits,
        /// The look that the pass was decided on.
        look: Taken,
    },
    /// The switch is due, and it is not proved yet that exactly one customer bears the name: the pass is to be
    /// repeated after a listing.
    Prove {
        /// The way to the platform.
        handle: ConnectionHandle,
        /// The listing has to begin no earlier.
        since: Instant,
        /// The look that the pass was decided on.
        look: Taken,
    },
    /// The pass came to nothing, and is to be repeated after so long.
    Repeat(Duration),
}

/// Pace and budget of a connection, as far as they concern switches.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// No more switches than this.
    pub budget: Budget,
    /// The most requests in a second.
    pub requests_per_second: u32,
}

/// So many requests make up a switch: two before it, itself, and two after it.
const REQUESTS_OF_A_SWITCH: u32 = 5;

/// So many switches of one connection are under way at a time, however fast it may go: each is one more that has
/// to be resolved by reading if the process dies.
const MOST_AT_ONCE: u32 = 16;

impl Limits {
    /// Those of a connection.
    #[must_use]
    pub fn of(connection: &PlatformConnection) -> Self {
        let spec = &connection.spec;
        Self { budget: Budget::of(&spec.switch.budget), requests_per_second: spec.requests_per_second }
    }

    /// How many switches may be under way at a time: as many as the pace lets through in a second. More would
    /// only wait for one another, with looks that grow old.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        (self.requests_per_second / REQUESTS_OF_A_SWITCH).clamp(1, MOST_AT_ONCE) as usize
    }
}

/// When an object is looked at again.
#[derive(Debug)]
pub struct Rest {
    /// The connection that it is looked at through.
    pub connection: Key,
    /// What is looked at.
    pub target: Option<Target>,
    /// The connection's poll interval.
    pub poll: Duration,
    /// When.
    pub again: Again,
    /// Failures in a row.
    pub failures: u32,
    /// A new status was stored.
    pub written: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_switches_are_under_way_as_the_pace_lets_through_in_a_second_and_one_at_least() {
        let budget = Budget { count: 1, window: Duration::from_secs(1) };
        let most = |requests_per_second| Limits { budget, requests_per_second }.most_at_once();
        assert_eq!(most(1), 1);
        assert_eq!(most(3 * REQUESTS_OF_A_SWITCH), 3);
        assert_eq!(most(u32::MAX), MOST_AT_ONCE as usize);
    }
}
