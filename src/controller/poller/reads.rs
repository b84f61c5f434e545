//! One batch of reads, from the request to the objects that it concerns.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    MAX_SINGLE_READS, Poller, Route,
    schedule::{BatchEntry, Completed},
};
use crate::{
    backoff::Backoff,
    cluster::Key,
    connections::{Admission, Confirm},
    controller::work_queue::QueuePriority,
    platform::{PlatformError, Priority, TenantId},
    pricing::{self, PeriodicCheck, ReconcileRequest, Target, TenantRead, TimedRead},
};

/// The pause of periodic reads after a connection failure. The first successful read ends it for all.
const BACKOFF: Backoff =
    Backoff::new(Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(60));

impl Poller {
    pub(super) async fn read_by_id(
        self: &Arc<Self>,
        ids: Vec<(Key, TenantId)>,
        number: u32,
        priority: Priority,
    ) {
        let begun = Instant::now();
        let Some(route) = self.route().await else {
            for (key, _) in &ids {
                self.enqueue_unread(key, by_id(number));
            }
            return;
        };
        let ids = self.admitted(ids, number, &route).await;
        if ids.is_empty() {
            return;
        }
        let handle = &route.handle;
        self.context.metrics.tenants_read(priority, ids.len() as u64);
        let asked = ids.iter().map(|(_, id)| id.clone()).collect();
        match handle.read_batch(asked, priority).await {
            Ok(found) => {
                self.went_well();
                let mut alone = Vec::new();
                for (key, id) in ids {
                    match found.get(&id) {
                        Some(answer) => {
                            let read = pricing::classify_tenant(handle, answer.clone(), None).await;
                            self.deliver(&key, by_id(number), read, begun, &route).await;
                        }
                        None => alone.push((key, id)),
                    }
                }
                if !alone.is_empty() {
                    // In a task of its own: one slow tenant must not delay the next batch.
                    tokio::spawn(self.clone().read_single(alone, number, route));
                }
            }
            Err(error) => self.failed(ids, number, error, begun, &route).await,
        }
    }

    /// The objects that the connection admits at this moment: the admission may have been withdrawn since the read was
    /// queued. The others are reconciled, and report it.
    async fn admitted(&self, ids: Vec<(Key, TenantId)>, number: u32, route: &Route) -> Vec<(Key, TenantId)> {
        let mut known = HashMap::new();
        let mut admitted = Vec::with_capacity(ids.len());
        for (key, id) in ids {
            let before = known.get(key.namespace()).copied();
            let admits = if let Some(admits) = before {
                admits
            } else {
                let admits = self.admits(&key, route).await;
                known.insert(key.namespace().to_owned(), admits);
                admits
            };
            if admits {
                admitted.push((key, id));
            } else {
                self.enqueue_unread(&key, by_id(number));
            }
        }
        admitted
    }

    /// Whether the connection admits an object at this moment. Only the API server refuses. Otherwise the object's own
    /// reconcile, which asks it too, would return here at once while the watch lags.
    async fn admits(&self, key: &Key, route: &Route) -> bool {
        let Ok(connection) = &route.connection.0 else { return false };
        let namespaces = &self.context.namespaces;
        namespaces.admission(connection, key.namespace(), Confirm::Refusals).await == Admission::Admitted
    }

    async fn read_single(self: Arc<Self>, ids: Vec<(Key, TenantId)>, number: u32, route: Route) {
        let tenant_reads = stream::iter(ids).for_each_concurrent(MAX_SINGLE_READS, |(key, id)| {
            let (poller, route) = (&self, &route);
            async move {
                let Ok(_turn) = poller.single_reads.acquire().await else { return };
                // There may be a hundred reads, and a standby sends the platform nothing.
                if poller.closed.is_cancelled() {
                    return;
                }
                // The reads may have waited for long.
                if !matches!(poller.route().await, Some(now) if poller.admits(&key, &now).await) {
                    return poller.enqueue_unread(&key, by_id(number));
                }
                let (begun, handle) = (Instant::now(), &route.handle);
                let read =
                    match handle.track(handle.client.with_priority(Priority::Background).tenant(&id).await) {
                        Ok(answer) => pricing::classify_tenant(handle, answer, None).await,
                        Err(error) => TenantRead::Failed(error),
                    };
                poller.deliver(&key, by_id(number), read, begun, route).await;
            }
        });
        tenant_reads.await;
    }

    /// Finds the tenant of a name.
    pub(super) async fn find_by_name(self: &Arc<Self>, key: Key, number: u32, name: String) {
        let (begun, entry) = (Instant::now(), BatchEntry { batch: number, by_name: true });
        let route = match self.route().await {
            Some(route) if self.admits(&key, &route).await => route,
            _ => return self.enqueue_unread(&key, entry),
        };
        let handle = &route.handle;
        let read = match pricing::only_match(handle.track(handle.find(&name).await)) {
            Err(read) => read,
            Ok(id) => {
                // The tenant itself is read in a batch with others.
                if let Some(priority) = self.complete(&key, entry, &route).await.priority() {
                    self.request(&key, Target::Id(id), priority);
                }
                return;
            }
        };
        self.deliver(&key, entry, read, begun, &route).await;
    }

    fn went_well(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.paused_until = None;
    }

    /// Handles a connection failure. Objects that wait for the read are reconciled; for the others nothing has changed.
    async fn failed(
        &self,
        ids: Vec<(Key, TenantId)>,
        number: u32,
        error: PlatformError,
        begun: Instant,
        route: &Route,
    ) {
        if !error.class().concerns_connection() {
            for (key, _) in &ids {
                self.deliver(key, by_id(number), TenantRead::Failed(error.clone()), begun, route).await;
            }
            return;
        }
        let until = {
            let mut state = self.state.lock();
            state.failures = state.failures.saturating_add(1);
            let pause = BACKOFF.pause(state.failures);
            let until = Instant::now() + pause.max(error.retry_after().unwrap_or_default());
            state.paused_until = Some(until);
            until
        };
        for (key, _) in &ids {
            match self.complete(key, by_id(number), route).await {
                Completed::Requested(_, priority) => {
                    self.hand_over(key, priority, TenantRead::Failed(error.clone()), begun, route);
                }
                Completed::Periodic(target) => self.state.lock().schedule.poll_at(key, target, until),
                Completed::Stale => {}
            }
        }
    }

    /// Hands a read to its object.
    async fn deliver(&self, key: &Key, entry: BatchEntry, read: TenantRead, begun: Instant, route: &Route) {
        let Ok(connection) = &route.connection.0 else { return };
        match self.complete(key, entry, route).await {
            Completed::Requested(_, priority) => self.hand_over(key, priority, read, begun, route),
            Completed::Periodic(_) => {
                match pricing::check_periodic(key, connection, read, &self.context).await {
                    PeriodicCheck::Unchanged(next) => {
                        if let Some(pause) = self.schedule_next(key, next) {
                            self.queue.push_after(key, pause);
                        }
                    }
                    PeriodicCheck::Changed(read) => {
                        self.hand_over(key, QueuePriority::Background, read, begun, route);
                    }
                    PeriodicCheck::Gone => self.unschedule(key),
                }
            }
            Completed::Stale => {}
        }
    }

    /// Completes a read. If the connection was edited meanwhile, the read is stale: the object is reconciled without
    /// it.
    async fn complete(&self, key: &Key, entry: BatchEntry, route: &Route) -> Completed {
        let completed = self.state.lock().schedule.complete(key, entry);
        let Some(priority) = completed.priority() else { return completed };
        // Until the read was complete, it took the place of the read that the edit asks for. So this is asked after it.
        if self.is_present(route).await {
            return completed;
        }
        self.queue.push(key, priority, ReconcileRequest::default());
        Completed::Stale
    }

    fn hand_over(&self, key: &Key, priority: QueuePriority, read: TenantRead, begun: Instant, route: &Route) {
        let request = ReconcileRequest {
            read: Some(TimedRead {
                read,
                started_at: begun,
                received_at: Instant::now(),
                through: self.connection.clone(),
                spec: route.spec(),
            }),
            ..ReconcileRequest::default()
        };
        self.queue.push(key, priority, request);
    }

    /// Enqueues an object without a read.
    fn enqueue_unread(&self, key: &Key, entry: BatchEntry) {
        let completed = self.state.lock().schedule.complete(key, entry);
        if let Some(priority) = completed.priority() {
            self.queue.push(key, priority, ReconcileRequest::default());
        }
    }
}

fn by_id(batch: u32) -> BatchEntry {
    BatchEntry { batch, by_name: false }
}
