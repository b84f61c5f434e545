//! Watches, queue and wiring: runs the reconciles until the process is asked to end.

mod election;
mod existence;
mod fleet_metrics;
mod informer;
mod leadership;
mod poller;
mod shutdown;
mod switch_queue;
mod upcoming;
mod work_queue;
mod workers;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
};
use kube::{
    Client, Resource,
    runtime::{
        Controller,
        controller::{Action, Config},
    },
};
use tokio::sync::{mpsc, watch as watch_channel};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use shutdown::asked_to_end;

use crate::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    cluster::{
        Filled, Filling, Interrupted, Key, Objects, Progress, Stores,
        lease::{Elector, Leads, Standing},
    },
    connections::{
        self, ConnectionContext, CountTenants, Counters, Namespaces, Registry, Settings, Statuses, Tries,
    },
    index::Index,
    pricing::{EventPublisher, Memories},
    telemetry::{Health, Metrics},
};
use election::Election;
use informer::{
    Guarded,
    connections::Watched,
    tenant_pricings::{self, Cached, Feed},
    triggers::{self, ConnectionQueues, Wakes},
};
use leadership::Leadership;

/// So many connections are tried at once. What is worked on mostly waits for the API server or the platform.
const CONCURRENCY: u16 = 16;

/// Work under way is given so long to end when the process is asked to.
const GRACE: Duration = Duration::from_secs(20);

/// A connection's status that could not be written is written again after this pause.
const CONNECTION_RETRY: Duration = Duration::from_secs(5);

/// What `run` runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to watch; none means all of them.
    pub namespaces: Vec<String>,
    /// The labels of the `TenantPricing`s to watch, as the API server takes them; none means all of them.
    pub label_selector: Option<String>,
    /// What holds for all connections.
    pub settings: Settings,
    /// What time it is.
    pub clock: Clock,
    /// What the probes are answered from.
    pub health: Health,
    /// What is counted.
    pub metrics: Metrics,
}

/// A watch that is interrupted for longer makes the process unready.
const BLIND_AFTER: Duration = Duration::from_secs(30);

/// Runs the controller until `end` completes; then nothing new is begun, and what is under way is given 20 s. `watching`
/// is a client for watches alone: one that comes back finds no connection that another request left deaf. With an
/// elector it acts only while it leads, and gives the lease up when nothing is under way any more; without one it
/// always leads.
#[allow(clippy::too_many_lines)] // it puts together what has no order of its own
pub async fn run(
    client: Client,
    watching: Client,
    options: Options,
    elector: Option<Elector>,
    end: impl Future<Output = ()> + Send,
) {
    let scopes = scopes(options.namespaces);
    let named = scopes.iter().flatten().cloned().collect();
    let (registry, troubled) = Registry::new(client.clone(), options.settings);
    let (namespaces, relabelled) = Namespaces::new(client.clone());
    let namespaces = namespaces.watching_with(watching.clone());
    let (counters, to_be_counted) = Counters::new();
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let (wakes, leads) = (Wakes::new(), Leads::default());

    let until_then = "none of them is looked at, and no switch begins anywhere";
    let progress = |scope: &Option<String>| Progress::of::<TenantPricing>(scope.as_deref(), until_then);
    let progress: Vec<_> = scopes.iter().map(progress).collect();
    let cached =
        Cached { objects: Objects::default(), index: Index::default(), memories: Memories::default() };
    let filled = Filled::new(progress.iter().map(Progress::listed).collect());
    let for_connections = Arc::new(ConnectionContext {
        client: client.clone(),
        clock: options.clock.clone(),
        registry: registry.clone(),
        tries: Tries::default(),
        statuses: Statuses::default(),
        counters: counters.clone(),
        count: count(cached.index.clone(), filled.clone(), options.clock.clone()),
        tasks: tasks.clone(),
        leads: leads.clone(),
        stopping: stopping.clone(),
    });
    let connections: Vec<_> = scopes
        .iter()
        .map(|scope| {
            informer::connections::watch(&watching, scope.as_deref(), for_connections.clone(), wakes.clone())
        })
        .collect();
    let of_connections = connections.iter().map(|watched| watched.interrupted.clone());
    let mut sight: Vec<Interrupted> = of_connections.chain(progress.iter().map(Progress::sight)).collect();
    sight.push(namespaces.interrupted());
    tokio::spawn(tell_when_blind(sight, options.health.clone()));
    let connections_filling = connections.iter().map(|watched| watched.cache.filling.clone());
    let filling = connections_filling.chain(progress.iter().map(Progress::filling)).collect();
    tokio::spawn(tell_when_filled(filling, options.health.clone()));
    let (led, to_be_tried) = mpsc::unbounded_channel();
    let leadership = Leadership {
        client: client.clone(),
        clock: options.clock,
        metrics: options.metrics,
        registry,
        namespaces: namespaces.clone(),
        connections: Stores::new(connections.iter().map(|watched| watched.cache.clone()).collect()),
        cached: cached.clone(),
        filled,
        publishing: Publishing::default(),
        wakes: wakes.clone(),
        tasks: tasks.clone(),
        stopping: stopping.clone(),
        leads,
        at_work: watch_channel::Sender::new(None),
        health: options.health.clone(),
        led,
    };

    if let Some(elector) = &elector {
        tokio::spawn(tell_when_refused(elector.refused(), options.health.clone()));
    }
    let mut election = Election::begin(elector);
    tokio::pin!(end);
    tokio::select! {
        () = &mut end => stopping.cancel(),
        () = election.settled() => {}
    }
    let at_work = leadership.at_work.subscribe();
    let following = tokio::spawn(leadership.follow(election.standing()));

    let mut queues = ConnectionQueues::default();
    let mut running = reconcile_connections(connections, &mut queues, &for_connections, &stopping);
    for (scope, progress) in scopes.into_iter().zip(progress) {
        let (client, labels) = (watching.clone(), options.label_selector.clone());
        let interrupted = progress.interrupted();
        let feed = Feed::new(cached.clone(), at_work.clone(), counters.clone(), progress, scope.clone());
        let run = feed.run(move || {
            tenant_pricings::watch(&client, scope.as_deref(), labels.as_deref(), interrupted.clone())
        });
        running.push(stopping.clone().run_until_cancelled_owned(run).map(drop).boxed());
    }
    let helping = [
        tokio::spawn(triggers::pass_on(troubled, to_be_counted, to_be_tried, queues)),
        tokio::spawn(wakes.pass_on(relabelled)),
        tokio::spawn(namespaces.follow()),
        tokio::spawn(existence::follow(client.clone(), named)),
    ];
    let running = join_all(running).fuse();
    tokio::pin!(running);
    tokio::select! {
        () = &mut end, if !stopping.is_cancelled() => {}
        () = stopping.cancelled() => {}
        _ = &mut running => {
            options.health.dead("all watches have ended");
            tracing::error!("all watches have ended; nothing is reconciled any more");
        }
    }
    stopping.cancel();
    say_what_ends(&election, &tasks);
    tasks.close();
    let work = async {
        // It fails only if it panicked, which is in the log.
        let _ = following.await;
        tasks.wait().await;
    };
    helping.iter().for_each(tokio::task::JoinHandle::abort);
    let is_finished = finished(work, running).await;
    election.end(is_finished).await;
}

/// Claims no work that is not under way.
fn say_what_ends(election: &Election, tasks: &TaskTracker) {
    let leads = matches!(*election.standing().borrow(), Standing::Leading(_));
    if leads || !tasks.is_empty() {
        tracing::info!("asked to end: nothing new is begun, and what is under way is finished");
    } else {
        tracing::info!("asked to end: this process does not lead, and nothing is under way");
    }
}

/// Gives the work that is under way its time, while the watches go on. Returns whether it is finished.
///
/// The watches are no work: one that cannot reach the API server would end much later. What they have begun is among the
/// tasks.
async fn finished(work: impl Future<Output = ()>, mut watches: impl Future + Unpin) -> bool {
    let work = async {
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => {}
            _ = &mut watches => work.await,
        }
    };
    let is_finished = tokio::time::timeout(GRACE, work).await.is_ok();
    if !is_finished {
        tracing::warn!(
            "work was still under way after {} s; it is resolved after the next start",
            GRACE.as_secs()
        );
    }
    is_finished
}

/// The reconciles of connections, one for each watch.
fn reconcile_connections(
    watched: Vec<Watched<PlatformConnection>>,
    queues: &mut ConnectionQueues,
    context: &Arc<ConnectionContext>,
    stopping: &CancellationToken,
) -> Vec<BoxFuture<'static, ()>> {
    let each = watched.into_iter().map(|watched| {
        let called_for = queues.add(watched.cache.namespace.as_deref());
        let controller = Controller::for_stream(watched.stream, watched.cache.store)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .reconcile_on(called_for)
            .graceful_shutdown_on(stopping.clone().cancelled_owned());
        let run = controller.run(connections::reconcile, connection_failed, context.clone());
        run.for_each(|_| async {}).boxed()
    });
    each.collect()
}

/// The namespaces to watch, each once: two queues must not hold the same object. None stands for all.
fn scopes(namespaces: Vec<String>) -> Vec<Option<String>> {
    let namespaces: BTreeSet<String> = namespaces.into_iter().filter(|name| !name.is_empty()).collect();
    if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() }
}

/// Says so when every cache has had its first list.
async fn tell_when_filled(caches: Vec<watch_channel::Receiver<Filling>>, health: Health) {
    for mut filling in caches {
        if filling.wait_for(|filling| *filling == Filling::Done).await.is_err() {
            return;
        }
    }
    health.caches_filled();
}

/// Tells the probes when the API server does not let this process take part in the election.
async fn tell_when_refused(mut refused: watch_channel::Receiver<Option<String>>, health: Health) {
    loop {
        let reason = refused.borrow_and_update().clone();
        health.election_refused(reason);
        // It fails when the election is over.
        if refused.changed().await.is_err() {
            return;
        }
    }
}

/// Says so while a watch is interrupted for long.
async fn tell_when_blind(watches: Vec<Interrupted>, health: Health) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let is_blind =
            |watch: &Interrupted| watch.borrow().is_some_and(|since| since.elapsed() >= BLIND_AFTER);
        health.blind(watches.iter().any(is_blind));
    }
}

/// Counts the tenants of a connection once all objects are known.
fn count(index: Index, filled: Filled, clock: Clock) -> CountTenants {
    Box::new(move |connection: &Key| {
        let figures = filled.are_done().then(|| index.figures(clock.now()))?;
        Some(figures.connections.get(connection).map(|figures| figures.tenants.clone()).unwrap_or_default())
    })
}

#[allow(clippy::needless_pass_by_value)] // the signature is kube's
fn connection_failed(
    connection: Arc<Guarded<PlatformConnection>>,
    error: &connections::Error,
    _: Arc<ConnectionContext>,
) -> Action {
    let meta = connection.meta();
    tracing::warn!(namespace = meta.namespace, name = meta.name, %error, "a connection could not be tried; it is tried again");
    Action::requeue(CONNECTION_RETRY)
}
