//! What a fleet stands on: an API server, the platform, and their clients.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, time::sleep};

use crate::{
    Measured,
    accounts::{self, Accounts},
    api_server::{
        self, ApiServer,
        audit::{Audit, Write},
    },
    controller::Launch,
    environment::Environment,
    manifests,
    platform::Platform,
};

/// How many tenants exist besides the fleet's, for objects that come later.
const LATER: usize = 700;

/// How long something may take that is only prepared or waited for.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// The longest time between a write's answer and its line in the audit log.
const AUDITED: Duration = Duration::from_secs(10);

/// Where a fleet of a certain size is measured.
pub struct Fleet {
    /// How many tenants the fleet has: they are numbered from 1.
    pub size: usize,
    pub accounts: Accounts,
    pub platform: Platform,
    pub launch: Launch,
    audit_log: PathBuf,
    later: AtomicUsize,
    environment: &'static Environment,
    results: PathBuf,
    /// Where platforms run.
    threads: Handle,
}

impl Fleet {
    /// Starts etcd, the API server and the platform.
    pub async fn set(size: usize, program: &Path, results: &Path, threads: &Handle) -> Measured<Self> {
        let environment = Environment::alone().await;
        let accounts = Accounts::set_up(environment).await?;
        let platform = Platform::start(threads, size + LATER).await?;
        let log = environment.directory.join("controller.log");
        let url = platform.simulator.url();
        Ok(Self {
            size,
            launch: Launch::new(program, &accounts.controller_kubeconfig, &log, &url)?,
            accounts,
            platform,
            audit_log: environment.audit_log(),
            later: AtomicUsize::new(size),
            environment,
            results: results.to_owned(),
            threads: threads.clone(),
        })
    }

    pub fn admin(&self) -> &ApiServer {
        &self.accounts.admin
    }

    /// A client for a user of this name.
    pub async fn user(&self, name: &str) -> Measured<ApiServer> {
        accounts::user(self.environment, name).await
    }

    /// Another platform, with this many tenants, and stopped when it is dropped.
    pub async fn another_platform(&self, tenants: usize) -> Measured<Platform> {
        Platform::start(&self.threads, tenants).await
    }

    /// A new folder, which is removed with the fleet.
    pub fn folder(&self, name: &str) -> Measured<PathBuf> {
        let folder = self.environment.directory.join(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Runs `kubectl` or `helm` as the administrator. Returns what it printed.
    pub async fn run(&self, program: &str, arguments: &[&str], input: &str) -> Measured<String> {
        accounts::succeed(self.environment.run(program, arguments, input).await)
    }

    /// The controller's writes from now on.
    pub fn audit(&self) -> Measured<Audit> {
        let mut audit = Audit::new(self.audit_log.clone(), &accounts::controller_user());
        audit.news()?;
        Ok(audit)
    }

    /// All that the controller has written since the last call. The log is written just after the answer: once
    /// something that was sent now stands there, the rest does.
    pub async fn writes(&self, audit: &mut Audit) -> Measured<Vec<Write>> {
        let fence = format!("fence-{:016x}", rand::random::<u64>());
        let path = format!("/api/v1/namespaces/{}/configmaps/{fence}", manifests::NAMESPACE);
        // The object does not exist; the refused request marks a place in the audit log.
        let _ = self.admin().delete(&path).await;
        let asked = Instant::now();
        loop {
            let log = fs::read(&self.audit_log)?;
            let tail = &log[log.len().saturating_sub(1024 * 1024)..];
            if String::from_utf8_lossy(tail).contains(&fence) {
                return audit.news();
            }
            if asked.elapsed() > AUDITED {
                return Err("the audit log is not written".into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The number of a tenant that no object stands for yet.
    pub fn next_tenant(&self) -> Measured<usize> {
        let number = self.later.fetch_add(1, Ordering::Relaxed) + 1;
        if number > self.size + LATER {
            return Err("there are no further tenants on the platform".into());
        }
        Ok(number)
    }

    /// The numbers of all tenants that objects were made for.
    pub fn standing(&self) -> usize {
        self.later.load(Ordering::Relaxed)
    }

    /// Makes the fleet's objects, unseen.
    pub async fn create_fleet(&self) -> Measured<()> {
        let create = |number| async move {
            let object = manifests::tenant_pricing(number, "trial");
            self.admin().create(manifests::FLEET, &object).await
        };
        api_server::all((1..=self.size).map(create)).await
    }

    /// Takes all objects away.
    pub async fn delete_fleet(&self) -> Measured<()> {
        let asked = Instant::now();
        loop {
            // The API server gives up after a minute, with what it has deleted so far gone.
            let deleted = self.admin().delete(manifests::FLEET).await;
            let left = self.admin().list(&format!("{}?limit=1", manifests::FLEET)).await?;
            match (left.is_empty(), deleted) {
                (true, _) => return Ok(()),
                (false, Err(error)) if asked.elapsed() > PATIENCE => return Err(error),
                (false, _) => {}
            }
        }
    }

    /// Makes the connection and its Secret.
    pub async fn connect(&self, poll: Duration) -> Measured<()> {
        let simulator = &self.platform.simulator;
        let secret = manifests::secret(&simulator.client_id(), &simulator.client_secret());
        self.admin().create(manifests::SECRETS, &secret).await?;
        let connection = manifests::connection(&simulator.url(), poll);
        self.admin().create(manifests::CONNECTIONS, &connection).await?;
        Ok(())
    }

    /// Changes the connection's spec.
    pub async fn edit_connection(&self, spec: Value) -> Measured<()> {
        let path = format!("{}/default", manifests::CONNECTIONS);
        self.admin().merge(&path, &json!({ "spec": spec })).await?;
        Ok(())
    }

    /// How many requests the API server has refused for its own fairness, to whomever.
    pub async fn refusals(&self) -> Measured<u64> {
        self.counted(|line| line.starts_with("apiserver_flowcontrol_rejected_requests_total{")).await
    }

    /// How many times a Secret was read.
    pub async fn secret_reads(&self) -> Measured<u64> {
        self.requests("GET", "secrets").await
    }

    /// How many requests with this verb the API server has answered for a resource.
    pub async fn requests(&self, verb: &str, resource: &str) -> Measured<u64> {
        let labels = [format!("verb=\"{verb}\""), format!(",resource=\"{resource}\"")];
        self.counted(|line| {
            line.starts_with("apiserver_request_total{") && labels.iter().all(|label| line.contains(label))
        })
        .await
    }

    /// The sum of the API server's counters that are meant.
    async fn counted(&self, is_meant: impl Fn(&str) -> bool) -> Measured<u64> {
        let metrics = self.admin().get("/metrics").await?;
        let counts = metrics
            .lines()
            .filter(|line| is_meant(line))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it is a count
        Ok(counts.sum::<f64>() as u64)
    }

    /// Keeps the logs of the controller and the API server, for debugging.
    pub fn keep_logs(&self) -> Measured<PathBuf> {
        let folder = self.results.join(format!("logs-{}", self.size));
        fs::create_dir_all(&folder)?;
        for log in ["controller.log", "kube-apiserver.log", "audit.log"] {
            let from = self.environment.directory.join(log);
            if from.exists() {
                fs::copy(from, folder.join(log))?;
            }
        }
        Ok(folder)
    }

    /// Ends everything, and waits until it is gone: the next fleet must have the machine to itself.
    pub async fn clear(self) {
        self.environment.end();
        let asked = Instant::now();
        while self.environment.directory.exists() && asked.elapsed() < Duration::from_secs(30) {
            sleep(Duration::from_millis(50)).await;
        }
        self.platform.simulator.shutdown().await;
    }
}
