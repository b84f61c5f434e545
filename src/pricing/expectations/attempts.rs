//! What a process knows of its attempts, by tenant and by attempt. Pure: the caller passes the time, so that the model
//! (`src/model`) runs the same code.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::{
    index::TenantKey,
    pricing::{
        decide::GRACE_PERIOD,
        facts::{Acceptance, AttemptOutcome},
    },
};

/// The attempts of one process.
#[derive(Debug, Default)]
pub(crate) struct AttemptTracker {
    /// Claims and grace periods by tenant, so that two objects for one tenant cannot have two requests under way.
    tenants: HashMap<TenantKey, Claimed>,
    /// Attempts by their id.
    attempts: HashMap<String, Attempt>,
}

#[derive(Debug, Default)]
struct Claimed {
    held: bool,
    grace_until: Option<Instant>,
}

impl Claimed {
    fn blocks_others(&self, now: Instant) -> bool {
        self.held || self.in_grace_period(now)
    }

    fn in_grace_period(&self, now: Instant) -> bool {
        self.grace_until.is_some_and(|until| until > now)
    }
}

#[derive(Debug)]
struct Attempt {
    tenant: Option<TenantKey>,
    first_seen: Instant,
    known: Option<AttemptOutcome>,
}

impl Attempt {
    /// The platform's acceptance of the attempt, if there is one.
    fn acceptance(&self, now: Instant) -> Option<Acceptance> {
        match self.known {
            Some(AttemptOutcome::Accepted(acceptance)) => {
                Some(Acceptance { since: acceptance.since + (now - self.first_seen), ..acceptance })
            }
            _ => None,
        }
    }
}

impl AttemptTracker {
    /// Claims a tenant for one attempt.
    ///
    /// False while another attempt for it is under way, while the grace period of an unknown outcome lasts, and until
    /// an accepted attempt is resolved.
    pub fn claim(&mut self, key: &TenantKey, now: Instant) -> bool {
        if self.accepted(key, now).is_some() {
            return false;
        }
        self.tenants.retain(|_, claimed| claimed.blocks_others(now));
        let claimed = self.tenants.entry(key.clone()).or_default();
        let is_free = !claimed.blocks_others(now);
        claimed.held |= is_free;
        is_free
    }

    /// Releases a claimed tenant.
    pub fn release(&mut self, key: &TenantKey) {
        if let Some(claimed) = self.tenants.get_mut(key) {
            claimed.held = false;
        }
    }

    /// What is known of an open entry. The first call for an entry starts its grace period.
    ///
    /// `stored` is the acceptance in the entry, which another process may have written. It is ignored if this process
    /// knows that its attempt was not sent, or was refused.
    pub fn outcome(
        &mut self,
        attempt_id: &str,
        tenant: Option<TenantKey>,
        stored: Option<Acceptance>,
        now: Instant,
    ) -> AttemptOutcome {
        let attempt = self.attempts.entry(attempt_id.to_owned()).or_insert_with(|| Attempt {
            tenant: tenant.clone(),
            first_seen: now,
            known: None,
        });
        // What this process knows of its own attempt overrides what others may have written.
        if let Some(stored) = stored.filter(|_| attempt.known.is_none()) {
            attempt.known = Some(AttemptOutcome::Accepted(stored));
            attempt.first_seen = now;
        }
        if let Some(acceptance) = attempt.acceptance(now) {
            return AttemptOutcome::Accepted(acceptance);
        }
        let outcome =
            attempt.known.clone().unwrap_or_else(|| AttemptOutcome::Unknown(now - attempt.first_seen));
        let until = attempt.first_seen + GRACE_PERIOD;
        if let (AttemptOutcome::Unknown(_), Some(key)) = (&outcome, tenant) {
            self.extend_grace_period(key, until);
        }
        outcome
    }

    /// Records what is known of an attempt of this process. An unknown outcome starts its grace period now, because
    /// the request ended only now.
    pub fn record(&mut self, attempt_id: &str, tenant: &TenantKey, outcome: AttemptOutcome, now: Instant) {
        let known = match outcome {
            AttemptOutcome::Unknown(_) => {
                self.extend_grace_period(tenant.clone(), now + GRACE_PERIOD);
                None
            }
            known => Some(known),
        };
        let attempt = Attempt { tenant: Some(tenant.clone()), first_seen: now, known };
        self.attempts.insert(attempt_id.to_owned(), attempt);
    }

    /// Records that the entry of an attempt is closed or completed.
    pub fn resolved(&mut self, attempt_id: &str) {
        let Some(key) = self.attempts.remove(attempt_id).and_then(|attempt| attempt.tenant) else { return };
        let another_is_open = self.attempts.values().any(|other| other.tenant.as_ref() == Some(&key));
        if let Some(claimed) = self.tenants.get_mut(&key).filter(|_| !another_is_open) {
            claimed.grace_until = None;
        }
    }

    /// Whether an attempt for a tenant has an unknown outcome, and its grace period lasts.
    pub fn in_grace_period(&self, key: &TenantKey, now: Instant) -> bool {
        self.tenants.get(key).is_some_and(|claimed| claimed.in_grace_period(now))
    }

    /// The platform's acceptance of an attempt for a tenant whose entry is not resolved.
    pub fn accepted(&self, key: &TenantKey, now: Instant) -> Option<Acceptance> {
        let of_tenant = self.attempts.values().filter(|attempt| attempt.tenant.as_ref() == Some(key));
        of_tenant.filter_map(|attempt| attempt.acceptance(now)).max_by_key(|acceptance| acceptance.since)
    }

    /// Starts the grace period of a tenant. Of two of them, the one that ends later counts.
    fn extend_grace_period(&mut self, key: TenantKey, until: Instant) {
        let grace_until = &mut self.tenants.entry(key).or_default().grace_until;
        *grace_until = (*grace_until).max(Some(until));
    }
}

/// Reads and restores the parts of a tracker, for the model.
#[cfg(test)]
impl AttemptTracker {
    /// Restores an attempt that was first seen at `first_seen`.
    pub fn with_attempt(
        mut self,
        attempt_id: &str,
        tenant: Option<TenantKey>,
        first_seen: Instant,
        known: Option<AttemptOutcome>,
    ) -> Self {
        self.attempts.insert(attempt_id.to_owned(), Attempt { tenant, first_seen, known });
        self
    }

    /// Restores a claim and a grace period.
    pub fn with_tenant(mut self, key: TenantKey, held: bool, grace_until: Option<Instant>) -> Self {
        self.tenants.insert(key, Claimed { held, grace_until });
        self
    }

    /// An attempt: its tenant, when it was first seen, and its known outcome.
    pub fn attempt(
        &self,
        attempt_id: &str,
    ) -> Option<(Option<&TenantKey>, Instant, Option<&AttemptOutcome>)> {
        let attempt = self.attempts.get(attempt_id)?;
        Some((attempt.tenant.as_ref(), attempt.first_seen, attempt.known.as_ref()))
    }

    /// Whether a tenant is claimed.
    pub fn is_claimed(&self, key: &TenantKey) -> bool {
        self.tenants.get(key).is_some_and(|claimed| claimed.held)
    }
}
