//! What must hold in every history, and what must be so in the end. Pure: everything is handed in, so that forged
//! histories show that it notices.

mod attempts;
mod budget;
mod expected;
mod fitness;
mod held_back;
mod pairs;
mod statuses;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use expected::{Connection, World, unconverged};
pub use held_back::held_back;
use tenant_pricing_controller::simulator::{LoggedRequest, TenantState};

use super::{
    history::{Span, What, overlap},
    store::Stored,
};
use crate::harness::{RecordedWrite, body_fault};

/// What a busy machine adds to a time limit.
const SLACK: Duration = Duration::from_millis(1500);

/// From the begin of the pre-write read to the PUT: 20 s to the announcement, 5 s from there.
const READ_TO_PUT: Duration = Duration::from_secs(20 + 5);

/// This time before an instant; the instant itself where there was no such time.
fn before(instant: Instant, time: Duration) -> Instant {
    instant.checked_sub(time).unwrap_or(instant)
}

/// All that is known of a run.
pub struct Record {
    /// Every version of every object of ours, in the order of storing.
    pub versions: Vec<Stored>,
    /// The PUTs that the platform got, in the order in which they came.
    pub puts: Vec<LoggedRequest>,
    /// What their times count from.
    pub epoch: Instant,
    /// Every state of every tenant, in order.
    pub tenants: Vec<TenantState>,
    /// What the replicas announced, and what they heard of it.
    pub noted: Vec<RecordedWrite>,
    /// What else held when.
    pub spans: Vec<Span>,
    /// Whether a lease decides who leads.
    pub elected: bool,
}

impl Record {
    /// What was not right.
    pub fn faults(&self) -> Vec<String> {
        let announced = attempts::announced(self);
        let (sent, mut faults) = attempts::sent(self, &announced);
        faults.extend(self.puts.iter().filter_map(body_fault));
        faults.extend(pairs::faults(self, &sent));
        faults.extend(fitness::faults(self, &sent));
        faults.extend(budget::faults(self, &announced));
        faults.extend(statuses::faults(self));
        faults
    }

    fn began(&self, put: &LoggedRequest) -> Instant {
        self.epoch + put.started_after
    }

    fn ended(&self, put: &LoggedRequest) -> Option<Instant> {
        put.finished_after.map(|after| self.epoch + after)
    }

    /// How long a process, or the test with its platform and proxies, stood still between two instants.
    fn stopped(&self, life: usize, from: Instant, until: Instant) -> Duration {
        overlap(&self.spans, &[What::Stopped { life }, What::Stalled], from, until)
    }

    /// Whether something held at some time between two instants.
    fn held(&self, what: &What, from: Instant, until: Instant) -> bool {
        let meets = |span: &&Span| span.from <= until && span.until.is_none_or(|end| end >= from);
        self.spans.iter().filter(|span| span.what == *what).any(|span| meets(&span))
    }
}
