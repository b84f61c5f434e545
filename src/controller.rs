//! Informers, work queue and wiring: runs the reconciles until the process shuts down.

mod election;
mod fleet_metrics;
mod informer;
mod leadership;
mod namespace_check;
mod poller;
mod probes;
mod shutdown;
mod switch_queue;
mod upcoming;
mod wiring;
mod work_queue;
mod workers;

use election::Election;
use kube::Client;
pub use shutdown::shutdown_signal;
use wiring::Wiring;

use crate::{
    clock::Clock,
    cluster::lease::Elector,
    connections::Settings,
    telemetry::{Health, Metrics},
};

/// The options of [`run`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to watch; empty means all.
    pub namespaces: Vec<String>,
    /// The label selector of the `TenantPricing`s to watch, as the API server takes it; `None` means all.
    pub label_selector: Option<String>,
    /// The settings that apply to all connections.
    pub settings: Settings,
    /// The wall clock of the process. Tests move it.
    pub clock: Clock,
    /// The state that the probes report.
    pub health: Health,
    /// What the process counts and measures.
    pub metrics: Metrics,
}

/// Runs the controller until `shutdown` completes. Then nothing new begins, and the work in progress gets 20 s.
///
/// `watching` is a client for watches only, so a new watch never reuses a dead connection of another request. With an
/// elector the controller acts only while it leads, and releases the lease when no work is in progress. Without one it
/// always leads.
pub async fn run(
    client: Client,
    watching: Client,
    options: Options,
    elector: Option<Elector>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let health = options.health.clone();
    let wiring = Wiring::build(client, watching, options);
    wiring.report_to_probes();
    if let Some(elector) = &elector {
        tokio::spawn(probes::report_refusal(elector.refused(), health.clone()));
    }
    let mut election = Election::begin(elector);
    tokio::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => wiring.stopping.cancel(),
        () = election.wait_until_known() => {}
    }
    let mut running = wiring.start(&election);
    tokio::select! {
        () = &mut shutdown, if !running.stopping.is_cancelled() => {}
        () = running.stopping.clone().cancelled_owned() => {}
        () = running.watches_ended() => {
            health.set_failed("all watches have ended");
            tracing::error!("all watches have ended; nothing is reconciled any more");
        }
    }
    let is_idle = running.drain(&election).await;
    election.end(is_idle).await;
}
