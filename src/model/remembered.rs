//! What a process remembers of its attempts: the ledger that ships, put together from a state, asked, and taken
//! apart again.

use std::{sync::LazyLock, time::Duration};

use tokio::time::Instant;

use super::{
    shipped::{attempt_id, tenant_key},
    state::{Attempt, Claimed, Fate, MOST, Remembered},
};
use crate::{
    pricing::{
        decide::QUIET_TIME,
        expectations::Ledger,
        facts::{self, Acceptance},
    },
    testing::fixtures::{NOW, instant},
};

/// What all clocks show when they are asked. Before it, there is time for whatever happened.
static CLOCKS: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_hours(1));

impl Remembered {
    /// Has the ledger do something, and takes what it then holds. `number` is the attempt that it is about, if it
    /// is about one that may be new.
    fn ask<T>(&mut self, number: Option<u8>, ask: impl FnOnce(&mut Ledger, Instant) -> T) -> T {
        let mut ledger = self.ledger();
        let answer = ask(&mut ledger, *CLOCKS);
        let mut numbers: Vec<_> = self.attempts.iter().map(|attempt| attempt.number).chain(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.attempts = numbers.into_iter().filter_map(|number| taken(&ledger, number)).collect();
        self.tenants = std::array::from_fn(|tenant| {
            let key = tenant_key(u8::try_from(tenant).unwrap());
            Claimed { held: ledger.is_claimed(key), is_quiet: ledger.is_quiet(key, *CLOCKS) }
        });
        answer
    }

    fn ledger(&self) -> Ledger {
        let ledger = self.attempts.iter().fold(Ledger::default(), |ledger, attempt| {
            let known = Some(attempt.fate.get()).filter(|fate| !matches!(fate, facts::Fate::Unknown(_)));
            let first_seen =
                if attempt.fate == Fate::UnknownForLong { *CLOCKS - QUIET_TIME } else { *CLOCKS };
            ledger.with_attempt(
                &attempt_id(attempt.number),
                Some(tenant_key(attempt.tenant).clone()),
                first_seen,
                known,
            )
        });
        let tenants = (0..).zip(&self.tenants).filter(|(_, claimed)| **claimed != Claimed::default());
        tenants.fold(ledger, |ledger, (tenant, claimed)| {
            let quiet_until = claimed.is_quiet.then(|| *CLOCKS + QUIET_TIME);
            ledger.with_tenant(tenant_key(tenant).clone(), claimed.held, quiet_until)
        })
    }

    pub fn claim(&mut self, tenant: u8) -> bool {
        self.ask(None, |ledger, now| ledger.claim(tenant_key(tenant), now))
    }

    pub fn release(&mut self, tenant: u8) {
        self.ask(None, |ledger, _| ledger.release(tenant_key(tenant)));
    }

    /// `stored`: whether the entry says that the attempt was accepted.
    pub fn fate(&mut self, attempt: u8, tenant: u8, stored: bool) -> Fate {
        let stored = stored.then(|| Acceptance { at: instant(NOW), since: Duration::ZERO });
        let ask = |ledger: &mut Ledger, now| {
            Fate::of(&ledger.fate(&attempt_id(attempt), Some(tenant_key(tenant).clone()), stored, now))
        };
        self.ask(Some(attempt), ask)
    }

    /// What is known of an attempt for a tenant that the platform accepted.
    pub fn accepted(&self, tenant: u8) -> Option<Fate> {
        let acceptance =
            (*self != Self::default()).then(|| self.ledger().accepted(tenant_key(tenant), *CLOCKS))??;
        Some(Fate::of(&facts::Fate::Accepted(acceptance)))
    }

    pub fn record(&mut self, attempt: u8, tenant: u8, fate: facts::Fate) {
        self.ask(Some(attempt), |ledger, now| {
            ledger.record(&attempt_id(attempt), tenant_key(tenant), fate, now);
        });
    }

    pub fn resolved(&mut self, attempt: u8) {
        self.ask(None, |ledger, _| ledger.resolved(&attempt_id(attempt)));
    }

    pub fn is_quiet(&self, tenant: u8) -> bool {
        // Of nothing, nothing is remembered.
        *self != Self::default() && self.ledger().is_quiet(tenant_key(tenant), *CLOCKS)
    }

    /// The quiet time passes. All that waited for it waited equally long: what was first seen later is one that
    /// another minute passes for.
    pub fn a_minute_passes(&mut self) {
        for attempt in &mut self.attempts {
            attempt.fate = match attempt.fate {
                Fate::Unknown => Fate::UnknownForLong,
                Fate::Accepted => Fate::AcceptedForLong,
                fate => fate,
            };
        }
        for claimed in &mut self.tenants {
            claimed.is_quiet = false;
        }
    }
}

fn taken(ledger: &Ledger, number: u8) -> Option<Attempt> {
    let (tenant, first_seen, known) = ledger.attempt(&attempt_id(number))?;
    let fate = known.map_or_else(|| Fate::of(&facts::Fate::Unknown(*CLOCKS - first_seen)), Fate::of);
    let is_of = |number: &u8| tenant == Some(tenant_key(*number));
    let tenant = (0..u8::try_from(MOST).unwrap()).find(is_of).expect("every attempt is one for a tenant");
    Some(Attempt { number, tenant, fate })
}
