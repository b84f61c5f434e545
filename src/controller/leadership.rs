//! What goes on while this process leads: everything that writes, to the API server or to the platform. The caches
//! are kept warm beside it, by a standby as well.

use std::sync::Arc;

use futures::FutureExt;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    fleet_metrics,
    informer::{tenant_pricings::Cached, triggers::Wakes},
    upcoming,
    workers::Workers,
};
use crate::{
    api::PlatformConnection,
    clock::Clock,
    cluster::{
        Filled, Key, Stores,
        lease::{Leads, Standing, Term},
    },
    connections::{Namespaces, Registry},
    pricing::{self, Publishing},
    telemetry::{Health, Metrics},
};

/// What a term is led with, and who is told of it.
pub(super) struct Leadership {
    pub client: Client,
    pub clock: Clock,
    pub metrics: Metrics,
    pub health: Health,
    pub registry: Registry,
    pub namespaces: Namespaces,
    pub connections: Stores<PlatformConnection>,
    pub cached: Cached,
    pub filled: Filled,
    pub publishing: Publishing,
    pub wakes: Wakes,
    pub tasks: TaskTracker,
    /// Cancelled when the process is to end.
    pub stopping: CancellationToken,
    /// Tells the passes over connections.
    pub leads: Leads,
    /// Tells the watches of objects.
    pub at_work: watch::Sender<Option<Arc<Workers>>>,
    /// Has connections tried.
    pub led: mpsc::UnboundedSender<Key>,
}

impl Leadership {
    /// Leads, whenever this process does, until it is to end.
    pub(super) async fn follow(self, mut standing: watch::Receiver<Standing>) {
        loop {
            let now = standing.borrow_and_update().clone();
            if let Standing::Leading(term) = now {
                self.lead(term).await;
            }
            let changed = self.stopping.run_until_cancelled(standing.changed());
            match changed.await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    self.health.dead("the leader election has ended");
                    tracing::error!("the leader election has ended; this process never leads again");
                    return;
                }
            }
        }
    }

    /// Works until the term or the process ends. What is under way then goes on to its end.
    async fn lead(&self, term: Term) {
        let ending = self.stopping.child_token();
        let (calls, called) = mpsc::unbounded_channel();
        let context = pricing::Context {
            client: self.client.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            registry: self.registry.clone(),
            namespaces: self.namespaces.clone(),
            connections: self.connections.clone(),
            objects: self.cached.objects.clone(),
            filled: self.filled.clone(),
            index: self.cached.index.clone(),
            memories: self.cached.memories.clone(),
            events: self.events.clone(),
            calls,
            tasks: self.tasks.clone(),
            term: term.clone(),
            stopping: ending.clone(),
        };
        let announcing = upcoming::announce(context.clone());
        let workers = Workers::new(context);
        fleet_metrics::describe_with(&workers, &self.metrics);
        // Heard of from now on, before anything is worked on that depends on it.
        let wakes = self.wakes.clone().wake(workers.clone());
        let until_the_end = |work: futures::future::BoxFuture<'static, ()>| {
            ending.clone().run_until_cancelled_owned(work).map(drop)
        };
        let work = async {
            tokio::join!(
                workers.clone().run(),
                until_the_end(workers.clone().enqueue_called(called).boxed()),
                until_the_end(announcing.boxed()),
                until_the_end(wakes.boxed()),
            )
        };
        self.metrics.leading(true);
        // What stands in the store may be an earlier leader's.
        self.cached.memories.mends().forget_all();
        self.leads.begin(term.clone());
        self.at_work.send_replace(Some(workers.clone()));
        // What a standby was told of a connection it has let pass.
        for connection in self.connections.collect(|connection| Some(Key::of(connection))) {
            // It fails only when the process ends.
            let _ = self.led.send(connection);
        }
        let over = async {
            tokio::select! {
                () = term.ended().cancelled() => {}
                () = self.stopping.cancelled() => {}
            }
            ending.cancel();
        };
        tokio::join!(work, over);
        self.registry.give_up_lookups();
        self.at_work.send_replace(None);
        self.leads.end();
        self.metrics.leading(false);
    }
}
