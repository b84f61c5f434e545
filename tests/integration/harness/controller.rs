//! The real binary as a process of its own.

pub mod metrics;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    sync::Mutex,
};

const SUPERVISE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane/supervise");
/// The controller as cargo built it for this test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tenant-pricing-controller");

/// The command line tool.
pub const PLUGIN: &str = env!("CARGO_BIN_EXE_kubectl-tenantpricing");

/// How a controller is started. [`super::Test::controller_options`] fills it in for one test.
#[derive(Debug, Clone)]
pub struct ControllerOptions {
    pub binary: PathBuf,
    /// User `controller`, who has the rights that the chart grants, unless the test is about rights.
    pub kubeconfig: PathBuf,
    /// `--watch-namespaces`; empty leaves the flag out, which means all of them.
    pub namespaces: Vec<String>,
    /// `--allowed-hosts`.
    pub allowed_hosts: Vec<String>,
    /// Holds the offset of the controller's clock from the machine's in whole seconds.
    pub clock_file: PathBuf,
    /// `--lease-namespace`. Several controllers of one test elect one of them, unless their leases differ.
    pub lease_namespace: String,
    /// `--log-level`.
    pub log_level: String,
    /// What else is to stand on the command line.
    pub arguments: Vec<String>,
    /// The failpoint at which the process ends itself, in the syntax of the crate `fail`; empty
    /// for none.
    pub failpoints: String,
}

impl ControllerOptions {
    /// Adds to the command line.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With another kubeconfig: a proxy's, say.
    pub fn through(mut self, kubeconfig: PathBuf) -> Self {
        self.kubeconfig = kubeconfig;
        self
    }

    fn command_line(&self) -> Vec<String> {
        let mut line = vec!["run".to_owned(), "--log-format=json".to_owned()];
        line.push(format!("--log-level={}", self.log_level));
        // Many run at once; `Controller::admin_address` reads the port from the log.
        line.push("--admin-address=127.0.0.1:0".to_owned());
        line.push(format!("--allowed-hosts={}", self.allowed_hosts.join(",")));
        if !self.namespaces.is_empty() {
            line.push(format!("--watch-namespaces={}", self.namespaces.join(",")));
        }
        line.push(format!("--lease-namespace={}", self.lease_namespace));
        line.extend(self.arguments.iter().cloned());
        line
    }
}

/// One life of a controller process: a restart is another one. The process ends at the latest when
/// the test does, even if the test is killed.
#[derive(Clone)]
pub struct Controller {
    process: Arc<Mutex<Child>>,
    log: PathBuf,
}

impl Controller {
    /// Starts a process with its output in `log`. The caller has to end it; [`super::Test`] does.
    pub fn start(options: &ControllerOptions, log: &Path) -> Self {
        Self::supervise(&options.binary, &options.command_line(), log, |command| {
            command.env("KUBECONFIG", &options.kubeconfig);
            command.env("TENANT_PRICING_TEST_CLOCK_FILE", &options.clock_file);
            command.env("FAILPOINTS", &options.failpoints);
        })
    }

    /// Any program, held as a controller is: the harness tests itself with small ones.
    pub fn supervise(
        program: &Path,
        arguments: &[String],
        log: &Path,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(SUPERVISE);
        command.arg(log).arg(program).args(arguments).process_group(0).stdin(Stdio::piped());
        // Everything is on loopback; what the machine is set up for does not matter here.
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        adjust(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {SUPERVISE}: {error}"));
        Self { process: Arc::new(Mutex::new(child)), log: log.to_owned() }
    }

    /// Sends a signal by its name, without waiting for its effect: `TERM`, `STOP`, `CONT`, `KILL`.
    pub async fn signal(&self, name: &str) {
        let mut process = self.process.lock().await;
        if let Some(stdin) = &mut process.stdin {
            // If the process has already ended, nothing reads it.
            let _ = stdin.write_all(format!("{name}\n").as_bytes()).await;
        }
    }

    /// SIGTERM: the controller may finish what it is at.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// SIGKILL; when it returns, the process is gone.
    pub async fn kill(&self) {
        self.signal("KILL").await;
        self.wait(Duration::from_secs(10)).await.expect("a killed process ends");
    }

    /// The exit code, or 128 and the signal's number; nothing if the process still runs after `limit`.
    pub async fn wait(&self, limit: Duration) -> Option<i32> {
        // Not tokio's `wait`, which would close the pipe first and thereby end the process.
        let ended = async {
            loop {
                if let Some(code) = self.exit_code().await {
                    break code;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, ended).await.ok()
    }

    /// The exit code, unless the process still runs.
    pub async fn exit_code(&self) -> Option<i32> {
        let status = self.process.lock().await.try_wait().unwrap();
        status.map(|status| status.code().unwrap_or(-1))
    }

    /// The most memory that the process has had resident so far, in bytes.
    pub async fn peak_memory(&self) -> u64 {
        let supervisor = self.process.lock().await.id().expect("it runs");
        let child_of_it = |stat: &str| {
            // The program's name, in parentheses, may hold anything; state and parent follow it.
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            parent == Some(&*supervisor.to_string())
        };
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let mut children = processes.filter(|process| {
            let is_program = fs::read_link(process.join("exe")).is_ok_and(|exe| !exe.ends_with("bash"));
            is_program && fs::read_to_string(process.join("stat")).is_ok_and(|stat| child_of_it(&stat))
        });
        let status = fs::read_to_string(children.next().expect("the process").join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// All that the process wrote to standard output and standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The point at which the process ended itself, if it did.
    pub fn ended_at(&self) -> Option<String> {
        let log = self.log();
        let mut words = log.lines().filter_map(|line| line.strip_prefix("the process ends at "));
        words.next().map(str::to_owned)
    }

    /// Where `/livez`, `/readyz` and `/metrics` are served; nothing before the controller has said so.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        let entries = self.log_entries();
        let entry = entries.iter().find(|entry| entry["message"] == "admin server listening")?;
        entry["address"].as_str()?.parse().ok()
    }

    /// Asks the admin server: the answer's status, content type and body. Nothing if no answer comes.
    pub async fn ask_admin(&self, path: &str) -> Option<(u16, String, String)> {
        let mut stream = TcpStream::connect(self.admin_address()?).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        // It closes the connection after the answer.
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        Some((status, kind.to_owned(), body.to_owned()))
    }

    /// The log's JSON lines; lines of another form are left out.
    pub fn log_entries(&self) -> Vec<serde_json::Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
