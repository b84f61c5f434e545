//! Builds the parts of the controller, starts them, and drains them at the end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Fuse, join_all},
    stream::BoxStream,
};
use kube::{
    Client, Resource,
    runtime::{
        Controller,
        controller::{Action, Config},
        reflector::ObjectRef,
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Options,
    election::Election,
    informer::{
        Guarded,
        connections::{self as connection_informer, Watched},
        tenant_pricings::{self, EventHandler, TenantPricingCaches},
        triggers::{self, ConnectionQueues, Triggers},
    },
    leadership::Leadership,
    namespace_check, probes,
};
use crate::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    cluster::{
        Caches, Interrupted, Key, ObjectCache, SyncTracker, Synced,
        lease::{LeadershipFlag, LeadershipState},
    },
    connections::{
        self, CheckCache, CheckSlots, ConnectionContext, CountTenants, CountUpdates, MAX_CHECK_SLOTS,
        Namespaces, Registry, Statuses,
    },
    index::Index,
    pricing::{Dependencies, EventPublisher, ReconcileState},
    telemetry::Health,
};

/// The most concurrent reconciles of connections. More than there are slots for checks: a platform that hangs delays no
/// reconcile that sends it nothing.
const MAX_CONCURRENT_CONNECTIONS: u16 = 128;
const _: () = assert!(MAX_CHECK_SLOTS < MAX_CONCURRENT_CONNECTIONS as usize);

/// The time that work in progress gets at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause before a failed status write of a connection is retried.
const CONNECTION_RETRY: Duration = Duration::from_secs(5);

/// All parts of the controller, connected and not started.
pub(super) struct Wiring {
    /// Cancelled when nothing new may begin.
    pub(super) stopping: CancellationToken,
    watching: Client,
    health: Health,
    label_selector: Option<String>,
    /// The watched namespaces, and the sync state of their caches.
    scopes: Vec<(Option<String>, SyncTracker)>,
    connections: Vec<Watched<PlatformConnection>>,
    connection_context: Arc<ConnectionContext>,
    leadership: Leadership,
    signals: Signals,
}

/// Triggers of reconciles that come from neither kind's own watch.
struct Signals {
    /// Connections that became unhealthy.
    unhealthy: mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>,
    /// Connections whose counters are due.
    to_be_counted: BoxStream<'static, Key>,
    /// Connections that a new leader checks.
    to_be_checked: mpsc::UnboundedReceiver<Key>,
    /// Namespaces whose labels changed.
    relabelled: mpsc::UnboundedReceiver<Arc<str>>,
}

/// All parts of the controller, running.
pub(super) struct Running {
    /// Cancelled when nothing new may begin.
    pub(super) stopping: CancellationToken,
    tasks: TaskTracker,
    leadership: JoinHandle<()>,
    background_tasks: Vec<JoinHandle<()>>,
    watches: Fuse<BoxFuture<'static, ()>>,
}

impl Wiring {
    /// Builds the parts. They send nothing before they are started.
    pub(super) fn build(client: Client, watching: Client, options: Options) -> Self {
        let Options { namespaces, label_selector, settings, clock, health, metrics } = options;
        let (registry, unhealthy) = Registry::new(client.clone(), settings);
        let (namespace_cache, relabelled) = Namespaces::new(client.clone());
        let namespace_cache = namespace_cache.watching_with(watching.clone());
        let (tenant_counts, to_be_counted) = CountUpdates::new();
        let (check_tx, to_be_checked) = mpsc::unbounded_channel();
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let (triggers, leads) = (Triggers::new(), LeadershipFlag::default());
        let scopes: Vec<_> = scopes(namespaces).into_iter().map(with_tracker).collect();
        let synced = Synced::new(scopes.iter().map(|(_, tracker)| tracker.listed()).collect());
        let index = Index::default();
        let connection_context = Arc::new(ConnectionContext {
            client: client.clone(),
            clock: clock.clone(),
            registry: registry.clone(),
            checks: CheckCache::default(),
            slots: CheckSlots::default(),
            statuses: Statuses::default(),
            tenant_counts: tenant_counts.clone(),
            count: count(index.clone(), synced.clone(), clock.clone()),
            tasks: tasks.clone(),
            leads: leads.clone(),
            stopping: stopping.clone(),
        });
        let watch = |(scope, _): &(Option<String>, SyncTracker)| {
            connection_informer::watch(
                &watching,
                scope.as_deref(),
                connection_context.clone(),
                triggers.clone(),
            )
        };
        let connections: Vec<_> = scopes.iter().map(watch).collect();
        let events = EventPublisher::new(client.clone(), tasks.clone());
        let dependencies = Dependencies {
            client,
            clock,
            metrics,
            registry,
            namespaces: namespace_cache,
            connections: Caches::new(connections.iter().map(|watched| watched.cache.clone()).collect()),
            objects: ObjectCache::default(),
            synced,
            index,
            reconcile_state: ReconcileState::default(),
            events,
            tasks,
        };
        let leadership = Leadership {
            dependencies,
            health: health.clone(),
            triggers,
            stopping: stopping.clone(),
            leads,
            workers_tx: watch::Sender::new(None),
            check_tx,
        };
        let to_be_counted = to_be_counted.boxed();
        Self {
            stopping,
            watching,
            health,
            label_selector,
            scopes,
            connections,
            connection_context,
            leadership,
            signals: Signals { unhealthy, to_be_counted, to_be_checked, relabelled },
        }
    }

    /// Keeps the probes informed about the caches and the watches from now on.
    pub(super) fn report_to_probes(&self) {
        let connections = &self.connections;
        let of_connections = connections.iter().map(|watched| watched.interrupted.clone());
        let of_objects = self.scopes.iter().map(|(_, tracker)| tracker.interruption());
        let mut interrupted: Vec<Interrupted> = of_connections.chain(of_objects).collect();
        interrupted.push(self.leadership.dependencies.namespaces.interrupted());
        tokio::spawn(probes::report_interruptions(interrupted, self.health.clone()));
        let of_connections = connections.iter().map(|watched| watched.cache.sync_state.clone());
        let of_objects = self.scopes.iter().map(|(_, tracker)| tracker.sync_state());
        let sync_state = of_connections.chain(of_objects).collect();
        tokio::spawn(probes::report_synced(sync_state, self.health.clone()));
    }

    /// Starts the watches, and everything that acts while this process leads.
    pub(super) fn start(self, election: &Election) -> Running {
        let Self { stopping, watching, label_selector, scopes, connections, leadership, signals, .. } = self;
        let Dependencies { client, namespaces, tasks, .. } = leadership.dependencies.clone();
        let (triggers, workers_rx) = (leadership.triggers.clone(), leadership.workers_tx.subscribe());
        let cached = TenantPricingCaches::of(&leadership.dependencies);
        let tenant_counts = self.connection_context.tenant_counts.clone();
        let leadership = tokio::spawn(leadership.run(election.leadership()));

        let mut queues = ConnectionQueues::default();
        let mut watches =
            reconcile_connections(connections, &mut queues, &self.connection_context, &stopping);
        let named = scopes.iter().filter_map(|(scope, _)| scope.clone()).collect();
        for (scope, tracker) in scopes {
            let (client, labels) = (watching.clone(), label_selector.clone());
            let interrupted = tracker.interrupted();
            let handler = EventHandler::new(
                cached.clone(),
                workers_rx.clone(),
                tenant_counts.clone(),
                tracker,
                scope.clone(),
            );
            let run = handler.run(move || {
                tenant_pricings::watch(&client, scope.as_deref(), labels.as_deref(), interrupted.clone())
            });
            watches.push(stopping.clone().run_until_cancelled_owned(run).map(drop).boxed());
        }
        let Signals { unhealthy, to_be_counted, to_be_checked, relabelled } = signals;
        let background_tasks = vec![
            tokio::spawn(triggers::forward_connections(unhealthy, to_be_counted, to_be_checked, queues)),
            tokio::spawn(triggers.forward_relabelled_namespaces(relabelled)),
            tokio::spawn(namespaces.run()),
            tokio::spawn(namespace_check::run(client, named)),
        ];
        let watches = join_all(watches).map(drop).boxed().fuse();
        Running { stopping, tasks, leadership, background_tasks, watches }
    }
}

impl Running {
    /// Completes when all watches have ended.
    pub(super) async fn watches_ended(&mut self) {
        (&mut self.watches).await;
    }

    /// Starts nothing new, and gives the work in progress its time while the watches go on. Returns whether the work
    /// has finished.
    ///
    /// The watches are not waited for: one that cannot reach the API server would end much later. The work that they
    /// started is among the tasks.
    pub(super) async fn drain(self, election: &Election) -> bool {
        let Self { stopping, tasks, leadership, background_tasks, watches } = self;
        stopping.cancel();
        say_what_ends(election, &tasks);
        tasks.close();
        background_tasks.iter().for_each(JoinHandle::abort);
        let work = async {
            // The join fails only after a panic, which is logged.
            let _ = leadership.await;
            tasks.wait().await;
        };
        let work = async {
            tokio::pin!(work);
            tokio::select! {
                () = &mut work => {}
                () = watches => work.await,
            }
        };
        let is_finished = tokio::time::timeout(DRAIN_TIMEOUT, work).await.is_ok();
        if !is_finished {
            tracing::warn!(
                "shutdown timed out after {} s with work in progress; the next start resolves it",
                DRAIN_TIMEOUT.as_secs()
            );
        }
        is_finished
    }
}

/// Logs what the shutdown waits for. It names only work that is in progress.
fn say_what_ends(election: &Election, tasks: &TaskTracker) {
    let leads = matches!(*election.leadership().borrow(), LeadershipState::Leading(_));
    if leads || !tasks.is_empty() {
        tracing::info!("shutting down: finishing work in progress");
    } else {
        tracing::info!("shutting down: this process does not lead, and nothing is in progress");
    }
}

/// The reconciles of connections, one controller for each watch.
fn reconcile_connections(
    watched: Vec<Watched<PlatformConnection>>,
    queues: &mut ConnectionQueues,
    context: &Arc<ConnectionContext>,
    stopping: &CancellationToken,
) -> Vec<BoxFuture<'static, ()>> {
    let each = watched.into_iter().map(|watched| {
        let called_for = queues.add(watched.cache.namespace.as_deref());
        let controller = Controller::for_stream(watched.stream, watched.cache.store)
            .with_config(Config::default().concurrency(MAX_CONCURRENT_CONNECTIONS))
            .reconcile_on(called_for)
            .graceful_shutdown_on(stopping.clone().cancelled_owned());
        let run = controller.run(connections::reconcile, connection_failed, context.clone());
        run.for_each(|_| async {}).boxed()
    });
    each.collect()
}

#[allow(clippy::needless_pass_by_value)] // the signature is kube's
fn connection_failed(
    connection: Arc<Guarded<PlatformConnection>>,
    error: &connections::Error,
    _: Arc<ConnectionContext>,
) -> Action {
    let meta = connection.meta();
    tracing::warn!(namespace = meta.namespace, name = meta.name, %error, "failed to reconcile a connection; will retry");
    Action::requeue(CONNECTION_RETRY)
}

/// The namespaces to watch, each once: two queues must not hold the same object. `None` means all.
fn scopes(namespaces: Vec<String>) -> Vec<Option<String>> {
    let namespaces: BTreeSet<String> = namespaces.into_iter().filter(|name| !name.is_empty()).collect();
    if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() }
}

fn with_tracker(scope: Option<String>) -> (Option<String>, SyncTracker) {
    let until_then = "none of them is reconciled, and no switch begins anywhere";
    let tracker = SyncTracker::of::<TenantPricing>(scope.as_deref(), until_then);
    (scope, tracker)
}

/// Counts the tenants of a connection once all objects are known.
fn count(index: Index, synced: Synced, clock: Clock) -> CountTenants {
    Box::new(move |connection: &Key| {
        let counts = synced.has_synced().then(|| index.counts(clock.now()))?;
        Some(counts.connections.get(connection).map(|counts| counts.tenants.clone()).unwrap_or_default())
    })
}
