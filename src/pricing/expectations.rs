//! What the process remembers between two reconciles of an object. All of it may be lost without harm: the
//! journal and the platform hold the truth.

mod attempts;
mod own_status;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

pub(crate) use self::attempts::AttemptTracker;
pub use self::own_status::{Foreign, OwnStatuses};
use super::{
    decide::pause_after,
    facts::{Acceptance, AttemptBackoff, AttemptOutcome, Circumstances},
    journal::OpenEntry,
};
use crate::{
    api::{TenantPricing, TenantPricingStatus},
    cluster::{Key, Uid, is_older_version},
    connections::SpecRevision,
    index::TenantKey,
    platform::PlatformError,
};

/// The most overwritten versions that are remembered of an object. A switch overwrites two.
const OVERWRITTEN: usize = 4;

/// What one process remembers of its objects. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct ReconcileState {
    inner: Arc<Mutex<Inner>>,
    own_statuses: OwnStatuses,
}

#[derive(Debug, Default)]
struct Inner {
    tracker: AttemptTracker,
    objects: HashMap<Uid, ObjectMemory>,
    /// When the last attempt for an object was resolved, or its pre-write read was made. Holds only objects that this
    /// process switched.
    resolved: HashMap<Uid, Instant>,
}

#[derive(Debug, Default)]
struct ObjectMemory {
    /// The number of failed reads in a row.
    failures: u32,
    /// The number of reconciles in a row whose cache was stale: the watch had not shown the latest write yet.
    stale: u32,
    /// The resource versions that the last status writes replaced.
    overwritten: VecDeque<String>,
    /// The number of failed switch attempts in a row, for the request in `backoff`.
    failed_attempts: u32,
    backoff: Option<HeldBackoff>,
    /// Whether an attempt ended before it was announced, because the platform did not answer in time.
    unannounced_attempt: bool,
    /// Since when the object requests a switch of a tenant that it names by name. A listing that began later proves
    /// the name.
    proof_wanted: Option<Instant>,
}

/// The pause after a failed attempt.
#[derive(Debug)]
struct HeldBackoff {
    error: PlatformError,
    until: Instant,
    revision: RequestRevision,
}

/// What an object, its annotations and its connection requested when an attempt failed. Any change ends the backoff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRevision {
    /// The generation of the object.
    pub generation: Option<i64>,
    /// The value of the annotation `tenantpricing.io/reconcile-now`.
    pub reconcile_now: Option<String>,
    /// The spec of the connection, if there is one.
    pub connection: Option<SpecRevision>,
}

/// The right to begin an attempt for a tenant. Released on drop.
#[derive(Debug)]
pub struct AttemptClaim {
    reconcile_state: ReconcileState,
    key: TenantKey,
}

impl Drop for AttemptClaim {
    fn drop(&mut self) {
        self.reconcile_state.inner.lock().tracker.release(&self.key);
    }
}

impl Inner {
    /// Drops the entry of an object if there is nothing to remember.
    fn tidy(&mut self, uid: &Uid) {
        let nothing = |object: &ObjectMemory| {
            object.failures == 0
                && object.stale == 0
                && object.failed_attempts == 0
                && object.backoff.is_none()
                && !object.unannounced_attempt
                && object.proof_wanted.is_none()
                && object.overwritten.is_empty()
        };
        if self.objects.get(uid).is_some_and(nothing) {
            self.objects.remove(uid);
        }
    }
}

impl ReconcileState {
    /// The statuses of this process that others overwrote.
    #[must_use]
    pub fn own_statuses(&self) -> &OwnStatuses {
        &self.own_statuses
    }

    /// Records that the watch shows another status of an object than before. Returns it if others wrote it.
    ///
    /// An open attempt that it hides blocks other attempts for the tenant from now on, even before it is restored.
    #[must_use]
    pub fn shown_status(
        &self,
        key: &Key,
        before: Option<&TenantPricingStatus>,
        object: &TenantPricing,
        now: Timestamp,
    ) -> Option<Foreign> {
        let foreign = self.own_statuses.observe(key, before, object)?;
        if let Some(status) = self.own_statuses.hidden(key, object) {
            let own = TenantPricing { status: Some(status), ..object.clone() };
            if let Some(open) = OpenEntry::of(&own, now) {
                let _ = self.outcome(open);
            }
        }
        Some(foreign)
    }

    /// Claims a tenant for one attempt. `None` while another attempt for it is under way, or while the grace period
    /// of an unknown outcome lasts.
    #[must_use]
    pub fn claim(&self, key: &TenantKey) -> Option<AttemptClaim> {
        if !self.inner.lock().tracker.claim(key, Instant::now()) {
            return None;
        }
        Some(AttemptClaim { reconcile_state: self.clone(), key: key.clone() })
    }

    /// What is known of an open entry. The first call for an entry starts its grace period.
    #[must_use]
    pub fn outcome(&self, open: OpenEntry<'_>) -> AttemptOutcome {
        self.inner.lock().tracker.outcome(open.attempt_id, open.tenant, open.accepted, Instant::now())
    }

    /// Records what is known of an attempt of this process. An unknown outcome starts its grace period now, because
    /// the request ended only now.
    pub fn record(&self, attempt_id: &str, tenant: &TenantKey, outcome: AttemptOutcome) {
        self.inner.lock().tracker.record(attempt_id, tenant, outcome, Instant::now());
    }

    /// Records that the entry of an attempt is closed or completed.
    pub fn resolved(&self, attempt_id: &str) {
        self.inner.lock().tracker.resolved(attempt_id);
    }

    /// Invalidates earlier reads of an object: its journal was resolved just now, or its pre-write read was made.
    ///
    /// An earlier read may be from before a switch, and must not count as a return to trial.
    pub fn invalidate_reads(&self, uid: &Uid) {
        self.inner.lock().resolved.insert(uid.clone(), Instant::now());
    }

    /// Whether a read for an object was begun before its journal was resolved.
    #[must_use]
    pub fn is_outdated(&self, uid: &Uid, begun: Instant) -> bool {
        self.inner.lock().resolved.get(uid).is_some_and(|resolved| *resolved >= begun)
    }

    /// Delays the next attempt for an object after a failed one, longer each time. The backoff ends early when the
    /// request changes. `slow` is the longest pause.
    pub fn back_off(&self, uid: &Uid, error: PlatformError, revision: RequestRevision, slow: Duration) {
        let mut inner = self.inner.lock();
        let object = inner.objects.entry(uid.clone()).or_default();
        // A change since then may have corrected the cause, so the pauses start over.
        let is_asked_again = object.backoff.as_ref().is_some_and(|before| before.revision != revision);
        object.failed_attempts = if is_asked_again { 1 } else { object.failed_attempts.saturating_add(1) };
        let pause = pause_after(&error, object.failed_attempts, slow);
        object.backoff = Some(HeldBackoff { error, until: Instant::now() + pause, revision });
    }

    /// Records that an attempt for an object ended before it was announced. The journal does not show it.
    pub fn attempt_ended_unannounced(&self, uid: &Uid) {
        self.inner.lock().objects.entry(uid.clone()).or_default().unannounced_attempt = true;
    }

    /// Whether an attempt for an object ended before it was announced, since the object was last in order.
    #[must_use]
    pub fn had_unannounced_attempt(&self, uid: &Uid) -> bool {
        self.inner.lock().objects.get(uid).is_some_and(|object| object.unannounced_attempt)
    }

    /// What the decision gets from this memory.
    #[must_use]
    pub fn recall(
        &self,
        uid: &Uid,
        revision: &RequestRevision,
        open: Option<OpenEntry<'_>>,
    ) -> Circumstances {
        let outcome = open.map(|open| self.outcome(open));
        let inner = self.inner.lock();
        let backoff = inner.objects.get(uid).and_then(|object| object.backoff.as_ref());
        let backoff = backoff.filter(|held| held.revision == *revision).and_then(|held| {
            let remaining = held.until.saturating_duration_since(Instant::now());
            (!remaining.is_zero()).then(|| AttemptBackoff { error: held.error.clone(), remaining })
        });
        Circumstances { outcome, backoff, ..Circumstances::default() }
    }

    /// Whether an attempt for a tenant has an unknown outcome, and its grace period lasts.
    #[must_use]
    pub fn in_grace_period(&self, key: &TenantKey) -> bool {
        self.inner.lock().tracker.in_grace_period(key, Instant::now())
    }

    /// The platform's acceptance of an attempt for a tenant, if this process did not see its entry resolved.
    #[must_use]
    pub fn accepted(&self, key: &TenantKey) -> Option<Acceptance> {
        self.inner.lock().tracker.accepted(key, Instant::now())
    }

    /// Counts a failed read for an object, and returns the number of failures in a row.
    #[must_use]
    pub fn count_failure(&self, uid: &Uid) -> u32 {
        let mut inner = self.inner.lock();
        let object = inner.objects.entry(uid.clone()).or_default();
        object.failures = object.failures.saturating_add(1);
        object.failures
    }

    /// Counts a reconcile of a stale cache, and returns the number of them in a row.
    ///
    /// It is no failure: a slow watch is no reason to read the platform less often.
    #[must_use]
    pub fn count_stale(&self, uid: &Uid) -> u32 {
        let mut inner = self.inner.lock();
        let object = inner.objects.entry(uid.clone()).or_default();
        object.stale = object.stale.saturating_add(1);
        object.stale
    }

    /// Records that version `before` was replaced, by `after` if a status write did it. A cache that still shows
    /// `before` is stale.
    pub fn expect_version(&self, uid: &Uid, before: Option<&str>, after: Option<&str>) {
        let Some(before) = before.filter(|before| Some(*before) != after) else { return };
        let mut inner = self.inner.lock();
        let overwritten = &mut inner.objects.entry(uid.clone()).or_default().overwritten;
        overwritten.push_back(before.to_owned());
        if overwritten.len() > OVERWRITTEN {
            overwritten.pop_front();
        }
    }

    /// Whether this version of an object is known to be replaced.
    #[must_use]
    pub fn is_overwritten(&self, uid: &Uid, version: Option<&str>) -> bool {
        let inner = self.inner.lock();
        let overwritten = inner.objects.get(uid).map(|object| &object.overwritten);
        overwritten.is_some_and(|versions| versions.iter().any(|old| Some(old.as_str()) == version))
    }

    /// Records that the watch shows this version of an object. It never shows an earlier one again.
    pub fn observed_version(&self, uid: &Uid, version: Option<&str>) {
        let Some(shown) = version else { return };
        let mut inner = self.inner.lock();
        let Some(object) = inner.objects.get_mut(uid) else { return };
        object.overwritten.retain(|old| !is_older_version(old, shown));
        if object.overwritten.is_empty() {
            object.stale = 0;
        }
        inner.tidy(uid);
    }

    /// Clears failures, backoff and requested proof of an object that is in order.
    pub fn clear(&self, uid: &Uid) {
        let mut inner = self.inner.lock();
        if let Some(object) = inner.objects.get_mut(uid) {
            object.failures = 0;
            object.stale = 0;
            object.failed_attempts = 0;
            object.backoff = None;
            object.unannounced_attempt = false;
            object.proof_wanted = None;
            inner.tidy(uid);
        }
    }

    /// Records that the object requests a switch of a tenant that it names by name. Returns when it first did.
    ///
    /// A listing that begins after that time proves the name, until the object is in order or gone.
    pub fn want_proof(&self, uid: &Uid) -> Instant {
        let mut inner = self.inner.lock();
        let object = inner.objects.entry(uid.to_owned()).or_default();
        *object.proof_wanted.get_or_insert_with(Instant::now)
    }

    /// Since when a proof of the name is required.
    #[must_use]
    pub fn proof_wanted_since(&self, uid: &Uid) -> Option<Instant> {
        self.inner.lock().objects.get(uid)?.proof_wanted
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &Uid) {
        let mut inner = self.inner.lock();
        inner.objects.remove(uid);
        inner.resolved.remove(uid);
    }
}

#[cfg(test)]
mod tests;
