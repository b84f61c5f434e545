//! What a process remembers of its attempts. The attempt tracker that ships is built from a state, called, and
//! translated back.

use std::{sync::LazyLock, time::Duration};

use tokio::time::Instant;

use super::{
    shipped::{attempt_id, tenant_key},
    state::{Attempt, AttemptOutcome, Claimed, MAX_EACH, Remembered},
};
use crate::{
    pricing::{
        decide::GRACE_PERIOD,
        expectations::AttemptTracker,
        facts::{self, Acceptance},
    },
    testing::fixtures::{NOW, instant},
};

/// The time that all clocks show in a call. Before it, there is time for whatever happened.
static CLOCKS: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_hours(1));

impl Remembered {
    /// Calls the attempt tracker, and keeps its new content. `number` is the attempt of the call, if that may be new.
    fn ask<T>(&mut self, number: Option<u8>, ask: impl FnOnce(&mut AttemptTracker, Instant) -> T) -> T {
        let mut tracker = self.tracker();
        let answer = ask(&mut tracker, *CLOCKS);
        let mut numbers: Vec<_> = self.attempts.iter().map(|attempt| attempt.number).chain(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.attempts =
            numbers.into_iter().filter_map(|number| remembered_attempt(&tracker, number)).collect();
        self.tenants = std::array::from_fn(|tenant| {
            let key = tenant_key(u8::try_from(tenant).unwrap());
            Claimed { held: tracker.is_claimed(key), in_grace_period: tracker.in_grace_period(key, *CLOCKS) }
        });
        answer
    }

    fn tracker(&self) -> AttemptTracker {
        let tracker = self.attempts.iter().fold(AttemptTracker::default(), |tracker, attempt| {
            let known = Some(attempt.outcome.get())
                .filter(|outcome| !matches!(outcome, facts::AttemptOutcome::Unknown(_)));
            let first_seen = if attempt.outcome == AttemptOutcome::UnknownForLong {
                *CLOCKS - GRACE_PERIOD
            } else {
                *CLOCKS
            };
            tracker.with_attempt(
                &attempt_id(attempt.number),
                Some(tenant_key(attempt.tenant).clone()),
                first_seen,
                known,
            )
        });
        let tenants = (0..).zip(&self.tenants).filter(|(_, claimed)| **claimed != Claimed::default());
        tenants.fold(tracker, |tracker, (tenant, claimed)| {
            let grace_until = claimed.in_grace_period.then(|| *CLOCKS + GRACE_PERIOD);
            tracker.with_tenant(tenant_key(tenant).clone(), claimed.held, grace_until)
        })
    }

    pub fn claim(&mut self, tenant: u8) -> bool {
        self.ask(None, |tracker, now| tracker.claim(tenant_key(tenant), now))
    }

    pub fn release(&mut self, tenant: u8) {
        self.ask(None, |tracker, _| tracker.release(tenant_key(tenant)));
    }

    /// The outcome of an attempt. `stored`: whether the entry says that the attempt was accepted.
    pub fn outcome(&mut self, attempt: u8, tenant: u8, stored: bool) -> AttemptOutcome {
        let stored = stored.then(|| Acceptance { at: instant(NOW), since: Duration::ZERO });
        let ask = |tracker: &mut AttemptTracker, now| {
            AttemptOutcome::of(&tracker.outcome(
                &attempt_id(attempt),
                Some(tenant_key(tenant).clone()),
                stored,
                now,
            ))
        };
        self.ask(Some(attempt), ask)
    }

    /// What is known of an accepted attempt for a tenant.
    pub fn accepted(&self, tenant: u8) -> Option<AttemptOutcome> {
        let acceptance =
            (*self != Self::default()).then(|| self.tracker().accepted(tenant_key(tenant), *CLOCKS))??;
        Some(AttemptOutcome::of(&facts::AttemptOutcome::Accepted(acceptance)))
    }

    pub fn record(&mut self, attempt: u8, tenant: u8, outcome: facts::AttemptOutcome) {
        self.ask(Some(attempt), |tracker, now| {
            tracker.record(&attempt_id(attempt), tenant_key(tenant), outcome, now);
        });
    }

    pub fn resolved(&mut self, attempt: u8) {
        self.ask(None, |tracker, _| tracker.resolved(&attempt_id(attempt)));
    }

    pub fn in_grace_period(&self, tenant: u8) -> bool {
        // An empty tracker has no grace period.
        *self != Self::default() && self.tracker().in_grace_period(tenant_key(tenant), *CLOCKS)
    }

    /// Lets the grace period pass. All attempts have waited equally long: an attempt that was first seen later takes
    /// another minute.
    pub fn a_minute_passes(&mut self) {
        for attempt in &mut self.attempts {
            attempt.outcome = match attempt.outcome {
                AttemptOutcome::Unknown => AttemptOutcome::UnknownForLong,
                AttemptOutcome::Accepted => AttemptOutcome::AcceptedForLong,
                outcome => outcome,
            };
        }
        for claimed in &mut self.tenants {
            claimed.in_grace_period = false;
        }
    }
}

fn remembered_attempt(tracker: &AttemptTracker, number: u8) -> Option<Attempt> {
    let (tenant, first_seen, known) = tracker.attempt(&attempt_id(number))?;
    let outcome = known.map_or_else(
        || AttemptOutcome::of(&facts::AttemptOutcome::Unknown(*CLOCKS - first_seen)),
        AttemptOutcome::of,
    );
    let is_of = |number: &u8| tenant == Some(tenant_key(*number));
    let tenant = (0..u8::try_from(MAX_EACH).unwrap()).find(is_of).expect("every attempt is one for a tenant");
    Some(Attempt { number, tenant, outcome })
}
