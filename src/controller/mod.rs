//! Watches, queue and wiring: runs the reconciles until the process is asked to end.

mod agenda;
mod feed;
mod figures;
mod forecast;
mod line;
mod listed;
mod observer;
mod progress;
mod queue;
mod shutdown;
mod wake;
mod watch;
mod work;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::join_all};
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
    cluster::{Filled, Filling, Key, Objects, Stores},
    connections::{self, ConnectionContext, CountTenants, Counters, Namespaces, Registry, Settings, Tries},
    pricing::{self, Index, Memories, Publishing},
    telemetry::{Health, Metrics},
};
use feed::Feed;
use progress::Progress;
use wake::{ConnectionQueues, Wakes};
use watch::Guarded;
use work::Shared;

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

/// Runs the controller until `end` completes; then nothing new is begun, and what is under way is given 20 s.
pub async fn run(client: Client, options: Options, end: impl Future<Output = ()> + Send) {
    let scopes = scopes(options.namespaces);
    let (registry, troubled) = Registry::new(client.clone(), options.settings);
    let (namespaces, relabelled) = Namespaces::new(client.clone());
    let (counters, to_be_counted) = Counters::new();
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let wakes = Wakes::new();

    let progress: Vec<_> = scopes
        .iter()
        .map(|scope| {
            let until_then = "none of them is looked at, and no switch begins anywhere";
            Progress::of::<TenantPricing>(scope.as_deref(), until_then)
        })
        .collect();
    let (index, filled) = (Index::default(), Filled::new(progress.iter().map(Progress::filling).collect()));
    let for_connections = Arc::new(ConnectionContext {
        client: client.clone(),
        clock: options.clock.clone(),
        registry: registry.clone(),
        tries: Tries::default(),
        counters: counters.clone(),
        count: count(index.clone(), filled.clone(), options.clock.clone()),
        tasks: tasks.clone(),
    });
    let connections: Vec<_> = scopes
        .iter()
        .map(|scope| watch::connections(&client, scope.as_deref(), for_connections.clone(), wakes.clone()))
        .collect();
    let connections_filling = connections.iter().map(|watched| watched.cache.filling.clone());
    let filling = connections_filling.chain(progress.iter().map(Progress::filling)).collect();
    tokio::spawn(tell_when_filled(filling, options.health.clone()));
    let (calls, called) = mpsc::unbounded_channel();
    let context = pricing::Context {
        client: client.clone(),
        clock: options.clock,
        metrics: options.metrics.clone(),
        registry,
        namespaces: namespaces.clone(),
        connections: Stores::new(connections.iter().map(|watched| watched.cache.clone()).collect()),
        objects: Objects::default(),
        filled,
        index,
        memories: Memories::default(),
        publishing: Publishing::default(),
        calls,
        tasks: tasks.clone(),
        stopping: stopping.clone(),
    };
    let shared = Shared::new(context, counters);
    shared.describe_to(&options.metrics);

    let mut queues = ConnectionQueues::default();
    let mut running = Vec::new();
    for watched in connections {
        let called_for = queues.add(watched.cache.namespace.as_deref());
        let controller = Controller::for_stream(watched.stream, watched.cache.store)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .reconcile_on(called_for)
            .graceful_shutdown_on(stopping.clone().cancelled_owned());
        let run = controller.run(connections::reconcile, connection_failed, for_connections.clone());
        running.push(run.for_each(|_| async {}).boxed());
    }
    for (scope, progress) in scopes.iter().zip(progress) {
        let events = watch::pricings(&client, scope.as_deref(), options.label_selector.as_deref());
        let feed = Feed::new(shared.clone(), progress, scope.clone());
        running.push(stopping.clone().run_until_cancelled_owned(feed.run(events)).map(drop).boxed());
    }
    running.push(shared.clone().work().boxed());
    running.push(stopping.clone().run_until_cancelled_owned(shared.clone().answer(called)).map(drop).boxed());
    running.push(stopping.clone().run_until_cancelled_owned(shared.clone().foretell()).map(drop).boxed());
    let helping = [
        tokio::spawn(wake::pass_on(troubled, to_be_counted, queues)),
        tokio::spawn(wakes.clone().pass_on(relabelled)),
        tokio::spawn(namespaces.follow()),
    ];
    running.push(stopping.clone().run_until_cancelled_owned(wakes.wake(shared)).map(drop).boxed());
    let running = join_all(running);
    tokio::pin!(end, running);
    tokio::select! {
        () = &mut end => {}
        _ = &mut running => {
            options.health.dead("all watches have ended");
            tracing::error!("all watches have ended; nothing is reconciled any more");
        }
    }
    tracing::info!("asked to end: nothing new is begun, and what is under way is finished");
    stopping.cancel();
    tasks.close();
    let finished = async {
        running.await;
        tasks.wait().await;
    };
    helping.iter().for_each(tokio::task::JoinHandle::abort);
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(
            "work was still under way after {} s; it is resolved after the next start",
            GRACE.as_secs()
        );
    }
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
