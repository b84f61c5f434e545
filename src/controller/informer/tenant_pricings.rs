//! Handles the events of `TenantPricing`s: caches and indexes each object, and enqueues or polls it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Client, Resource, ResourceExt,
    runtime::watcher::{Error, Event},
};
use tokio::{sync::watch, time::Instant};

use crate::{
    api::{ConditionType, Phase, StalledReason, TenantPricing, conditions, reconcile_now},
    cluster::{Collection, Key, ObjectCache, SyncTracker, TrimmedTenantPricing, Uid, Upserted, Watcher},
    connections::CountUpdates,
    controller::{work_queue::QueuePriority, workers::Workers},
    index::Index,
    pricing::{self, Dependencies, Foreign, NextPoll, ReconcileRequest, ReconcileState},
};

/// How long a report that an object cannot be read waits, if another writer replaced the last one. It bounds the writes
/// of two controllers that contradict each other.
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// Watches the `TenantPricing`s of one namespace, or of all, that `labels` select.
///
/// An object that is no longer selected is handled as a deleted one: nothing more is done about it.
pub(in crate::controller) fn watch(
    client: &Client,
    namespace: Option<&str>,
    labels: Option<&str>,
    interrupted: watch::Sender<Option<Instant>>,
) -> impl Stream<Item = Result<Event<TrimmedTenantPricing>, Error>> + Send + use<> {
    let listed = Collection::<TrimmedTenantPricing>::new(client.clone(), namespace).labels(labels);
    Watcher::new(listed).notify(interrupted).events()
}

/// Handles the events of one watch. It keeps the caches up to date in any case, and enqueues objects while this process
/// leads.
pub(in crate::controller) struct EventHandler {
    cached: TenantPricingCaches,
    /// The workers, while this process leads.
    workers_rx: watch::Receiver<Option<Arc<Workers>>>,
    workers: Option<Arc<Workers>>,
    /// When the counters of connections change.
    tenant_counts: CountUpdates,
    tracker: SyncTracker,
    /// The namespace of the watch; `None` means all.
    namespace: Option<String>,
    /// The objects of the list in progress.
    listing: Option<Listing>,
    /// When the last list began.
    begun: Option<Instant>,
    /// Whether this process has begun to lead, and has enqueued no object yet.
    resync: bool,
}

/// What the watches fill.
#[derive(Clone)]
pub(in crate::controller) struct TenantPricingCaches {
    pub objects: ObjectCache,
    pub index: Index,
    pub reconcile_state: ReconcileState,
}

impl TenantPricingCaches {
    /// The parts of these dependencies that the watches fill.
    pub(in crate::controller) fn of(dependencies: &Dependencies) -> Self {
        let Dependencies { objects, index, reconcile_state, .. } = dependencies.clone();
        Self { objects, index, reconcile_state }
    }
}

/// An object as it was stored in the caches.
struct Kept {
    key: Key,
    spec_changed: bool,
    /// Set if another writer changed its status.
    foreign: Option<Foreign>,
}

/// The number of objects after which other tasks get a turn.
const MAX_WITHOUT_YIELD: usize = 100;

#[derive(Default)]
struct Listing {
    listed_keys: HashSet<Key>,
    /// Objects with a new request, and whether their status already answers it.
    new_specs: Vec<(Key, bool)>,
    /// Objects whose status another writer changed.
    foreign: Vec<(Key, Foreign)>,
    /// Other objects that a change in the list affects.
    affected: HashSet<Key>,
}

impl EventHandler {
    pub(in crate::controller) fn new(
        cached: TenantPricingCaches,
        workers_rx: watch::Receiver<Option<Arc<Workers>>>,
        tenant_counts: CountUpdates,
        tracker: SyncTracker,
        namespace: Option<String>,
    ) -> Self {
        Self {
            cached,
            workers_rx,
            workers: None,
            tenant_counts,
            tracker,
            namespace,
            listing: None,
            begun: None,
            resync: false,
        }
    }

    /// Handles all events, to the end of the watch. `watch` starts it, with a list.
    pub(in crate::controller) async fn run<S>(mut self, watch: impl Fn() -> S + Send)
    where
        S: Stream<Item = Result<Event<TrimmedTenantPricing>, Error>> + Send,
    {
        self.on_leadership_change().await;
        let mut events = Box::pin(watch());
        loop {
            tokio::select! {
                biased;
                changed = self.workers_rx.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if self.on_leadership_change().await {
                        events = Box::pin(watch());
                    }
                }
                event = events.next() => match event {
                    Some(event) => self.handle_event(event).await,
                    None => return,
                },
            }
        }
    }

    /// Handles the start or the end of leadership. Returns whether a list is needed. The cache may silently lag by
    /// minutes, and an earlier leader may have begun switches since. Only a list that began after the lease was
    /// acquired shows them all.
    async fn on_leadership_change(&mut self) -> bool {
        self.workers.clone_from(&self.workers_rx.borrow_and_update());
        self.resync = self.workers.is_some();
        let Some(workers) = &self.workers else { return false };
        let since = workers.context.term.begun();
        if self.begun.is_none_or(|begun| begun < since) {
            return true;
        }
        if self.listing.is_none() {
            self.after_change();
            self.enqueue_all(Listing::default()).await;
        }
        false
    }

    async fn handle_event(&mut self, event: Result<Event<TrimmedTenantPricing>, Error>) {
        match event {
            // A list that starts again delivers everything once more.
            Ok(Event::Init) => {
                // The objects of an unfinished list still have to be enqueued.
                let Listing { new_specs, affected, foreign, .. } = self.listing.take().unwrap_or_default();
                self.listing = Some(Listing { new_specs, foreign, affected, ..Listing::default() });
                self.begun = Some(Instant::now());
                self.tracker.on_event::<TrimmedTenantPricing>(&Ok(Event::Init));
            }
            Ok(Event::InitApply(listed)) => {
                let Kept { key, spec_changed, foreign } = self.upsert(&listed);
                let listing = self.listing.get_or_insert_default();
                if spec_changed {
                    let up_to_date = listed.object.as_ref().is_ok_and(is_up_to_date);
                    listing.new_specs.push((key.clone(), up_to_date));
                }
                listing.foreign.extend(foreign.map(|foreign| (key.clone(), foreign)));
                listing.listed_keys.insert(key);
            }
            Ok(Event::InitDone) => self.on_list_done().await,
            Ok(Event::Apply(listed)) => {
                let Kept { key, spec_changed, foreign } = self.upsert(&listed);
                self.after_change();
                if let Some(workers) = self.workers.as_ref().filter(|_| spec_changed) {
                    // The object may name another connection now.
                    workers.pollers.unschedule(&key);
                    workers.queue.push(&key, QueuePriority::Interactive, ReconcileRequest::default());
                } else if let Some(foreign) = foreign {
                    self.restore_status(&key, foreign);
                }
            }
            Ok(Event::Delete(listed)) => {
                self.on_delete(&Key::of(&listed));
                self.after_change();
            }
            Err(error) => self.tracker.on_event::<TrimmedTenantPricing>(&Err(error)),
        }
    }

    /// Passes on what a change of the index means for connections.
    fn after_change(&self) {
        let Some(workers) = &self.workers else { return };
        self.notify_freed_budgets(workers);
        self.request_tenant_counts(workers);
    }

    /// Has the switch queues try again whose budget has room now: a place that was given back is for a waiting switch.
    fn notify_freed_budgets(&self, workers: &Workers) {
        for connection in self.cached.index.take_freed_budgets() {
            workers.switches.limits_changed(&connection);
        }
    }

    /// Requests a new count of the tenants of connections, once all objects are known.
    fn request_tenant_counts(&self, workers: &Workers) {
        if workers.context.synced.has_synced() {
            for connection in self.cached.index.take_changed_counts() {
                self.tenant_counts.changed(&connection);
            }
        }
    }

    /// Handles the end of a list. Nothing of it was enqueued until now, because an object may depend on any other.
    async fn on_list_done(&mut self) {
        let listing = self.listing.take().unwrap_or_default();
        for key in self.cached.objects.keys(self.namespace.as_deref()) {
            // Deleted while the watch was interrupted.
            if !listing.listed_keys.contains(&key) {
                self.on_delete(&key);
            }
        }
        self.tracker.on_event::<TrimmedTenantPricing>(&Ok(Event::InitDone));
        self.after_change();
        self.enqueue_all(listing).await;
    }

    /// Enqueues the objects of a list, or all objects if this process has just begun to lead.
    async fn enqueue_all(&mut self, mut listing: Listing) {
        let Some(workers) = self.workers.clone() else { return };
        if std::mem::take(&mut self.resync) {
            let objects = &self.cached.objects;
            let up_to_date = |key: &Key| objects.get(key).is_some_and(|object| is_up_to_date(&object));
            let keys = objects.keys(self.namespace.as_deref()).into_iter();
            listing.new_specs = keys.map(|key| (key.clone(), up_to_date(&key))).collect();
        }
        for (key, up_to_date) in &listing.new_specs {
            listing.affected.remove(key);
            workers.pollers.unschedule(key);
            // An interactive request must not wait until ten thousand objects are scheduled.
            if !up_to_date {
                workers.queue.push(key, QueuePriority::Background, ReconcileRequest::default());
            }
        }
        self.enqueue(listing.affected);
        for (key, foreign) in listing.foreign {
            self.restore_status(&key, foreign);
        }
        for (number, (key, _)) in listing.new_specs.iter().filter(|(_, up_to_date)| *up_to_date).enumerate() {
            schedule_first_poll(&workers, key);
            if number % MAX_WITHOUT_YIELD == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn upsert(&mut self, listed: &TrimmedTenantPricing) -> Kept {
        let TenantPricingCaches { objects, index, reconcile_state } = &self.cached;
        let Upserted { key, spec_changed, ignores_new_value, before } = objects.upsert(listed);
        if let (true, Ok(object), Some(workers)) = (ignores_new_value, &listed.object, &self.workers) {
            workers.context.events.warn_of_ignored_value(object);
        }
        // While this process writes nothing, every write is another leader's.
        let writes = self.workers.is_some() && !self.resync;
        let mut foreign = None;
        match &listed.object {
            Ok(object) => {
                let uid = Uid::of(object);
                reconcile_state.observed_version(&uid, object.resource_version().as_deref());
                // Another object of the same name is new.
                let before = before.filter(|_| writes || spec_changed);
                let changed = before.is_some();
                let before = before.and_then(|before| before.read());
                if let Some(gone) =
                    before.as_ref().filter(|before| before.metadata.uid != object.metadata.uid)
                {
                    // Deleted and created again while the watch was interrupted.
                    self.forget(&key, gone);
                }
                if let Some(workers) = self.workers.as_ref().filter(|_| writes && changed) {
                    let before = before.filter(|before| before.metadata.uid == object.metadata.uid);
                    let status = before.map(|before| before.status.unwrap_or_default());
                    let now = workers.context.clock.now();
                    foreign = reconcile_state.shown_status(&key, status.as_ref(), object, now);
                }
                let others = index.apply(&key, object);
                self.enqueue_or_defer(others);
            }
            Err(unreadable) => {
                if spec_changed {
                    let (namespace, name) = (&unreadable.metadata.namespace, &unreadable.metadata.name);
                    tracing::warn!(
                        namespace,
                        name,
                        error = unreadable.error,
                        "an object cannot be read, perhaps written by a newer version; nothing is sent for it"
                    );
                }
                let is_overwritten = writes && !spec_changed && !is_reported(&unreadable.rest);
                if let Some(workers) = self.workers.as_ref().filter(|_| is_overwritten) {
                    workers.queue.push_within(&key, REPORT_AGAIN);
                }
                // The open attempt of an unreadable object keeps others from sending.
                let others = index.apply(&key, &unreadable.rest);
                self.enqueue_or_defer(others);
            }
        }
        Kept { key, spec_changed, foreign }
    }

    /// Enqueues an object whose status another writer changed, so that it is overwritten.
    fn restore_status(&self, key: &Key, foreign: Foreign) {
        let Foreign { pause, hides_attempt } = foreign;
        let Some(workers) = &self.workers else { return };
        tracing::warn!(
            namespace = key.namespace(),
            name = key.name(),
            "another manager wrote the status; the controller restores it and reads the tenant"
        );
        if hides_attempt {
            // The object's own reconcile may be waiting for the platform. The record must not wait for that.
            let (key, context, own_statuses) =
                (key.clone(), workers.context.clone(), workers.context.reconcile_state.own_statuses());
            if own_statuses.schedule_restore(&key) {
                workers.context.tasks.spawn(async move {
                    tokio::time::sleep(foreign.restore_after()).await;
                    context.reconcile_state.own_statuses().restore_started(&key);
                    pricing::restore_attempt(&key, &context).await;
                });
            }
        }
        if pause.is_zero() {
            workers.pollers.unschedule(key);
            workers.queue.push(key, QueuePriority::Interactive, ReconcileRequest::default());
        } else {
            workers.queue.push_within(key, pause);
        }
    }

    /// Forgets an object that is gone, while another one of the same name exists.
    fn forget(&self, key: &Key, gone: &TenantPricing) {
        let reconcile_state = &self.cached.reconcile_state;
        reconcile_state.own_statuses().forget(key);
        reconcile_state.forget(&Uid::of(gone));
        if let Some(workers) = &self.workers {
            workers.forget(key);
        }
    }

    fn on_delete(&self, key: &Key) {
        let TenantPricingCaches { objects, index, reconcile_state } = &self.cached;
        reconcile_state.own_statuses().forget(key);
        if let Some(object) = objects.get(key) {
            reconcile_state.forget(&Uid::of(&object));
        }
        if objects.drop(key) {
            if let Some(workers) = &self.workers {
                workers.forget(key);
            }
            self.enqueue(index.remove(key));
        }
    }

    /// Enqueues other objects that depend on this one. During a list this waits for its end: the next page may change
    /// who acts for a tenant.
    fn enqueue_or_defer(&mut self, others: Vec<Key>) {
        match &mut self.listing {
            Some(listing) => listing.affected.extend(others),
            None => self.enqueue(others),
        }
    }

    fn enqueue(&self, others: impl IntoIterator<Item = Key>) {
        let Some(workers) = &self.workers else { return };
        for key in others {
            workers.queue.push(&key, QueuePriority::Interactive, ReconcileRequest::default());
        }
    }
}

/// Schedules an object of a list, or enqueues it if it has changed since.
fn schedule_first_poll(workers: &Workers, key: &Key) {
    let context = &workers.context;
    let Some(object) = context.objects.get(key) else { return };
    if !is_up_to_date(&object) {
        return workers.queue.push(key, QueuePriority::Background, ReconcileRequest::default());
    }
    // The tenant is read as soon as nothing more urgent waits.
    let first_poll = NextPoll {
        connection: object.connection_key(),
        target: pricing::target(&object),
        interval: Some(Duration::ZERO),
        reconcile_after: None,
    };
    let timer = workers.pollers.schedule_next(key, first_poll);
    let timer = until_due(&object, context.clock.now()).or(timer);
    if let Some(timer) = timer {
        workers.queue.push_after(key, timer);
    }
}

/// Whether the status of an object that cannot be read says so.
fn is_reported(object: &TenantPricing) -> bool {
    let conditions = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let ready = conditions::find(conditions, ConditionType::Ready);
    ready.is_some_and(|ready| ready.reason == StalledReason::Unreadable.as_str())
}

/// Whether an object's status answers all that the object requests, as far as is known without a read.
fn is_up_to_date(object: &TenantPricing) -> bool {
    let Some(status) = &object.status else { return false };
    let asked_now = reconcile_now(object.meta());
    Some(status.observed_generation) == object.metadata.generation
        && asked_now.is_none_or(|value| status.last_handled_reconcile_at.as_deref() == Some(value))
        && object.meta().deletion_timestamp.is_none()
        && !status.is_in_flight()
        // A tenant is not read for an object that its connection refuses. Only a reconcile shows whether that still
        // holds.
        && !pricing::says_refused(object)
        // A poll that fails changes no object. So a report of an earlier leader about the connection would stay, though
        // the trouble is another one by now.
        && !conditions::mention_connection(&status.conditions)
        // An object that waits for nothing is reconciled once. That is cheap, and reads nothing.
        && !object.spec.suspend
}

/// The time until a scheduled switch is due.
fn until_due(object: &TenantPricing, now: jiff::Timestamp) -> Option<Duration> {
    let journal = object.status.as_ref()?.switch.as_ref()?;
    let scheduled = journal.scheduled_for.as_ref().filter(|_| journal.phase == Phase::Scheduled)?;
    Some(Duration::try_from(scheduled.0.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::{
        controller::switch_queue::DueSwitch,
        pricing::{Context, Limits, TenantRead, TimedRead, budget::Budget},
        testing::fixtures::Scene,
    };

    /// The event of a watch that shows an object with a journal in this phase.
    fn shown(mut object: TenantPricing, phase: Phase) -> Event<TrimmedTenantPricing> {
        object.status.as_mut().unwrap().switch.as_mut().unwrap().phase = phase;
        Event::Apply(serde_json::from_value(json!(object)).unwrap())
    }

    /// Lets all tasks run as far as they can, without any time.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_the_watch_gives_back_goes_to_the_next_at_once() {
        let context = Context::silent();
        let now = context.clock.now();
        let mut open = Scene::new().announced("attempt-1").object;
        open.status.as_mut().unwrap().switch.as_mut().unwrap().intent_at = Some(Time(now));
        let connection = open.connection_key();
        let workers = Workers::new(context.clone());
        let (_leads, workers_rx) = watch::channel(Some(workers.clone()));
        let tracker = SyncTracker::of::<TenantPricing>(None, "nothing");
        let cached = TenantPricingCaches::of(&context);
        let mut handler = EventHandler::new(cached, workers_rx, CountUpdates::new().0, tracker, None);
        handler.on_leadership_change().await;
        handler.handle_event(Ok(shown(open.clone(), Phase::InFlight))).await;
        let (started_at, through) = (Instant::now(), connection.clone());
        let read =
            TimedRead { read: TenantRead::NotRead, started_at, received_at: started_at, through, spec: None };
        let limits =
            Limits { budget: Budget { count: 1, window: Duration::from_secs(3600) }, requests_per_second: 1 };
        let next = Key::new("team", "next");
        workers.switches.enter(&connection, &next, DueSwitch { due: now, said: None, read }, limits);
        settle().await;
        assert_eq!(workers.queue.depth(QueuePriority::Switch), 0, "the budget is used up");
        handler.handle_event(Ok(shown(open, Phase::Scheduled))).await;
        settle().await;
        assert_eq!(workers.queue.depth(QueuePriority::Switch), 1, "the next one is admitted");
    }

    #[test]
    fn a_report_about_the_connection_is_not_settled() {
        let in_sync = Scene::new().journaled(Phase::Completed).mode("production").stored().object;
        assert!(is_up_to_date(&in_sync));
        for (kind, reason) in [("Reconciling", "PlatformUnavailable"), ("Stalled", "ConnectionNotReady")] {
            let mut object = in_sync.clone();
            let mut condition = object.status.as_ref().unwrap().conditions[0].clone();
            (condition.type_, condition.reason) = (kind.to_owned(), reason.to_owned());
            object.status.as_mut().unwrap().conditions.push(condition);
            assert!(!is_up_to_date(&object), "{reason}");
        }
    }
}
