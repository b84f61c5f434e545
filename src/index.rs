//! What all stored objects say together: which one owns a tenant, how much of each budget is used, and the counts for
//! metrics and status.
//!
//! The informer updates it ([`Index::apply`], [`Index::remove`]). Where the watch would be too late, a reconcile does
//! ([`Index::record_tenant`], [`Index::record_attempt`]). It holds what the spec and the status of the objects say. A
//! restart therefore loses only what it keeps about deleted objects.

mod budget_usage;
mod candidate;
mod counts;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

pub use budget_usage::CountedAttempt;
pub use candidate::Via;
#[cfg(feature = "cli")]
pub use counts::ConnectionCounts;
pub use counts::{Counts, UPCOMING_WINDOW};
use jiff::Timestamp;
use parking_lot::Mutex;
pub use record::{ObservedMode, Record};
use tokio::time::Instant;

use self::{
    budget_usage::BudgetUsage,
    candidate::Candidate,
    record::{Intent, UuidBits, number, short},
};
use crate::{
    api::{TenantPricing, TenantPricingStatus},
    cluster::Key,
    platform::{Origin, TenantId},
};

/// Identifies one tenant of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TenantKey {
    /// The platform, by its origin: two connections may lead to the same one.
    pub platform: Origin,
    /// The id of the tenant on it.
    pub tenant: TenantId,
}

/// An attempt of another object that the platform accepted, and whose tenant does not show production yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedAttempt {
    /// The object that the attempt was made for.
    pub object: Key,
    /// Whether the object is stalled: the tenant still shows trial after reads should have caught up.
    pub is_stalled: bool,
}

/// A switch of another object that this controller carried out, by the journal of that object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedAttempt {
    /// The object that the switch was made for.
    pub object: Key,
    /// When the attempt was announced. `None`: the journal does not say.
    pub announced: Option<Timestamp>,
}

/// An index over all objects. Cheap to clone; clones share their content.
#[derive(Clone, Debug, Default)]
pub struct Index {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    records: HashMap<Key, Record>,
    /// The objects that have read a tenant, by tenant.
    tenants: Tenants,
    /// One shared key for all objects that name a connection, with the number of those objects.
    connections: HashMap<Key, usize>,
    budget_usage: BudgetUsage,
    /// The connections whose tenants must be counted again.
    recount: BTreeSet<Key>,
}

/// Object keys by tenant.
#[derive(Debug)]
struct Tenants {
    entries: BTreeSet<(UuidBits, Key)>,
    /// A key that sorts before the key of every object.
    first: Key,
}

impl Index {
    /// Adds or updates an object that the watch delivered.
    ///
    /// Returns the other objects that must be reconciled because of the change. These are the objects that ask for a
    /// mode of the same tenant, if this one was created, was deleted, or changed its claim.
    #[must_use = "the returned objects must be enqueued"]
    pub fn apply(&self, key: &Key, object: &TenantPricing) -> Vec<Key> {
        let mut inner = self.inner.lock();
        let connection = inner.intern(&object.connection_key());
        let mut record = Record::of(object, connection);
        let before = inner.records.remove(key);
        if let Some(before) = &before {
            inner.release(&before.connection);
            record.carry_over(before);
            if before.uid != record.uid {
                inner.budget_usage.retain_deleted(before.uid, before.intent.as_deref());
            }
        }
        let shown = before.as_ref().filter(|before| before.uid == record.uid);
        let shown = shown.and_then(|before| before.intent.as_deref());
        inner.budget_usage.shown(key, record.uid, shown, record.intent.as_deref());
        inner.replace(key, before.as_ref(), record)
    }

    /// Removes a deleted object. Its last attempt still counts against the budget. Returns the same as
    /// [`Index::apply`].
    #[must_use = "the returned objects must be enqueued"]
    pub fn remove(&self, key: &Key) -> Vec<Key> {
        let mut inner = self.inner.lock();
        let Some(before) = inner.records.remove(key) else { return Vec::new() };
        inner.release(&before.connection);
        inner.budget_usage.retain_deleted(before.uid, before.intent.as_deref());
        inner.counts_change(Some(&before), None);
        if let Some(tenant) = before.tenant {
            inner.tenants.entries.remove(&(tenant, key.clone()));
        }
        inner.affected(key, Some(&before), None)
    }

    /// Records that this tenant was just read for an object through the connection with the uid `through`. The status
    /// of the object may not say so yet. Returns the same as [`Index::apply`].
    #[must_use = "the returned objects must be enqueued"]
    pub fn record_tenant(&self, key: &Key, tenant: &TenantId, through: &str) -> Vec<Key> {
        let (tenant, through) = (Some(record::tenant(tenant)), Some(short(through)));
        let mut inner = self.inner.lock();
        let is_news = |record: &&Record| match record.tenant {
            None => true,
            pinned => pinned == tenant && record.read_through != through,
        };
        // The key that is stored already, and not one more copy of it.
        let known = inner.records.get_key_value(key).filter(|(_, record)| is_news(record));
        let Some((key, before)) = known.map(|(key, record)| (key.clone(), record.clone())) else {
            return Vec::new();
        };
        let mut record = before.clone();
        (record.tenant, record.read_through) = (tenant, through);
        inner.replace(&key, Some(&before), record)
    }

    /// The connection that an object names. The key is empty if the object is not known.
    #[must_use]
    pub fn connection(&self, key: &Key) -> Key {
        let inner = self.inner.lock();
        inner.records.get(key).map_or_else(|| Key::new("", ""), |record| record.connection.clone())
    }

    /// The objects that name a connection.
    #[must_use]
    pub fn of_connection(&self, connection: &Key) -> Vec<Key> {
        self.inner.lock().keys(|record| record.connection == *connection)
    }

    /// The objects that name a connection, and whose status reports trouble with it or with the platform.
    #[must_use]
    pub fn in_trouble_with(&self, connection: &Key) -> Vec<Key> {
        let reports = |record: &Record| record.connection == *connection && record.speaks_of_the_connection();
        self.inner.lock().keys(reports)
    }

    /// The objects of a namespace, each with the connection that it names.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<(Key, Key)> {
        let inner = self.inner.lock();
        let of = inner.records.iter().filter(|(key, _)| key.namespace() == namespace);
        of.map(|(key, record)| (key.clone(), record.connection.clone())).collect()
    }

    /// The connections whose tenant counts may have changed since the last call.
    #[must_use]
    pub fn take_changed_counts(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.inner.lock().recount)
    }

    /// The other objects that ask for a mode of a tenant that an object of this connection has read. They must be
    /// reconciled when the connection is created, is deleted, or points to another platform.
    #[must_use]
    pub fn sharing_with(&self, connection: &Key) -> Vec<Key> {
        let inner = self.inner.lock();
        let mut sharing = BTreeSet::new();
        for (key, record) in inner.records.iter().filter(|(_, record)| record.connection == *connection) {
            let Some(tenant) = record.tenant else { continue };
            let others = inner.others(tenant, key).filter(|(_, other)| other.competes());
            sharing.extend(others.map(|(other, _)| other.clone()));
        }
        sharing.into_iter().collect()
    }

    /// The oldest other competitor for a tenant, if it is older than this object.
    ///
    /// An object with a mode competes unless it is suspended or being deleted. Its tenant must have been read through
    /// the present connection. That connection must admit it and lead to this platform. An object with an open attempt
    /// on this platform competes as well.
    ///
    /// Age is the creation time, then the namespace, then the name. `via` says where a connection leads, if the
    /// connection is present, admits the object and needs no person to fix it. It is called without any lock.
    pub fn older_owner(
        &self,
        key: &Key,
        tenant: &TenantKey,
        via: impl Fn(&Key, &Key) -> Option<Via>,
    ) -> Option<Key> {
        let mut older = self.older_candidates(key, tenant);
        older.sort_unstable_by(|one, other| one.age().cmp(&other.age()));
        let leads_here = |candidate: &Candidate| {
            let via = via(&candidate.connection, &candidate.key);
            via.is_some_and(|via| via.platform == tenant.platform && candidate.reads.reach_through(&via))
        };
        let owner = older.into_iter().find(|candidate| candidate.is_open_here || leads_here(candidate));
        owner.map(|owner| owner.key)
    }

    /// The older objects that own the tenant if their connections lead to its platform.
    fn older_candidates(&self, key: &Key, TenantKey { platform, tenant: id }: &TenantKey) -> Vec<Candidate> {
        let inner = self.inner.lock();
        let own = inner.records.get(key);
        let is_older = |other: &Record, name: &Key| own.is_none_or(|own| other.age(name) < own.age(key));
        let others = inner.others(record::tenant(id), key).filter(|(name, other)| is_older(other, name));
        others.filter_map(|(name, other)| Candidate::of(name, other, platform)).collect()
    }

    /// Whether another object has an open attempt for this tenant.
    #[must_use]
    pub fn sibling_open(&self, key: &Key, tenant: &TenantKey) -> bool {
        self.inner.lock().open_attempts(tenant, key).next().is_some()
    }

    /// The other object with an open attempt for this tenant, if that object is stalled. The outcome of such an attempt
    /// stays unknown until a person has acted.
    #[must_use]
    pub fn sibling_stalled(&self, key: &Key, tenant: &TenantKey) -> Option<Key> {
        let inner = self.inner.lock();
        let stalled = inner.open_attempts(tenant, key).find(|(_, other)| other.is_stalled());
        stalled.map(|(name, _)| name.clone())
    }

    /// The other object whose switch of this tenant the platform accepted, while the tenant does not show it yet.
    #[must_use]
    pub fn sibling_accepted(&self, key: &Key, tenant: &TenantKey) -> Option<AcceptedAttempt> {
        let inner = self.inner.lock();
        let accepted = inner.open_attempts(tenant, key).find(|(_, other)| other.is_accepted());
        accepted.map(|(name, other)| AcceptedAttempt { object: name.clone(), is_stalled: other.is_stalled() })
    }

    /// The other object whose journal says that this controller switched this tenant.
    #[must_use]
    pub fn sibling_completed(
        &self,
        key: &Key,
        TenantKey { platform, tenant: id }: &TenantKey,
    ) -> Option<CompletedAttempt> {
        let inner = self.inner.lock();
        let mut others = inner.others(record::tenant(id), key);
        let (name, other) = others.find(|(_, other)| other.is_switched_on(platform))?;
        Some(CompletedAttempt { object: name.clone(), announced: other.announced() })
    }

    /// Records that the tenant of an object is switched, if this status says that this controller switched it. The
    /// watch may deliver the status later.
    pub fn record_completion(&self, object: &TenantPricing, status: &TenantPricingStatus) {
        let Some(journal) = &status.switch else { return };
        let uid = number(object.metadata.uid.as_deref().unwrap_or_default());
        let mut inner = self.inner.lock();
        let record = inner.records.get_mut(&Key::of(object)).filter(|record| record.uid == uid);
        if let Some(record) = record {
            record.complete(journal);
        }
    }

    /// Records that this process has stored an open journal entry over the status of an object. The entry has this
    /// attempt id and this time. The watch will deliver it later.
    pub fn record_attempt(&self, object: &TenantPricing, attempt_id: &str, at: Timestamp) {
        let connection = object.connection_key();
        let attempt = record::attempt(attempt_id);
        let intent = Intent { connection, at: at.as_second(), attempt, counts: true };
        let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
        let earlier = journal.and_then(|journal| record::intent(journal, &intent.connection));
        let uid = number(object.metadata.uid.as_deref().unwrap_or_default());
        self.inner.lock().budget_usage.announced(&Key::of(object), uid, earlier.as_ref(), &intent);
    }

    /// Records that the open attempt of an object had no effect, before the watch says so. The budget gets its place
    /// back.
    ///
    /// While the object exists, the place comes back when the store shows it: now if `is_stored`, otherwise when the
    /// watch shows it. So a process that restarts counts the same.
    pub fn returned(&self, object: &TenantPricing, is_stored: bool) {
        let Some(journal) = object.status.as_ref().and_then(|status| status.switch.as_ref()) else { return };
        let Some(intent) = record::intent(journal, &object.connection_key()) else { return };
        let uid = number(object.metadata.uid.as_deref().unwrap_or_default());
        let mut inner = self.inner.lock();
        let is_there = inner.records.get(&Key::of(object)).is_some_and(|record| record.uid == uid);
        if is_there {
            inner.budget_usage.returned(uid, &intent, is_stored);
        } else {
            inner.budget_usage.returned_of_gone(uid, &intent);
        }
    }

    /// The attempts of a connection that were announced after `since` and took effect, or may have.
    ///
    /// The last attempt of each object counts, also of deleted objects. `now` is the time by the monotonic clock.
    #[must_use]
    pub fn attempts_since(&self, connection: &Key, since: Timestamp, now: Instant) -> Vec<CountedAttempt> {
        self.inner.lock().budget_usage.since(connection, since.as_second(), now)
    }

    /// The connections whose budget may have room again since the last call.
    #[must_use]
    pub fn take_freed_budgets(&self) -> BTreeSet<Key> {
        self.inner.lock().budget_usage.take_freed_budgets()
    }

    /// The objects whose tenant is in trial, and is switched by the platform after `from` and not after `to`.
    #[must_use]
    pub fn trials_ending(&self, from: Timestamp, to: Timestamp) -> Vec<Key> {
        let ends = |record: &Record| record.trial_ends().is_some_and(|ends| from < ends && ends <= to);
        self.inner.lock().keys(ends)
    }

    /// The counts of objects and tenants, for each connection.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> Counts {
        let inner = self.inner.lock();
        let repeated = inner.repeated();
        let mut counts = Counts::default();
        for (key, record) in &inner.records {
            counts.count(record, repeated.contains(key), now);
        }
        counts
    }
}

impl Inner {
    /// The objects that match `which`.
    fn keys(&self, which: impl Fn(&Record) -> bool) -> Vec<Key> {
        self.records.iter().filter(|(_, record)| which(record)).map(|(key, _)| key.clone()).collect()
    }

    /// Replaces the record of an object. Returns the other objects that the change affects.
    fn replace(&mut self, key: &Key, before: Option<&Record>, now: Record) -> Vec<Key> {
        let was = before.and_then(|before| before.tenant);
        if was != now.tenant {
            if let Some(tenant) = was {
                self.tenants.entries.remove(&(tenant, key.clone()));
            }
            if let Some(tenant) = now.tenant {
                self.tenants.entries.insert((tenant, key.clone()));
            }
        }
        let affected = self.affected(key, before, Some(&now));
        self.counts_change(before, Some(&now));
        self.records.insert(key.clone(), now);
        affected
    }

    /// Marks the connections whose counts a change affects.
    fn counts_change(&mut self, before: Option<&Record>, now: Option<&Record>) {
        if before.map(Record::counted_part) != now.map(Record::counted_part) {
            self.recount.extend([before, now].into_iter().flatten().map(|record| record.connection.clone()));
        }
    }

    /// The other objects that a change of this one affects. These are the younger objects, if this one is or was their
    /// older owner. When an attempt begins or ends, these are also the objects that may act next.
    ///
    /// Most of ten thousand objects with one tenant do not affect each other, so they are not returned.
    fn affected(&self, key: &Key, before: Option<&Record>, now: Option<&Record>) -> Vec<Key> {
        if before.and_then(Record::ownership_claim) == now.and_then(Record::ownership_claim) {
            return Vec::new();
        }
        let both = || [before, now].into_iter().flatten();
        let is_open = both().any(Record::is_open);
        let mut tenants: Vec<_> = both().filter_map(|record| record.tenant).collect();
        tenants.dedup();
        let mut affected = Vec::new();
        for tenant in tenants {
            let competitors = || self.others(tenant, key).filter(|(_, other)| other.competes());
            let is_younger =
                |(name, other): (&Key, &Record)| both().any(|own| own.age(key) < other.age(name));
            // An object that surely leads to the same platform and comes before this one, whatever happens to this one.
            let goes_before = |own: &Record, (name, other): (&Key, &Record)| {
                other.claims() && other.connection == own.connection && other.age(name) < own.age(key)
            };
            let acts = is_open || both().any(|own| !competitors().any(|other| goes_before(own, other)));
            let successors = if is_open { oldest_by_connection(competitors()) } else { Vec::new() };
            let concerned =
                competitors().filter(|other| (acts && is_younger(*other)) || successors.contains(&other.0));
            affected.extend(concerned.map(|(name, _)| name.clone()));
        }
        affected
    }

    /// The other objects that have read a tenant.
    fn others<'a>(&'a self, tenant: UuidBits, key: &'a Key) -> impl Iterator<Item = (&'a Key, &'a Record)> {
        let names = self.tenants.of(tenant).filter(move |name| *name != key);
        names.filter_map(|name| Some((name, self.records.get(name)?)))
    }

    /// The other objects with an open attempt for a tenant.
    fn open_attempts<'a>(
        &'a self,
        TenantKey { platform, tenant: id }: &'a TenantKey,
        key: &'a Key,
    ) -> impl Iterator<Item = (&'a Key, &'a Record)> {
        self.others(record::tenant(id), key).filter(|(_, other)| other.is_open_on(platform))
    }

    /// The objects that name the same tenant and the same connection as another object. Of each such set, one is left
    /// out: preferably one that the connection admits, and of these one that asks for a mode.
    fn repeated(&self) -> BTreeSet<Key> {
        let mut repeated = BTreeSet::new();
        let mut run: (Option<UuidBits>, Vec<(&Key, &Record)>) = (None, Vec::new());
        let rank = |record: &Record| (!record.is_refused(), record.desired().is_some());
        for (tenant, key) in &self.tenants.entries {
            let Some(record) = self.records.get(key) else { continue };
            if run.0 != Some(*tenant) {
                run = (Some(*tenant), Vec::new());
            }
            match run.1.iter_mut().find(|(_, counted)| counted.connection == record.connection) {
                None => run.1.push((key, record)),
                Some(counted) if rank(record) > rank(counted.1) => {
                    repeated.insert(counted.0.clone());
                    *counted = (key, record);
                }
                Some(_) => {
                    repeated.insert(key.clone());
                }
            }
        }
        repeated
    }

    fn intern(&mut self, connection: &Key) -> Key {
        let known = self.connections.get_key_value(connection).map(|(known, _)| known.clone());
        let known = known.unwrap_or_else(|| connection.clone());
        *self.connections.entry(known.clone()).or_default() += 1;
        known
    }

    fn release(&mut self, connection: &Key) {
        if let Some(count) = self.connections.get_mut(connection) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(connection);
            }
        }
    }
}

/// The oldest object of each connection.
fn oldest_by_connection<'a>(objects: impl Iterator<Item = (&'a Key, &'a Record)>) -> Vec<&'a Key> {
    let mut oldest: HashMap<&Key, (&Key, &Record)> = HashMap::new();
    for (name, record) in objects {
        let first = oldest.entry(&record.connection).or_insert((name, record));
        if record.age(name) < first.1.age(first.0) {
            *first = (name, record);
        }
    }
    oldest.into_values().map(|(name, _)| name).collect()
}

impl Default for Tenants {
    fn default() -> Self {
        Self { entries: BTreeSet::new(), first: Key::new("", "") }
    }
}

impl Tenants {
    fn of(&self, tenant: UuidBits) -> impl Iterator<Item = &Key> {
        let from = self.entries.range((tenant, self.first.clone())..);
        from.take_while(move |(of, _)| *of == tenant).map(|(_, key)| key)
    }
}
