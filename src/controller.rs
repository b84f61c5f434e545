//! Informers, work queue and wiring: runs the reconciles until the process is asked to end.

mod election;
mod existence;
mod fleet_metrics;
mod informer;
mod leadership;
mod poller;
mod probes;
mod shutdown;
mod switch_queue;
mod upcoming;
mod wiring;
mod work_queue;
mod workers;

use kube::Client;

pub use shutdown::asked_to_end;

use crate::{
    clock::Clock,
    cluster::lease::Elector,
    connections::Settings,
    telemetry::{Health, Metrics},
};
use election::Election;
use wiring::Wiring;

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

/// Runs the controller until `end` completes; then nothing new is begun, and what is under way is given 20 s. `watching`
/// is a client for watches alone: one that comes back finds no connection that another request left deaf. With an
/// elector it acts only while it leads, and gives the lease up when nothing is under way any more; without one it
/// always leads.
pub async fn run(
    client: Client,
    watching: Client,
    options: Options,
    elector: Option<Elector>,
    end: impl Future<Output = ()> + Send,
) {
    let health = options.health.clone();
    let wiring = Wiring::build(client, watching, options);
    wiring.report_to_probes();
    if let Some(elector) = &elector {
        tokio::spawn(probes::report_refusal(elector.refused(), health.clone()));
    }
    let mut election = Election::begin(elector);
    tokio::pin!(end);
    tokio::select! {
        () = &mut end => wiring.stopping.cancel(),
        () = election.settled() => {}
    }
    let mut running = wiring.start(&election);
    tokio::select! {
        () = &mut end, if !running.stopping.is_cancelled() => {}
        () = running.stopping.clone().cancelled_owned() => {}
        () = running.watches_ended() => {
            health.dead("all watches have ended");
            tracing::error!("all watches have ended; nothing is reconciled any more");
        }
    }
    let is_idle = running.drain(&election).await;
    election.end(is_idle).await;
}
