//! What happens to each object, decided by the controller's own rules. Pure.
//!
//! Nothing is decided a second time here. The rules of `pricing::decide` see the facts that the controller would see.
//! The index says which object owns a tenant. The account of the budget says who waits for whom.

mod budget;
mod decided;
mod entry;
mod knowledge;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
pub(crate) use knowledge::Knowledge;
use tokio::time::Instant;

use self::{
    decided::{Decided, decide_one, guessed_id, is_unread},
    entry::asks_for_production,
};
use super::{
    connections::{Effect, Links},
    document::{Change, Entry, Outcome},
    subject::Subject,
};
use crate::{api::TenantPricing, cluster::Key, index::Index, platform::TenantId};

/// Decides every subject at `now`, which is `instant` by the monotonic clock. `others` are the objects of the cluster
/// that the manifests do not touch.
pub(crate) fn entries(
    subjects: &[Subject],
    others: &[TenantPricing],
    knowledge: &Knowledge,
    now: Timestamp,
    instant: Instant,
) -> Vec<Entry> {
    let decisions = Decisions::on(subjects, others, knowledge, now, instant);
    let entries = subjects.iter().map(|subject| (subject.is_given, decisions.entry(subject)));
    entries
        .filter(|(is_given, entry)| *is_given || entry.change != Change::None)
        .map(|(_, entry)| entry)
        .collect()
}

/// Decides one subject, as [`entries`] does.
pub(crate) fn single(
    subject: &Subject,
    others: &[TenantPricing],
    knowledge: &Knowledge,
    now: Timestamp,
    instant: Instant,
) -> Entry {
    Decisions::on(std::slice::from_ref(subject), others, knowledge, now, instant).entry(subject)
}

/// The decisions on all subjects together, before the change and after it.
struct Decisions<'a> {
    before: Side<'a>,
    after: Side<'a>,
    knowledge: &'a Knowledge,
    now: Timestamp,
}

impl<'a> Decisions<'a> {
    fn on(
        subjects: &'a [Subject],
        others: &[TenantPricing],
        knowledge: &'a Knowledge,
        now: Timestamp,
        instant: Instant,
    ) -> Self {
        // Nothing is decided on an object whose stored state is not known.
        let known = || subjects.iter().filter(|subject| subject.unread.is_none());
        let after = known().filter_map(|subject| match &subject.rejected {
            // What the API server refuses stays as it is.
            Some(_) => subject.before.as_ref(),
            None => subject.after.as_ref(),
        });
        let before = known().filter_map(|subject| subject.before.as_ref());
        let changed =
            subjects.iter().filter(|subject| subject.is_changed()).map(|subject| &subject.key).collect();
        let side = |objects: Vec<&'a TenantPricing>, links: &'a Links| {
            Side::on(&objects, others, &changed, (knowledge, links), now, instant)
        };
        let (before, after) = (before.collect(), after.collect());
        Self { before: side(before, &knowledge.before), after: side(after, &knowledge.after), knowledge, now }
    }

    fn entry(&self, subject: &Subject) -> Entry {
        let (knowledge, now) = (self.knowledge, self.now);
        let earlier = self.before.decided.get(&subject.key);
        let mut entry = self.after.entry(subject, earlier, knowledge, now);
        let Some(after) = subject.after.as_ref().filter(|_| entry.change == Change::None) else {
            return entry;
        };
        // Only a comparison shows what something else brings about for an object that stays as it is.
        let before = self.before.entry(subject, None, knowledge, now);
        if is_same(&before, &entry) && !self.may_differ(after, &entry) {
            return entry;
        }
        entry.change = Change::Indirect;
        let labels = |object: &Option<TenantPricing>| object.as_ref()?.metadata.labels.clone();
        let cause = if knowledge.changes.contains_key(&after.connection_key()) {
            format!("PlatformConnection {} changes", after.connection_key())
        } else if labels(&subject.before) != labels(&subject.after) {
            "its labels change".to_owned()
        } else {
            "another object or connection changes".to_owned()
        };
        entry.message = format!("Its spec stays as it is, and {cause}. {}", entry.message);
        entry
    }

    /// Whether the change of its connection may bring about a switch that the decisions do not show.
    fn may_differ(&self, object: &TenantPricing, entry: &Entry) -> bool {
        if !asks_for_production(object) {
            return false;
        }
        let is_unknown = entry.outcome == Outcome::Unknown;
        match self.knowledge.effect(object) {
            Effect::None => false,
            Effect::Settings => is_unknown,
            Effect::Credentials => {
                is_unknown || matches!(entry.outcome, Outcome::SwitchNow | Outcome::SwitchLater)
            }
            Effect::Platform => true,
        }
    }
}

/// Whether both say the same about the bill.
fn is_same(one: &Entry, other: &Entry) -> bool {
    let is_at_rest = |entry: &Entry| matches!(entry.outcome, Outcome::NoSwitch | Outcome::Suspended);
    if is_at_rest(one) && is_at_rest(other) {
        return one.not_watched.is_some() == other.not_watched.is_some();
    }
    let of = |entry: &Entry| {
        let Entry { outcome, reason, in_days, billed_month, not_watched, .. } = entry.clone();
        (outcome, reason, in_days, billed_month, not_watched.is_some())
    };
    of(one) == of(other)
}

/// The decisions on the objects of one state of the cluster.
struct Side<'a> {
    decided: BTreeMap<Key, Decided<'a>>,
    /// When each switch is admitted.
    times: HashMap<Key, Timestamp>,
    links: &'a Links,
}

impl<'a> Side<'a> {
    fn on(
        objects: &[&'a TenantPricing],
        others: &[TenantPricing],
        changed: &BTreeSet<&Key>,
        (knowledge, links): (&Knowledge, &'a Links),
        now: Timestamp,
        instant: Instant,
    ) -> Self {
        let others: Vec<&TenantPricing> = others.iter().collect();
        let seen = |object: &TenantPricing| knowledge.read(object).tenant().cloned();
        let index = indexed(objects, &others, links, seen);
        let is_unread = |object: &&TenantPricing| is_unread(&knowledge.read(object));
        let guessed = objects.iter().copied().any(|object| is_unread(&object)).then(|| {
            let guess = |object: &TenantPricing| seen(object).or_else(|| guessed_id(object));
            indexed(objects, &others, links, guess)
        });
        let decide = |object: &&'a TenantPricing| {
            let decided = decide_one(object, (&index, guessed.as_ref()), (knowledge, links), now);
            (Key::of(*object), decided)
        };
        let mut decided: BTreeMap<Key, Decided<'a>> = objects.iter().map(decide).collect();
        let times = budget::admit(&mut decided, &index, changed, links, now, instant);
        Self { decided, times, links }
    }
}

/// The index of one state. `tenant` says which tenant was read for an object.
fn indexed(
    objects: &[&TenantPricing],
    others: &[&TenantPricing],
    links: &Links,
    tenant: impl Fn(&TenantPricing) -> Option<TenantId>,
) -> Index {
    let index = Index::default();
    for object in objects.iter().chain(others).copied() {
        // The triggered objects are decided anyway.
        drop(index.apply(&Key::of(object), object));
    }
    for object in objects.iter().copied() {
        if let Some(tenant) = tenant(object) {
            let connection = links.connections.get(&object.connection_key());
            let uid =
                connection.and_then(|connection| connection.metadata.uid.as_deref()).unwrap_or_default();
            drop(index.record_tenant(&Key::of(object), &tenant, uid));
        }
    }
    index
}
