//! What the process remembers between two passes over an object. All of it may be lost without harm: the
//! journal and the platform hold the truth.

mod attempts;
mod own_status;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) use self::attempts::AttemptTracker;
pub use self::own_status::{Foreign, Mends};
use super::{
    decide::pause_after,
    facts::{Acceptance, AttemptOutcome, Hold, Memory},
    journal::OpenEntry,
};
use crate::{
    api::{TenantPricing, TenantPricingStatus},
    cluster::{Key, Uid},
    index::TenantKey,
    platform::PlatformError,
};

/// So many versions of an object are remembered to be old: a switch makes two.
const OVERWRITTEN: usize = 4;

/// The memory of one process. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct ReconcileState {
    inner: Arc<Mutex<Inner>>,
    mends: Mends,
}

#[derive(Debug, Default)]
struct Inner {
    tracker: AttemptTracker,
    objects: HashMap<Uid, ObjectMemory>,
    /// When the last attempt for an object was resolved, or its last look taken: of the objects that this process
    /// switched.
    resolved: HashMap<Uid, Instant>,
}

#[derive(Debug, Default)]
struct ObjectMemory {
    /// Looks that failed in a row.
    failures: u32,
    /// Passes in a row that came too early: what they were to work on was not shown by the watch yet.
    early: u32,
    /// The resource versions that the last statuses were written over.
    overwritten: VecDeque<String>,
    /// Attempts to switch that failed in a row, for what was asked in `hold`.
    failed_attempts: u32,
    hold: Option<(PlatformError, Instant, Asked)>,
    /// Since when a switch is asked for whose tenant is named by name: a listing that began later proves the name.
    proof_wanted: Option<Instant>,
}

/// What an object, its annotations and its connection said when an attempt failed: any change lifts the hold.
pub type Asked = (Option<i64>, Option<String>, Option<String>);

/// The right to begin an attempt for a tenant. Given back when dropped.
#[derive(Debug)]
pub struct Claim {
    reconcile_state: ReconcileState,
    key: TenantKey,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.reconcile_state.lock().tracker.release(&self.key);
    }
}

impl Inner {
    /// Keeps nothing of an object of which there is nothing to remember.
    fn tidy(&mut self, uid: &Uid) {
        let nothing = |object: &ObjectMemory| {
            object.failures == 0
                && object.early == 0
                && object.failed_attempts == 0
                && object.hold.is_none()
                && object.proof_wanted.is_none()
                && object.overwritten.is_empty()
        };
        if self.objects.get(uid).is_some_and(nothing) {
            self.objects.remove(uid);
        }
    }
}

impl ReconcileState {
    /// The statuses of this process, where others wrote over them.
    #[must_use]
    pub fn mends(&self) -> &Mends {
        &self.mends
    }

    /// The watch shows an object, with another status than before. Says so if others wrote it. An open attempt that
    /// it hides keeps other attempts for its tenant waiting from now on, restored or not.
    #[must_use]
    pub fn shown_status(
        &self,
        key: &Key,
        before: Option<&TenantPricingStatus>,
        object: &TenantPricing,
        now: Timestamp,
    ) -> Option<Foreign> {
        let foreign = self.mends.shown(key, before, object)?;
        if let Some(status) = self.mends.hidden(key, object) {
            let own = TenantPricing { status: Some(status), ..object.clone() };
            if let Some(open) = OpenEntry::of(&own, now) {
                let _ = self.outcome(open);
            }
        }
        Some(foreign)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The maps are valid between any two statements, so a poisoned lock loses nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a tenant for one attempt. `None` while another attempt for it is under way, or while one whose
    /// outcome is not known is not old enough.
    #[must_use]
    pub fn claim(&self, key: &TenantKey) -> Option<Claim> {
        if !self.lock().tracker.claim(key, Instant::now()) {
            return None;
        }
        Some(Claim { reconcile_state: self.clone(), key: key.clone() })
    }

    /// What is known of an open entry. Seeing it for the first time starts its quiet time.
    #[must_use]
    pub fn outcome(&self, open: OpenEntry<'_>) -> AttemptOutcome {
        self.lock().tracker.outcome(open.attempt_id, open.tenant, open.accepted, Instant::now())
    }

    /// Records what is known of an attempt of this process. An unknown outcome starts its quiet time now: the
    /// request ended only now.
    pub fn record(&self, attempt_id: &str, tenant: &TenantKey, outcome: AttemptOutcome) {
        self.lock().tracker.record(attempt_id, tenant, outcome, Instant::now());
    }

    /// The entry of an attempt is closed or completed.
    pub fn resolved(&self, attempt_id: &str) {
        self.lock().tracker.resolved(attempt_id);
    }

    /// The journal of an object was resolved just now, or its tenant read for the last look: what was seen of it
    /// before may be from before a switch, and must not be taken for a return to trial.
    pub fn invalidate_reads(&self, uid: &Uid) {
        self.lock().resolved.insert(uid.clone(), Instant::now());
    }

    /// Whether a look for an object was begun before its journal was resolved.
    #[must_use]
    pub fn is_outdated(&self, uid: &Uid, begun: Instant) -> bool {
        self.lock().resolved.get(uid).is_some_and(|resolved| *resolved >= begun)
    }

    /// Keeps the next attempt for an object waiting after a failed one, longer each time, until something
    /// that it depends on changes. `slow` is the longest pause.
    pub fn hold(&self, uid: &Uid, error: PlatformError, asked: Asked, slow: Duration) {
        let mut inner = self.lock();
        let object = inner.objects.entry(uid.clone()).or_default();
        // What was changed since may have mended it: the pauses grow anew.
        let is_asked_again = object.hold.as_ref().is_some_and(|(_, _, before)| *before != asked);
        object.failed_attempts = if is_asked_again { 1 } else { object.failed_attempts.saturating_add(1) };
        let pause = pause_after(&error, object.failed_attempts, slow);
        object.hold = Some((error, Instant::now() + pause, asked));
    }

    /// What is to be handed to the decision.
    #[must_use]
    pub fn recall(&self, uid: &Uid, asked: &Asked, open: Option<OpenEntry<'_>>) -> Memory {
        let outcome = open.map(|open| self.outcome(open));
        let inner = self.lock();
        let hold = inner.objects.get(uid).and_then(|object| object.hold.as_ref());
        let hold = hold.filter(|(_, _, then)| then == asked).and_then(|(error, until, _)| {
            let remaining = until.saturating_duration_since(Instant::now());
            (!remaining.is_zero()).then(|| Hold { error: error.clone(), remaining })
        });
        Memory { outcome, hold, ..Memory::default() }
    }

    /// Whether an attempt for a tenant has an outcome that is not known yet.
    #[must_use]
    pub fn in_grace_period(&self, key: &TenantKey) -> bool {
        self.lock().tracker.in_grace_period(key, Instant::now())
    }

    /// That the platform accepted an attempt for a tenant whose entry this process did not see resolved.
    #[must_use]
    pub fn accepted(&self, key: &TenantKey) -> Option<Acceptance> {
        self.lock().tracker.accepted(key, Instant::now())
    }

    /// Counts a failure of looking at an object and returns how many there were in a row.
    #[must_use]
    pub fn count_failure(&self, uid: &Uid) -> u32 {
        let mut inner = self.lock();
        let object = inner.objects.entry(uid.clone()).or_default();
        object.failures = object.failures.saturating_add(1);
        object.failures
    }

    /// Counts a pass that came too early and returns how many there were in a row. It is no failure: how long a
    /// watch takes says nothing of how soon the platform may be asked again.
    #[must_use]
    pub fn count_stale(&self, uid: &Uid) -> u32 {
        let mut inner = self.lock();
        let object = inner.objects.entry(uid.clone()).or_default();
        object.early = object.early.saturating_add(1);
        object.early
    }

    /// A status was written over the version `before`, which made it `after`: a cache that still shows the
    /// former is behind.
    pub fn overwrote(&self, uid: &Uid, before: Option<&str>, after: Option<&str>) {
        let Some(before) = before.filter(|before| Some(*before) != after) else { return };
        let mut inner = self.lock();
        let overwritten = &mut inner.objects.entry(uid.clone()).or_default().overwritten;
        overwritten.push_back(before.to_owned());
        if overwritten.len() > OVERWRITTEN {
            overwritten.pop_front();
        }
    }

    /// Whether this version of an object is one that a status was written over.
    #[must_use]
    pub fn is_overwritten(&self, uid: &Uid, version: Option<&str>) -> bool {
        let inner = self.lock();
        let overwritten = inner.objects.get(uid).map(|object| &object.overwritten);
        overwritten.is_some_and(|versions| versions.iter().any(|old| Some(old.as_str()) == version))
    }

    /// The watch shows this version of an object: what was overwritten before it is not going to be seen again.
    pub fn shown(&self, uid: &Uid, version: Option<&str>) {
        // Versions are numbers that grow; of any other kind nothing is concluded.
        let number = |version: &str| version.parse::<u64>().ok();
        let Some(shown) = version.and_then(number) else { return };
        let mut inner = self.lock();
        let Some(object) = inner.objects.get_mut(uid) else { return };
        object.overwritten.retain(|old| number(old).is_none_or(|old| old >= shown));
        if object.overwritten.is_empty() {
            object.early = 0;
        }
        inner.tidy(uid);
    }

    /// All is well with an object: nothing is held against it.
    pub fn clear(&self, uid: &Uid) {
        let mut inner = self.lock();
        if let Some(object) = inner.objects.get_mut(uid) {
            object.failures = 0;
            object.early = 0;
            object.failed_attempts = 0;
            object.hold = None;
            object.proof_wanted = None;
            inner.tidy(uid);
        }
    }

    /// A switch is asked for whose tenant is named by name. From the first time on, until all is well or the object
    /// is gone, a listing that begins proves the name. Returns when that was.
    pub fn want_proof(&self, uid: &Uid) -> Instant {
        let mut inner = self.lock();
        let object = inner.objects.entry(uid.to_owned()).or_default();
        *object.proof_wanted.get_or_insert_with(Instant::now)
    }

    /// Since when a proof of the name is wanted.
    #[must_use]
    pub fn proof_wanted_since(&self, uid: &Uid) -> Option<Instant> {
        self.lock().objects.get(uid)?.proof_wanted
    }

    /// An object is gone.
    pub fn forget(&self, uid: &Uid) {
        let mut inner = self.lock();
        inner.objects.remove(uid);
        inner.resolved.remove(uid);
    }
}

#[cfg(test)]
mod tests;
