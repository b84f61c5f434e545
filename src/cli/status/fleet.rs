//! All objects of a scope, and what follows from them together. Pure.
//!
//! The index counts objects and tenants, and the account of the budget says how much of it is used: both are those of
//! the controller.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::time::Instant;

use super::document::{
    Automatic, BudgetView, ConnectionView, InFlight, ModeCount, ObjectState, ObjectView, SCHEMA, Scheduled,
    Stall, StalledObject, Status, Subject,
};
use crate::{
    api::{ConditionType, DesiredMode, NamespacesFrom, Phase, PlatformConnection, TenantPricing, conditions},
    cli::{
        cluster::scope::Scope,
        output::{remedies, time::month},
    },
    cluster::Key,
    index::{ConnectionCounts, Index, ObservedMode},
    pricing::{account, budget::Budget, schedule::Clocks, status::events::automatic_switch},
};

/// The objects and connections of a scope.
#[derive(Default)]
pub(crate) struct Fleet {
    index: Index,
    objects: BTreeMap<Key, Entry>,
    connections: BTreeMap<Key, PlatformConnection>,
    /// Why a connection that an object names is not known, if it is known why.
    missing: BTreeMap<Key, String>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// What is kept of one object.
struct Entry {
    view: ObjectView,
    in_flight: Option<InFlight>,
}

impl Fleet {
    /// Adds an object, or replaces an earlier version of it. Returns the earlier view.
    pub(crate) fn apply(&mut self, object: &TenantPricing) -> Option<ObjectView> {
        let key = Key::of(object);
        // The controller enqueues the returned objects. Here nothing is reconciled.
        drop(self.index.apply(&key, object));
        let view = view(object);
        let in_flight = in_flight(object, &view);
        self.objects.insert(key, Entry { view, in_flight }).map(|entry| entry.view)
    }

    /// Removes an object that was deleted. Returns its last view.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<ObjectView> {
        drop(self.index.remove(key));
        self.objects.remove(key).map(|entry| entry.view)
    }

    /// The view of an object.
    pub(crate) fn view(&self, key: &Key) -> Option<&ObjectView> {
        self.objects.get(key).map(|entry| &entry.view)
    }

    /// The objects, by namespace and name.
    pub(crate) fn views(&self) -> impl Iterator<Item = &ObjectView> {
        self.objects.values().map(|entry| &entry.view)
    }

    /// The keys of the objects.
    pub(crate) fn keys(&self) -> BTreeSet<Key> {
        self.objects.keys().cloned().collect()
    }

    /// Adds a connection, or replaces an earlier version of it.
    pub(crate) fn apply_connection(&mut self, connection: PlatformConnection) {
        let key = Key::of(&connection);
        self.missing.remove(&key);
        self.connections.insert(key, connection);
    }

    /// Removes a connection that was deleted.
    pub(crate) fn remove_connection(&mut self, key: &Key) {
        self.connections.remove(key);
    }

    /// The keys of the connections that are known.
    pub(crate) fn connection_keys(&self) -> BTreeSet<Key> {
        self.connections.keys().cloned().collect()
    }

    /// The connections that objects name and that are not known.
    pub(crate) fn unknown_connections(&self) -> BTreeSet<Key> {
        let named = self.views().filter_map(|view| view.connection.split_once('/'));
        let named = named.map(|(namespace, name)| Key::new(namespace, name));
        named.filter(|key| !self.connections.contains_key(key) && !self.missing.contains_key(key)).collect()
    }

    /// Records why a connection is not known.
    pub(crate) fn is_missing(&mut self, key: Key, why: String) {
        self.connections.remove(&key);
        self.missing.insert(key, why);
    }

    /// What the objects say together at `now`, which is `instant` by the monotonic clock. Automatic switches are those
    /// until `until`.
    pub(crate) fn status(&self, scope: &Scope, now: Timestamp, until: Timestamp, instant: Instant) -> Status {
        let counts = self.index.counts(now);
        let mut total = ObservedMode::ALL.map(|mode| mode_count(&ConnectionCounts::default(), mode));
        for counts in counts.connections.values() {
            for (sum, mode) in total.iter_mut().zip(ObservedMode::ALL) {
                let of = mode_count(counts, mode);
                sum.ready += of.ready;
                sum.not_ready += of.not_ready;
                sum.not_seen += of.not_seen;
            }
        }
        let keys: BTreeSet<&Key> = self.connections.keys().chain(counts.connections.keys()).collect();
        let none = ConnectionCounts::default();
        let connections = keys.into_iter().map(|key| {
            let counts = counts.connections.get(key).unwrap_or(&none);
            self.connection(key, counts, scope, now, instant)
        });
        Status {
            schema: SCHEMA.to_owned(),
            now,
            namespace: scope.namespace.clone(),
            selector: scope.selector.clone(),
            modes: total.into(),
            connections: connections.collect(),
            scheduled: sorted(self.views().filter_map(scheduled)),
            in_flight: sorted(self.objects.values().filter_map(|entry| entry.in_flight.clone())),
            stalled: stalls(self.views()),
            automatic: sorted(self.views().filter_map(|view| automatic(view, until))),
            automatic_until: until,
            objects: self.views().cloned().collect(),
            notes: self.notes.clone(),
        }
    }

    fn connection(
        &self,
        key: &Key,
        counts: &ConnectionCounts,
        scope: &Scope,
        now: Timestamp,
        instant: Instant,
    ) -> ConnectionView {
        let known = self.connections.get(key);
        let ready = known.map(|connection| {
            let status = connection.status.as_ref();
            status.and_then(|status| conditions::find(&status.conditions, ConditionType::Ready))
        });
        let reason = match ready {
            None => self.missing.get(key).map_or("NotFound", String::as_str),
            Some(None) => "NotSeen",
            Some(Some(ready)) => &ready.reason,
        };
        ConnectionView {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
            url: known.map(|connection| connection.spec.url.clone()),
            ready: ready.flatten().map(|ready| ready.status.clone()),
            reason: reason.to_owned(),
            modes: ObservedMode::ALL.map(|mode| mode_count(counts, mode)).into(),
            trial: counts.tenants.trial,
            production: counts.tenants.production,
            suspended: counts.tenants.suspended,
            unknown: counts.tenants.unknown,
            scheduled: counts.scheduled,
            budget: known.map(|connection| self.budget(key, connection, scope, now, instant)),
        }
    }

    fn budget(
        &self,
        key: &Key,
        connection: &PlatformConnection,
        scope: &Scope,
        now: Timestamp,
        instant: Instant,
    ) -> BudgetView {
        let budget = Budget::of(&connection.spec.switch.budget);
        let clocks = Clocks { controller: now, platform: now };
        let account = account(&self.index, key, budget, 0, clocks, instant);
        // The objects of all namespaces that the connection admits use the budget.
        let only_own = connection.spec.allowed_namespaces.from == NamespacesFrom::Same;
        let has_all =
            scope.namespace.as_deref().is_none_or(|namespace| only_own && namespace == key.namespace());
        BudgetView {
            count: budget.count,
            window: budget.window_in_words(),
            used: u32::try_from(account.exhausted(0, "").used).unwrap_or(u32::MAX),
            complete: has_all && scope.selector.is_none(),
            next_room: if account.has_room() { None } else { account.next(0) },
        }
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort();
    items
}

fn mode_count(counts: &ConnectionCounts, mode: ObservedMode) -> ModeCount {
    let not_seen = counts.not_seen(mode);
    ModeCount {
        mode: mode.as_str().to_owned(),
        ready: counts.objects(mode, true),
        not_ready: counts.objects(mode, false).saturating_sub(not_seen),
        not_seen,
    }
}

fn scheduled(view: &ObjectView) -> Option<Scheduled> {
    let at = view.scheduled_for?;
    Some(Scheduled {
        at,
        subject: subject(view),
        billed_month: month(at),
        reason: view.reason.clone().unwrap_or_default(),
    })
}

fn automatic(view: &ObjectView, until: Timestamp) -> Option<Automatic> {
    let at = view.automatic_switch.filter(|at| *at <= until)?;
    Some(Automatic { at, subject: subject(view), billed_month: month(at) })
}

fn stalls<'a>(views: impl Iterator<Item = &'a ObjectView>) -> Vec<Stall> {
    let mut by_reason: BTreeMap<&str, Vec<StalledObject>> = BTreeMap::new();
    for view in views.filter(|view| view.state == ObjectState::Stalled) {
        by_reason.entry(view.reason.as_deref().unwrap_or_default()).or_default().push(StalledObject {
            since: view.since,
            subject: subject(view),
            message: view.message.clone().unwrap_or_default(),
        });
    }
    let stall = |(reason, mut objects): (&str, Vec<StalledObject>)| {
        objects.sort();
        Stall { reason: reason.to_owned(), remedy: remedies::of_stall(reason), objects }
    };
    let mut stalls: Vec<Stall> = by_reason.into_iter().map(stall).collect();
    stalls.sort_by_key(|stall| std::cmp::Reverse(stall.objects.len()));
    stalls
}

/// An object as other parts of the report refer to it.
fn subject(view: &ObjectView) -> Subject {
    Subject { namespace: view.namespace.clone(), name: view.name.clone(), tenant: tenant(view).to_owned() }
}

/// The name of the tenant, or its id if the name is not known.
pub(crate) fn tenant(view: &ObjectView) -> &str {
    view.tenant_name.as_deref().or(view.tenant_id.as_deref()).unwrap_or_default()
}

fn in_flight(object: &TenantPricing, view: &ObjectView) -> Option<InFlight> {
    let journal = object.status.as_ref()?.switch.as_ref()?;
    (journal.phase == Phase::InFlight).then(|| InFlight {
        since: journal.intent_at.as_ref().map(|at| at.0),
        subject: subject(view),
        attempt: journal.attempts,
        accepted: journal.accepted_at.as_ref().map(|at| at.0),
    })
}

/// The condition that says how an object is doing.
pub(crate) fn telling(conditions: &[Condition]) -> Option<(ObjectState, &Condition)> {
    let of = |kind, state| conditions::find(conditions, kind).map(|condition| (state, condition));
    of(ConditionType::Stalled, ObjectState::Stalled)
        .or_else(|| of(ConditionType::Reconciling, ObjectState::Reconciling))
        .or_else(|| of(ConditionType::Ready, ObjectState::Ready))
}

/// The view of an object.
pub(crate) fn view(object: &TenantPricing) -> ObjectView {
    let key = Key::of(object);
    let status = object.status.as_ref();
    let observed = status.and_then(|status| status.observed.as_ref());
    let journal = status.and_then(|status| status.switch.as_ref());
    let reported = status.and_then(|status| telling(&status.conditions));
    let selector = &object.spec.tenant;
    // A switch that is held waits for no time, as in the counts of the connection.
    let waits = journal.filter(|journal| journal.phase == Phase::Scheduled && !object.spec.suspend);
    ObjectView {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        connection: object.connection_key().to_string(),
        tenant_id: status
            .and_then(|status| status.tenant_id.clone())
            .or_else(|| selector.id.as_deref().map(str::to_ascii_lowercase)),
        tenant_name: observed
            .and_then(|observed| observed.tenant_name.clone())
            .or_else(|| selector.name.clone()),
        desired: object.spec.mode.map(|mode| desired(mode).to_owned()),
        mode: observed.map(|observed| observed.mode.clone()),
        state: reported.map_or(ObjectState::NotSeen, |(state, _)| state),
        reason: reported.map(|(_, condition)| condition.reason.clone()),
        message: reported.map(|(_, condition)| condition.message.clone()),
        since: reported.map(|(_, condition)| condition.last_transition_time.0),
        outdated: status.map(|status| status.observed_generation) != object.metadata.generation,
        phase: journal.map(|journal| phase(journal.phase).to_owned()),
        scheduled_for: waits.and_then(|journal| journal.scheduled_for.as_ref()).map(|at| at.0),
        switched_at: journal.and_then(|journal| journal.completed_at.as_ref()).map(|at| at.0),
        automatic_switch: status.and_then(|status| automatic_switch(object, status)),
    }
}

/// The word for a mode that is asked for, as in a manifest.
pub(crate) fn desired(mode: DesiredMode) -> &'static str {
    match mode {
        DesiredMode::Trial => "trial",
        DesiredMode::Production => "production",
    }
}

/// The word for a phase, as in the status.
pub(crate) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Scheduled => "Scheduled",
        Phase::InFlight => "InFlight",
        Phase::Completed => "Completed",
    }
}
