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
use tokio::sync::{broadcast, mpsc, watch as watch_channel};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use shutdown::asked_to_end;

use crate::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    cluster::{Filled, Filling, Objects, Stores},
    connections::{self, ConnectionContext, Registry, Settings},
    pricing::{self, Index, Memories, Publishing},
    telemetry::{Health, Metrics},
};
use feed::Feed;
use progress::Progress;
use wake::Wakes;
use watch::Guarded;
use work::Shared;

/// So many connections are tried at once. What is worked on mostly waits for the API server or the platform.
const CONCURRENCY: u16 = 16;

/// Work under way is given so long to end when the process is asked to.
const GRACE: Duration = Duration::from_secs(20);

/// A connection's status that could not be written is written again after this pause.
const CONNECTION_RETRY: Duration = Duration::from_secs(5);

/// So many connections in trouble may wait to be looked into.
const WAITING: usize = 256;

/// What `run` runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to watch; none means all of them.
    pub namespaces: Vec<String>,
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
    // Each once: two queues must not hold the same object.
    let namespaces: BTreeSet<String> =
        options.namespaces.into_iter().filter(|name| !name.is_empty()).collect();
    let scopes: Vec<Option<String>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() };
    let (registry, troubled) = Registry::new(client.clone(), options.settings);
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let wakes = Wakes::new();

    let connections: Vec<_> = scopes
        .iter()
        .map(|scope| watch::connections(&client, scope.as_deref(), registry.clone(), wakes.clone()))
        .collect();
    let progress: Vec<_> = scopes
        .iter()
        .map(|scope| {
            let until_then = "none of them is looked at, and no switch begins anywhere";
            Progress::of::<TenantPricing>(scope.as_deref(), until_then)
        })
        .collect();
    let connections_filling = connections.iter().map(|watched| watched.cache.filling.clone());
    let filling = connections_filling.chain(progress.iter().map(Progress::filling)).collect();
    tokio::spawn(tell_when_filled(filling, options.health.clone()));
    let (calls, called) = mpsc::unbounded_channel();
    let shared = Shared::new(pricing::Context {
        client: client.clone(),
        clock: options.clock.clone(),
        metrics: options.metrics.clone(),
        registry: registry.clone(),
        connections: Stores::new(connections.iter().map(|watched| watched.cache.clone()).collect()),
        objects: Objects::default(),
        filled: Filled::new(progress.iter().map(Progress::filling).collect()),
        index: Index::default(),
        memories: Memories::default(),
        publishing: Publishing::default(),
        calls,
        tasks: tasks.clone(),
        stopping: stopping.clone(),
    });
    shared.describe_to(&options.metrics);
    let for_connections = Arc::new(ConnectionContext {
        client: client.clone(),
        clock: options.clock,
        registry,
        tasks: tasks.clone(),
    });

    // Every queue hears of every connection in trouble; one that is not its own is not in its cache.
    let trouble_queues = broadcast::Sender::new(WAITING);
    let mut running = Vec::new();
    for watched in connections {
        let controller = Controller::for_stream(watched.stream, watched.cache.store)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .reconcile_on(wake::received(trouble_queues.subscribe()))
            .graceful_shutdown_on(stopping.clone().cancelled_owned());
        let run = controller.run(connections::reconcile, connection_failed, for_connections.clone());
        running.push(run.for_each(|_| async {}).boxed());
    }
    for (scope, progress) in scopes.iter().zip(progress) {
        let events = watch::pricings(&client, scope.as_deref());
        let feed = Feed::new(shared.clone(), progress, scope.clone());
        running.push(stopping.clone().run_until_cancelled_owned(feed.run(events)).map(drop).boxed());
    }
    running.push(shared.clone().work().boxed());
    running.push(stopping.clone().run_until_cancelled_owned(shared.clone().answer(called)).map(drop).boxed());
    running.push(stopping.clone().run_until_cancelled_owned(shared.clone().foretell()).map(drop).boxed());
    running.push(stopping.clone().run_until_cancelled_owned(wakes.wake(shared)).map(drop).boxed());
    let passing_on = tokio::spawn(wake::pass_on(troubled, trouble_queues));
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
    passing_on.abort();
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(
            "work was still under way after {} s; it is resolved after the next start",
            GRACE.as_secs()
        );
    }
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
