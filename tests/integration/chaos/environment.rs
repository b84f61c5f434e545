//! What a run stands on: a control plane that may die, a platform, namespaces, and connections.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    clock::Clock,
    simulator::{Simulator, SimulatorOptions},
};
use tokio_util::sync::CancellationToken;

use super::{
    action::{Through, Whose},
    history::History,
    users::Users,
};
use crate::harness::Environment;

/// The namespace of the connection that admits everybody.
pub const PLATFORM: &str = "chaos-platform";
/// The namespaces of the objects.
pub const TEAMS: [&str; 2] = ["chaos-north", "chaos-south"];
/// What both clocks show at the beginning, shortly before the first of a month.
const BEGINNING: &str = "2026-11-20T10:00:00Z";

/// Where everything takes place.
pub struct ChaosEnvironment {
    pub control_plane: &'static Environment,
    pub simulator: Simulator,
    pub client: Client,
    pub users: Users,
    pub history: Arc<History>,
    /// For the logs and clocks of the replicas.
    pub directory: PathBuf,
    /// Whatever goes wrong ends now.
    pub quiet: CancellationToken,
}

impl ChaosEnvironment {
    /// `narrow` is the budget of [`Through::Narrow`], in a minute.
    pub async fn set(narrow: u32) -> Self {
        let environment = Environment::fragile().await;
        let clock = Some(BEGINNING.parse().unwrap());
        let simulator =
            Simulator::start(SimulatorOptions { clock, ..SimulatorOptions::default() }).await.unwrap();
        simulator.keep_tenant_history();
        let mut config = environment.client_config().await;
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let history = Arc::new(History::new());
        history.watch_for_stalls();
        let directory = environment.directory.join("chaos");
        fs::create_dir_all(&directory).unwrap();
        let users = Users::new(client.clone(), Arc::clone(&history));
        let quiet = CancellationToken::new();
        let environment =
            Self { control_plane: environment, simulator, client, users, history, directory, quiet };
        environment.furnish(narrow).await;
        environment
    }

    /// Waits this long, unless the faults are to end. Returns whether they are.
    pub async fn pause(&self, time: Duration) -> bool {
        self.quiet.run_until_cancelled(tokio::time::sleep(time)).await.is_none()
    }

    /// Namespaces, Secrets and connections.
    async fn furnish(&self, narrow: u32) {
        for namespace in [PLATFORM, TEAMS[0], TEAMS[1]] {
            self.users.create_namespace(namespace).await;
            self.users.secret(namespace, Some(&self.credentials())).await;
        }
        let wrong = json!({"clientId": self.simulator.client_id(), "clientSecret": WRONG_SECRET});
        self.users.secret_named(PLATFORM, "wrong", Some(&wrong)).await;
        let everybody = json!({"from": "All"});
        let extra = |allowed: Value, secret: &str, suspend: bool| json!({"allowedNamespaces": allowed, "credentialsSecretRef": {"name": secret}, "suspend": suspend});
        self.connection(Through::Wide, TEAMS[0], extra(everybody.clone(), "platform", false)).await;
        let mut few = extra(everybody.clone(), "platform", false);
        few["switch"] = json!({"budget": {"count": narrow, "window": NARROW_WINDOW}});
        self.connection(Through::Narrow, TEAMS[0], few).await;
        self.connection(Through::Broken, TEAMS[0], extra(everybody.clone(), "wrong", false)).await;
        self.connection(Through::Shut, TEAMS[0], extra(everybody, "platform", true)).await;
        self.connection(Through::Closed, TEAMS[0], extra(json!({}), "platform", false)).await;
        for team in TEAMS {
            self.connection(Through::Own, team, extra(json!({}), "platform", false)).await;
        }
    }

    async fn connection(&self, through: Through, team: &str, extra: Value) {
        let (namespace, name) = connection(through, team);
        let mut spec = json!({"url": self.simulator.url(), "pollInterval": "10s"});
        for (key, value) in extra.as_object().unwrap().iter().chain(in_order(through).as_object().unwrap()) {
            spec[key] = value.clone();
        }
        self.users.create_connection(namespace, name, &spec).await;
    }

    /// Right ones.
    pub fn credentials(&self) -> Value {
        json!({"clientId": self.simulator.client_id(), "clientSecret": self.simulator.client_secret()})
    }

    /// Sets a clock so far from where it belongs.
    pub fn clock_is_off(&self, whose: Whose, seconds: i64) {
        let right = right_time(&self.directory);
        match whose {
            Whose::Platform => self.simulator.set_clock(right + SignedDuration::from_secs(seconds)),
            Whose::Replica(number) => {
                let base = right.duration_since(Clock::system().now()).as_secs();
                write_clock(&self.directory.join(format!("clock-{number}")), base + seconds);
            }
        }
    }

    /// Where all clocks belong from now on.
    pub fn set_right_time(&self, now: Timestamp) {
        let offset = now.duration_since(Clock::system().now()).as_secs();
        write_clock(&self.directory.join("right-time"), offset);
    }
}

/// The window of [`Through::Narrow`]: the shortest there is, and longer than a poll interval.
const NARROW_WINDOW: &str = "1m";

/// The working specs of the connections that users close.
pub fn in_order(through: Through) -> Value {
    match through {
        Through::Own => {
            json!({"requestsPerSecond": 40, "switch": {"budget": {"count": 30, "window": "1m"}}})
        }
        Through::Narrow => json!({"requestsPerSecond": 40}),
        _ => json!({"requestsPerSecond": 200, "switch": {"budget": {"count": 1000, "window": "1h"}}}),
    }
}

/// A Secret that was never right; it must not be shown either.
pub const WRONG_SECRET: &str = "never-right-5d41402abc4b2a76";

/// Namespace and name of a connection, as an object of a team's namespace means it.
pub fn connection(through: Through, team: &str) -> (&str, &'static str) {
    match through {
        Through::Own => (team, "default"),
        Through::Wide => (PLATFORM, "wide"),
        Through::Narrow => (PLATFORM, "narrow"),
        Through::Broken => (PLATFORM, "broken"),
        Through::Shut => (PLATFORM, "shut"),
        Through::Closed => (PLATFORM, "closed"),
        Through::Missing => (PLATFORM, "missing"),
    }
}

fn right_time(directory: &std::path::Path) -> Timestamp {
    let offset = fs::read_to_string(directory.join("right-time")).ok();
    let offset = offset.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        BEGINNING.parse::<Timestamp>().unwrap().duration_since(Clock::system().now()).as_secs()
    });
    Clock::system().now() + SignedDuration::from_secs(offset)
}

fn write_clock(file: &std::path::Path, offset: i64) {
    // Renamed into place: a half-written offset would be another time.
    let draft = file.with_extension("new");
    fs::write(&draft, offset.to_string()).unwrap();
    fs::rename(&draft, file).unwrap();
}
