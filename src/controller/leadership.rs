//! The work that runs while this process leads: everything that writes to the API server or to the platform. The caches
//! stay up to date independently, on a standby as well.

use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{fleet_metrics, informer::triggers::Triggers, upcoming, workers::Workers};
use crate::{
    cluster::{
        Key,
        lease::{LeadershipFlag, LeadershipState, Term},
    },
    pricing::{Context, Dependencies},
    telemetry::Health,
};

/// What a term needs, and what is notified of it.
pub(super) struct Leadership {
    pub dependencies: Dependencies,
    pub health: Health,
    pub triggers: Triggers,
    /// Cancelled at shutdown.
    pub stopping: CancellationToken,
    /// Tells the reconciles of connections whether this process leads.
    pub leads: LeadershipFlag,
    /// Gives the informers of objects the workers.
    pub workers_tx: watch::Sender<Option<Arc<Workers>>>,
    /// Triggers checks of connections.
    pub check_tx: mpsc::UnboundedSender<Key>,
}

impl Leadership {
    /// Leads whenever this process is the leader, until shutdown.
    pub(super) async fn run(self, mut leadership: watch::Receiver<LeadershipState>) {
        loop {
            let now = leadership.borrow_and_update().clone();
            if let LeadershipState::Leading(term) = now {
                self.lead(term).await;
            }
            let changed = self.stopping.run_until_cancelled(leadership.changed());
            match changed.await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    self.health.set_failed("the leader election has ended");
                    tracing::error!("the leader election has ended; this process never leads again");
                    return;
                }
            }
        }
    }

    /// Works until the term or the process ends. Work in progress then runs to its end.
    async fn lead(&self, term: Term) {
        let ending = self.stopping.child_token();
        let (enqueue_tx, enqueue_rx) = mpsc::unbounded_channel();
        let context = Context::new(self.dependencies.clone(), enqueue_tx, term.clone(), ending.clone());
        let announcing = upcoming::announce(context.clone());
        let workers = Workers::new(context);
        let Dependencies { metrics, reconcile_state, connections, registry, .. } = &self.dependencies;
        fleet_metrics::publish(&workers, metrics);
        // Changes must be received before work begins that depends on them.
        let triggers = self.triggers.clone().enqueue(workers.clone());
        let until_the_end = |work: futures::future::BoxFuture<'static, ()>| {
            ending.clone().run_until_cancelled_owned(work).map(drop)
        };
        let work = async {
            tokio::join!(
                workers.clone().run(),
                until_the_end(workers.clone().enqueue_requested(enqueue_rx).boxed()),
                until_the_end(announcing.boxed()),
                until_the_end(triggers.boxed()),
            )
        };
        metrics.leading(true);
        // The stored statuses may be an earlier leader's.
        reconcile_state.own_statuses().forget_all();
        self.leads.begin(term.clone());
        self.workers_tx.send_replace(Some(workers.clone()));
        // As a standby this process ignored the triggers of connections.
        for connection in connections.collect(|connection| Some(Key::of(connection))) {
            // The send fails only if the process is shutting down.
            let _ = self.check_tx.send(connection);
        }
        let over = async {
            tokio::select! {
                () = term.ended().cancelled() => {}
                () = self.stopping.cancelled() => {}
            }
            ending.cancel();
        };
        tokio::join!(work, over);
        registry.give_up_lookups();
        self.workers_tx.send_replace(None);
        self.leads.end();
        metrics.leading(false);
    }
}
