//! The statuses of this process that others overwrote.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    api::{Journal, Phase, TenantPricing, TenantPricingStatus, conditions},
    cluster::{Authorship, Key, ON_THEIR_WAY, OwnedStatus, is_older_version, own_digest, shows_at_least},
};

/// Remembers the last status of this process for objects that store another one. Cheap to clone; clones share
/// everything.
///
/// Nothing is remembered of an object whose own status is stored. What a restart loses is read from the platform again.
#[derive(Clone, Debug, Default)]
pub struct OwnStatuses {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    authorship: Authorship,
    /// The last statuses that this process began to write, until the watch shows them.
    written: HashMap<Key, VecDeque<TenantPricingStatus>>,
    /// The last own status of objects that show a foreign one.
    overwritten: HashMap<Key, Own>,
    /// The last stored own status of objects with an open attempt.
    open: HashMap<Key, Own>,
    /// The objects whose open attempt is about to be restored.
    restoring: HashSet<Key>,
}

#[derive(Clone, Debug)]
struct Own {
    uid: String,
    /// The version of the object that showed the stored status: this one, or the foreign one that replaced it.
    version: Option<String>,
    status: Box<TenantPricingStatus>,
}

impl Own {
    fn new(object: &TenantPricing, status: &TenantPricingStatus) -> Self {
        Self {
            uid: uid(object).to_owned(),
            version: object.metadata.resource_version.clone(),
            status: Box::new(status.clone()),
        }
    }

    fn is_of(&self, object: &TenantPricing) -> bool {
        self.uid == uid(object)
    }

    /// Whether an object is an older version than the one that showed the stored status.
    fn is_after(&self, object: &TenantPricing) -> bool {
        let (Some(shown), Some(of_object)) = (&self.version, &object.metadata.resource_version) else {
            return false;
        };
        is_older_version(of_object, shown)
    }
}

/// A status that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// How long to wait before the own status is written again.
    pub pause: Duration,
    /// Whether it hides an open attempt of this process.
    pub hides_attempt: bool,
}

/// The maximum time until the entry of an open attempt is restored. Until then a user can remove `mode`, because the
/// API admission does not see the open attempt.
const RESTORED_WITHIN: Duration = Duration::from_secs(1);

impl Foreign {
    /// How long to wait before the entry of an open attempt is restored.
    #[must_use]
    pub fn restore_after(&self) -> Duration {
        self.pause.min(RESTORED_WITHIN)
    }
}

fn digest(status: &TenantPricingStatus) -> u64 {
    own_digest::<TenantPricing>(status)
}

fn uid(object: &TenantPricing) -> &str {
    object.metadata.uid.as_deref().unwrap_or_default()
}

impl Inner {
    /// Forgets what is known of an earlier object of the same name.
    fn forget_others(&mut self, key: &Key, object: &TenantPricing) {
        for known in [&mut self.overwritten, &mut self.open] {
            if known.get(key).is_some_and(|own| !own.is_of(object)) {
                known.remove(key);
            }
        }
    }

    /// Records that the status of this process is stored.
    fn mark_stored(&mut self, key: &Key, own: &Own) {
        self.overwritten.remove(key);
        self.remember_open(key, own);
    }

    /// Records that the watch shows the status with this digest, and no longer the ones before it.
    fn mark_observed(&mut self, key: &Key, shown: u64) {
        let Some(written) = self.written.get_mut(key) else { return };
        if let Some(at) = written.iter().rposition(|written| digest(written) == shown) {
            written.drain(..=at);
        }
        if written.is_empty() {
            self.written.remove(key);
        }
    }

    /// Records the own status as the latest one, if it has an open attempt.
    fn remember_open(&mut self, key: &Key, own: &Own) {
        if own.status.is_in_flight() {
            self.open.insert(key.clone(), own.clone());
        } else {
            self.open.remove(key);
        }
    }
}

impl OwnStatuses {
    /// Records that this process is about to write a status.
    pub fn expect_status(&self, key: &Key, status: &TenantPricingStatus) {
        let mut inner = self.inner.lock();
        inner.authorship.expect_status(key, digest(status));
        let written = inner.written.entry(key.clone()).or_default();
        written.push_back(status.clone());
        if written.len() > ON_THEIR_WAY {
            written.pop_front();
        }
    }

    /// Records that the expected status was not written.
    pub fn withdraw(&self, key: &Key, status: &TenantPricingStatus) {
        let mut inner = self.inner.lock();
        inner.authorship.withdraw(key, digest(status));
        let Some(written) = inner.written.get_mut(key) else { return };
        if let Some(at) = written.iter().rposition(|written| written == status) {
            written.remove(at);
        }
        if written.is_empty() {
            inner.written.remove(key);
        }
    }

    /// Records that this process wrote a status, and that `stored` is the object now.
    pub fn record_written(&self, key: &Key, status: &TenantPricingStatus, stored: &TenantPricing) {
        let own = Own::new(stored, status);
        let is_as_written = stored.status.as_ref().map(digest) == Some(digest(status));
        let mut inner = self.inner.lock();
        // If the watch has shown this status already, it may have shown a newer one since.
        if inner.authorship.is_expected(key, digest(status)) {
            inner.mark_stored(key, &own);
        }
        if !is_as_written {
            inner.overwritten.insert(key.clone(), own);
        }
    }

    /// Records that the watch shows another status of an object than before. Returns it if others wrote it.
    pub fn observe(
        &self,
        key: &Key,
        before: Option<&TenantPricingStatus>,
        object: &TenantPricing,
    ) -> Option<Foreign> {
        let unwritten = TenantPricingStatus::default();
        let status = object.status.as_ref().unwrap_or(&unwritten);
        let now = digest(status);
        let mut inner = self.inner.lock();
        inner.forget_others(key, object);
        if inner.authorship.recognize(key, now) {
            inner.authorship.mark_overwritten(key);
            inner.mark_stored(key, &Own::new(object, status));
            inner.mark_observed(key, now);
            return None;
        }
        if before.is_some_and(|before| digest(before) == now) {
            return None;
        }
        // The own write is stored, but a field of another manager is left. The status before it is obsolete.
        let mut written = inner.written.get(key).into_iter().flatten().rev();
        let incomplete = written.find(|written| shows_at_least::<TenantPricing>(status, written));
        if let Some(own) = incomplete.map(|written| Own::new(object, written)) {
            inner.remember_open(key, &own);
            inner.overwritten.insert(key.clone(), own);
        }
        let known = inner.open.get(key).or_else(|| inner.overwritten.get(key));
        let mut own = match known {
            Some(own) => Some(Own::new(object, &own.status)),
            None => before
                .filter(|before| is_written(before) && !is_succeeded(before, object))
                .map(|before| Own::new(object, &taken_over(before, object))),
        };
        if own.as_ref().is_some_and(|own| digest(&own.status) == now) {
            // The own status was restored.
            inner.overwritten.remove(key);
            return None;
        }
        if let Some(own) = own.as_mut().filter(|own| is_further(status, &own.status)) {
            *own.status = merged_with_stored(&own.status, status);
            inner.remember_open(key, own);
        }
        let attempt = own.as_ref().and_then(|own| attempt(&own.status)).map(str::to_owned);
        let hides_attempt = attempt.is_some() && attempt.as_deref() != self::attempt(status);
        match own {
            Some(own) => drop(inner.overwritten.insert(key.clone(), own)),
            None => drop(inner.overwritten.remove(key)),
        }
        Some(Foreign { pause: inner.authorship.record_foreign(key), hides_attempt })
    }

    /// The status to write over the stored one, if others wrote that.
    #[must_use]
    pub fn due(&self, key: &Key, object: &TenantPricing) -> Option<TenantPricingStatus> {
        let mut inner = self.inner.lock();
        let stored = object.status.clone().unwrap_or_default();
        let own = match inner.overwritten.get(key).filter(|own| own.is_of(object)) {
            // The watch has shown a newer version since. The next reconcile restores the status over that one.
            Some(own) if own.is_after(object) => return None,
            Some(own) => Some(own.status.clone()),
            None => {
                // The watch has not shown the foreign status yet.
                let open = inner.open.get(key).filter(|own| own.is_of(object) && !own.is_after(object));
                let hidden = open.filter(|own| attempt(&own.status) != attempt(&stored));
                hidden
                    .filter(|_| !inner.authorship.is_expected(key, digest(&stored)))
                    .map(|own| own.status.clone())
            }
        };
        inner.authorship.mark_overwritten(key);
        let merged = merged_with_stored(&*own?, &stored);
        if digest(&merged) == digest(&stored) {
            inner.overwritten.remove(key);
            return None;
        }
        Some(merged)
    }

    /// The own status with an open attempt that the stored status of an object hides.
    #[must_use]
    pub fn hidden(&self, key: &Key, object: &TenantPricing) -> Option<TenantPricingStatus> {
        let inner = self.inner.lock();
        let own = inner.overwritten.get(key).filter(|own| own.is_of(object))?;
        let stored = object.status.as_ref().and_then(attempt);
        (attempt(&own.status).is_some() && attempt(&own.status) != stored).then(|| (*own.status).clone())
    }

    /// Whether others wrote the stored status. No switch may begin on top of it.
    #[must_use]
    pub fn is_foreign(&self, object: &TenantPricing) -> bool {
        let (inner, key) = (self.inner.lock(), Key::of(object));
        [&inner.overwritten, &inner.open]
            .iter()
            .any(|known| known.get(&key).is_some_and(|own| own.is_of(object)))
    }

    /// Schedules the restore of an open attempt's entry after a pause. False if it is scheduled already.
    #[must_use]
    pub fn schedule_restore(&self, key: &Key) -> bool {
        self.inner.lock().restoring.insert(key.clone())
    }

    /// Records that the pause is over, and that the stored object is read now.
    pub fn restore_started(&self, key: &Key) {
        self.inner.lock().restoring.remove(key);
    }

    /// How long to wait before the own status is written over a foreign one.
    #[must_use]
    pub fn pause(&self, key: &Key) -> Option<Duration> {
        self.inner.lock().authorship.pause(key)
    }

    /// Nothing is written over a foreign status, because the object cannot be read.
    pub fn leave_foreign(&self, key: &Key) {
        self.inner.lock().authorship.mark_overwritten(key);
    }

    /// The API server refuses the own status as invalid: the stored one is judged as it is. An open attempt is kept.
    pub fn give_up(&self, key: &Key) {
        let mut inner = self.inner.lock();
        if inner.overwritten.get(key).is_some_and(|own| attempt(&own.status).is_none()) {
            inner.overwritten.remove(key);
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        let mut inner = self.inner.lock();
        inner.authorship.forget(key);
        inner.written.remove(key);
        inner.overwritten.remove(key);
        inner.open.remove(key);
    }

    /// Forgets everything, when a term begins or ends: another leader may have written the stored statuses.
    pub fn forget_all(&self) {
        *self.inner.lock() = Inner::default();
    }
}

/// Whether a controller ever wrote this status.
fn is_written(status: &TenantPricingStatus) -> bool {
    let has_conditions = status.conditions.iter().any(|condition| is_own(&condition.type_));
    has_conditions && (status.observed_generation >= 0 || attempt(status).is_some())
}

/// Whether a status that this process has not written follows an earlier one, as a former leader writes it after an
/// edit of the spec.
///
/// It is judged as it is. To restore the earlier status would take the observed generation back. No open attempt,
/// record of a switch, proof or pinned tenant of the earlier status may be missing in it.
fn is_succeeded(before: &TenantPricingStatus, object: &TenantPricing) -> bool {
    let Some(after) = object.status.as_ref().filter(|after| is_written(after)) else { return false };
    let is_newer = after.observed_generation > before.observed_generation
        && object.metadata.generation.is_some_and(|generation| after.observed_generation <= generation);
    let is_planned = matches!(before.phase(), Some(Phase::Scheduled) | None);
    is_newer
        && (is_planned || before.switch == after.switch)
        && (before.tenant_id.is_none() || before.tenant_id == after.tenant_id)
        && (!conditions::was_proven_past_trial(before) || conditions::was_proven_past_trial(after))
}

/// Whether this controller owns the conditions of a type.
fn is_own(kind: &str) -> bool {
    TenantPricing::OWNED_CONDITIONS.iter().any(|own| own.as_str() == kind)
}

/// The own status of an object that this process has not written yet: the one before the foreign status.
///
/// A former leader may write after this process has read the object. A tenant that it pinned stays pinned, if the
/// spec allows it. The earlier status may be foreign too, so its conditions get the generation of their status.
fn taken_over(before: &TenantPricingStatus, object: &TenantPricing) -> TenantPricingStatus {
    let mut own = before.clone();
    if own.tenant_id.is_none() {
        let pinned = object.status.as_ref().and_then(|status| status.tenant_id.clone());
        let asked = object.spec.tenant.id.as_deref();
        own.tenant_id = pinned.filter(|pinned| asked.is_none_or(|asked| asked == pinned));
    }
    // The API server refuses a negative generation. It stands for a status that no controller wrote.
    let generation = Some(own.observed_generation).filter(|generation| *generation >= 0);
    for condition in own.conditions.iter_mut().filter(|condition| is_own(&condition.type_)) {
        condition.observed_generation = generation.or(condition.observed_generation);
    }
    own
}

/// The id of the open attempt. Unlike [`open_attempt`](crate::pricing::journal::open_attempt), an entry without an id
/// has an empty one: two statuses of one object are compared here.
fn attempt(status: &TenantPricingStatus) -> Option<&str> {
    Some(status.open_journal()?.attempt_id.as_deref().unwrap_or_default())
}

/// Whether a stored status knows more of the open attempt than the own one: that it was accepted or completed.
///
/// An earlier leader may receive the answer, and store it, after this process has become leader.
fn is_further(stored: &TenantPricingStatus, own: &TenantPricingStatus) -> bool {
    let (Some(own), Some(stored)) = (&own.switch, &stored.switch) else { return false };
    let is_same = own.attempt_id.is_some() && own.attempt_id == stored.attempt_id;
    is_same
        && own.phase == Phase::InFlight
        && match stored.phase {
            Phase::Completed => true,
            Phase::InFlight => stored.accepted_at.is_some() && own.accepted_at.is_none(),
            Phase::Scheduled => false,
        }
}

/// The status to write over a foreign one: the own status, with three things kept from the stored one.
///
/// - The same attempt, if the stored status knows more of it. An accepted switch is never forgotten.
/// - An open attempt that this process does not know. Another installation may have begun it, and it is resolved by a
///   read like any other.
/// - A proof that the tenant is past trial. No switch follows such a proof.
fn merged_with_stored(own: &TenantPricingStatus, stored: &TenantPricingStatus) -> TenantPricingStatus {
    let weight = |status: &TenantPricingStatus| match status.phase() {
        Some(Phase::InFlight | Phase::Completed) => 1,
        Some(Phase::Scheduled) | None => 0,
    };
    let is_further = is_further(stored, own);
    let is_more = is_further || weight(stored) > weight(own);
    let is_proof = conditions::was_proven_past_trial(stored) && !conditions::was_proven_past_trial(own);
    let (journal, seen) = (if is_more { stored } else { own }, if is_proof { stored } else { own });
    let mut conditions = seen.conditions.clone();
    conditions.retain(|condition| is_own(&condition.type_));
    conditions.extend(stored.conditions.iter().filter(|condition| !is_own(&condition.type_)).cloned());
    let mut switch = journal.switch.clone();
    if is_further && stored.is_in_flight() {
        // Connection and platform of the attempt come from the own status.
        let accepted_at = switch.and_then(|switch| switch.accepted_at);
        switch = own.switch.clone().map(|own| Journal { accepted_at, ..own });
    }
    // An attempt belongs to the tenant in the same status.
    let tenant_id = own.tenant_id.clone().or_else(|| journal.tenant_id.clone());
    TenantPricingStatus { tenant_id, switch, observed: seen.observed.clone(), conditions, ..own.clone() }
}

#[cfg(test)]
mod tests;
