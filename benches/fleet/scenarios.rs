//! What is measured, one file for each scenario.

mod cold_start;
mod command_line;
mod connections;
mod drain;
mod large;
mod names;
mod new_object;
mod outage;
mod pace;
mod policies;
mod restart;
mod steady;
mod takeover;

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::{
    Measured,
    api_server::audit::Write,
    bench::{Bench, say},
    measurements::{Amount, Measurement},
    report::Findings,
};

/// What can be measured on a fleet that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A new object that asks for production: from its creation to the `PUT`.
    NewObject,
    /// Nothing happens; and new objects while everything is polled.
    Steady,
    /// The platform is away for a while, and comes back.
    Outage,
    /// The controller is restarted, with and without objects that came meanwhile.
    Restart,
    /// The leader ends, and another replica takes over.
    Takeover,
    /// Edits while many switches are due at once.
    Drain,
    /// Switches by name, and by id.
    Names,
    /// What `requestsPerSecond` does.
    Pace,
    /// A thousand connections that do not work, and an edit storm on one that does.
    Connections,
    /// Objects as large as anyone may make them.
    Large,
    /// Edits with and without the policies that ask for the verb `switch`.
    Policies,
    /// `kubectl-tenantpricing plan`, over 1,000 manifests.
    Plan,
    /// `kubectl-tenantpricing import` of N tenants, and once more.
    Import,
    /// `kubectl-tenantpricing status -A`.
    Status,
    /// The help and the completion of `kubectl-tenantpricing`, without a cluster.
    Startup,
    /// How large the programs are.
    Sizes,
}

impl Scenario {
    /// All, in the order in which they are measured: each leaves the fleet as the next one needs it.
    pub const ALL: &[Self] = &[
        Self::NewObject,
        Self::Steady,
        Self::Outage,
        Self::Restart,
        Self::Takeover,
        Self::Drain,
        Self::Names,
        Self::Pace,
        Self::Connections,
        Self::Large,
        Self::Policies,
        Self::Plan,
        Self::Import,
        Self::Status,
        Self::Startup,
        Self::Sizes,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::NewObject => "new objects",
            Self::Steady => "steady state",
            Self::Outage => "an outage",
            Self::Restart => "restarts",
            Self::Takeover => "takeovers",
            Self::Drain => "many switches due at once",
            Self::Names => "switches by name",
            Self::Pace => "pace",
            Self::Connections => "many connections",
            Self::Large => "large annotations",
            Self::Policies => "policies",
            Self::Plan => "plan",
            Self::Import => "import",
            Self::Status => "status",
            Self::Startup => "help and completion",
            Self::Sizes => "sizes of the programs",
        }
    }

    /// Measures it; `brief` is for what only shows how cost grows.
    pub async fn measure(self, bench: &mut Bench, brief: bool) -> Measured<()> {
        match self {
            Self::NewObject => new_object::new_object(bench, brief).await,
            Self::Steady => steady::steady(bench).await,
            Self::Outage => outage::outage(bench).await,
            Self::Restart => restart::restart(bench).await,
            Self::Takeover => takeover::takeover(bench).await,
            Self::Drain => drain::drain(bench).await,
            Self::Names => names::names(bench).await,
            Self::Pace => pace::pace(bench).await,
            Self::Connections => connections::connections(bench).await,
            Self::Large => large::large(bench).await,
            Self::Policies => policies::policies(bench).await,
            Self::Plan => command_line::plan::plan(bench).await,
            Self::Import => command_line::import::import(bench).await,
            Self::Status => command_line::status::status(bench).await,
            Self::Startup => command_line::startup::startup(bench).await,
            Self::Sizes => command_line::sizes::sizes(bench),
        }
    }
}

/// Measures what shows how cost grows, and nothing else.
pub async fn measure_briefly(bench: Bench) -> Findings {
    use Scenario::{Import, NewObject, Restart, Status};
    measure(bench, &[NewObject, Restart, Import, Status], true).await
}

/// Measures everything, or the cold start and the scenarios that were asked for.
pub async fn measure_all(bench: Bench, only: &[Scenario]) -> Findings {
    measure(bench, if only.is_empty() { Scenario::ALL } else { only }, false).await
}

async fn measure(mut bench: Bench, wanted: &[Scenario], brief: bool) -> Findings {
    say("cold start");
    let cold = cold_start::cold_start(&mut bench).await;
    // Without a fleet that stands there is nothing to measure the rest on.
    let stands = bench.note_trouble("cold start", cold.err());
    for scenario in Scenario::ALL.iter().filter(|scenario| stands && wanted.contains(scenario)) {
        say(scenario.title());
        let measured = scenario.measure(&mut bench, brief).await;
        bench.note_trouble(scenario.title(), measured.err());
    }
    bench.finish().await
}

/// That nothing was written, renewals of a lease left out.
fn no_writes(what: &str, writes: &[Write]) -> Measurement {
    let mut kinds = BTreeMap::<String, usize>::new();
    for write in writes.iter().filter(|write| !write.renews_a_lease()) {
        *kinds.entry(write.kind()).or_default() += 1;
    }
    let kinds_written: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let count = Amount::count(kinds.values().sum());
    Measurement::at_most(what, count, 0.0, "0").note(kinds_written.join(", "))
}
