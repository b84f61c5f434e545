//! The released controller as a process of its own.

pub mod proc;

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tenant_pricing_controller::clock::Clock;
use tokio::time::sleep;

use self::proc::Memory;
use crate::{Measured, Trouble, accounts::SYSTEM};

const SUPERVISE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane/supervise");

/// A host that is allowed besides the platform's, and that nothing is ever sent to.
pub const OTHER_HOST: &str = "connections.example.com";

/// The pause between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// The controller must be ready, or have ended, within this time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a controller is started.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    kubeconfig: PathBuf,
    log: PathBuf,
    has_admin_server: bool,
}

impl Launch {
    /// Asks the program itself which flags it has.
    pub fn new(program: &Path, kubeconfig: &Path, log: &Path, platform: &str) -> Measured<Self> {
        let help = Command::new(program).args(["run", "--help"]).env_clear().output()?;
        let help = String::from_utf8_lossy(&help.stdout);
        let has_admin_server = help.contains("--admin-address");
        let allowed = format!("{platform},{OTHER_HOST}");
        let mut arguments = ["run", "--log-format=json", "--log-level=info", "--allowed-hosts", &allowed]
            .map(str::to_owned)
            .to_vec();
        if help.contains("--lease-namespace") {
            arguments.push(format!("--lease-namespace={SYSTEM}"));
        }
        Ok(Self {
            program: program.to_owned(),
            arguments,
            kubeconfig: kubeconfig.to_owned(),
            log: log.to_owned(),
            has_admin_server,
        })
    }

    /// Starts a controller. It ends at the latest with this process.
    pub async fn start(&self) -> Measured<Controller> {
        let mut command = Command::new(SUPERVISE);
        let log_before = std::fs::metadata(&self.log).map_or(0, |metadata| metadata.len());
        command.arg(&self.log).arg(&self.program).args(&self.arguments);
        let admin = if self.has_admin_server { Some(free_address()?) } else { None };
        command.args(admin.map(|address| format!("--admin-address={address}")));
        command.env_clear().env("KUBECONFIG", &self.kubeconfig);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // Ctrl-C in a terminal is for us; the controller ends with us, by its pipe.
        command.process_group(0).stdin(Stdio::piped());
        let (started, started_at) = (Instant::now(), Clock::system().now());
        let mut supervisor = command.spawn()?;
        let lifeline = supervisor.stdin.take();
        let process = loop {
            if let Some(process) = proc::child_running(supervisor.id(), &self.program) {
                break process;
            }
            if supervisor.try_wait()?.is_some() || started.elapsed() > PATIENCE {
                return Err("the controller did not start".into());
            }
            sleep(PAUSE).await;
        };
        let (log, http) = (self.log.clone(), reqwest::Client::builder().no_proxy().build()?);
        Ok(Controller { supervisor, lifeline, process, started, started_at, admin, log, log_before, http })
    }
}

fn free_address() -> Measured<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A controller that runs.
pub struct Controller {
    supervisor: Child,
    lifeline: Option<ChildStdin>,
    process: u32,
    pub started: Instant,
    pub started_at: Timestamp,
    admin: Option<SocketAddr>,
    log: PathBuf,
    log_before: u64,
    http: reqwest::Client,
}

impl Controller {
    /// Waits until it reports ready, and returns the instant. A controller without `/readyz` reports only in
    /// its log that it has started.
    pub async fn ready(&mut self) -> Measured<Instant> {
        while self.started.elapsed() < PATIENCE {
            let ready = match self.admin {
                Some(admin) => {
                    let answer = self.http.get(format!("http://{admin}/readyz")).send().await;
                    answer.is_ok_and(|answer| answer.status().is_success())
                }
                None => self.log()?.contains("\"message\":\"started\""),
            };
            if ready {
                return Ok(Instant::now());
            }
            if self.supervisor.try_wait()?.is_some() {
                return Err(self.trouble("the controller ended"));
            }
            sleep(PAUSE).await;
        }
        Err(self.trouble("the controller was not ready in time"))
    }

    /// Whether it has a `/readyz` to ask.
    pub fn reports_ready(&self) -> bool {
        self.admin.is_some()
    }

    pub fn memory(&self) -> Measured<Memory> {
        proc::memory(self.process)
    }

    pub fn processor_time(&self) -> Measured<Duration> {
        proc::processor_time(self.process)
    }

    /// Ends it as a cluster would, and waits until it is gone.
    pub async fn end(self) -> Measured<()> {
        self.end_by("TERM").await
    }

    /// Ends it as a lost node would, and waits until it is gone.
    pub async fn kill(self) -> Measured<()> {
        self.end_by("KILL").await
    }

    async fn end_by(mut self, signal: &str) -> Measured<()> {
        use std::io::Write as _;
        if let Some(lifeline) = &mut self.lifeline {
            writeln!(lifeline, "{signal}")?;
        }
        let asked = Instant::now();
        while self.supervisor.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                return Err(self.trouble("the controller does not end"));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// What this process wrote to its log.
    fn log(&self) -> Measured<String> {
        let text = std::fs::read(&self.log)?;
        let own = text.get(usize::try_from(self.log_before)?..).unwrap_or_default();
        Ok(String::from_utf8_lossy(own).into_owned())
    }

    fn trouble(&self, what: &str) -> Trouble {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n");
        format!("{what}; its last words:\n{last}").into()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // The end of its input ends the supervisor, and that the controller.
        self.lifeline.take();
        let _ = self.supervisor.wait();
    }
}
