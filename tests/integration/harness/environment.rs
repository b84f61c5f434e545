//! The control plane that all tests of the process share.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tenant_pricing_controller::api;

use super::{
    command::{self, Output},
    least_rights::{self, Requests},
};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane");
/// Builds Helm 3, which few tests need.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/build");
/// Ready takes three seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The program of Helm 3.
pub const HELM_3: &str = "helm3";

static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

/// A running etcd and kube-apiserver with our CRDs.
pub struct Environment {
    /// Holds etcd, kube-apiserver, kubectl and helm.
    pub programs: PathBuf,
    /// Everything that is written during the tests lies here; the `up` script removes it.
    pub directory: PathBuf,
    /// The kernel closes this pipe when the process ends, however it ends. That is what ends the servers,
    /// so it lives as long as the process, unless [`Self::end`] is called.
    lifeline: Mutex<Option<ChildStdin>>,
    requests: Mutex<Requests>,
}

/// A server of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Etcd,
    ApiServer,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
        }
    }
}

impl Environment {
    /// The environment, started by the first caller.
    pub async fn get() -> &'static Self {
        let start = || ENVIRONMENT.get_or_init(|| Self::start(&[]).and_then(Self::with_crds));
        let result = tokio::task::spawn_blocking(start).await.unwrap();
        // The failure is kept as well: the first test waits for it, the others need not.
        result.as_ref().unwrap_or_else(|error| panic!("no control plane: {error}"))
    }

    /// Another control plane, without CRDs, for a test that would be in the way of all others: because it
    /// watches every namespace, or because it is about the CRDs. It is to be ended by [`Self::end`], and ends
    /// with the process at the latest.
    pub async fn alone() -> &'static Self {
        let started = tokio::task::spawn_blocking(|| Self::start(&[])).await.unwrap();
        Box::leak(Box::new(started.unwrap_or_else(|error| panic!("no control plane: {error}"))))
    }

    /// One like [`Self::alone`], with our CRDs. Its servers can be ended and come back with their data ([`Server`]),
    /// and its etcd keeps every version of every object.
    pub async fn fragile() -> &'static Self {
        let start = || Self::start(&["--restart"]).and_then(Self::with_crds);
        let started = tokio::task::spawn_blocking(start).await.unwrap();
        Box::leak(Box::new(started.unwrap_or_else(|error| panic!("no control plane: {error}"))))
    }

    /// Sends a signal by its name to a server of a [`Self::fragile`] one. One that was killed comes back at once,
    /// unless it is to stay [`Self::down`]. It must be running, or the next one gets the signal.
    pub fn signal(&self, server: Server, signal: &str) {
        let pipe = self.directory.join(format!("{}.signals", server.name()));
        fs::write(pipe, format!("{signal}\n")).unwrap();
    }

    /// Whether a server that has ended stays away.
    pub fn down(&self, server: Server, down: bool) {
        let file = self.directory.join(format!("{}.down", server.name()));
        if down { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap() }
    }

    /// Ends the servers.
    pub fn end(&self) {
        self.lifeline.lock().unwrap().take();
    }

    fn start(options: &[&str]) -> Result<Self, String> {
        // Two providers are among the dependencies, so none is a default. A second call is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let programs = succeed(Command::new(format!("{SCRIPTS}/build")), "")?;
        let unique = format!("tenant-pricing-{}-{:04x}", std::process::id(), rand::random::<u16>());
        let directory = std::env::temp_dir().join(unique);
        let mut up = Command::new(format!("{SCRIPTS}/up"))
            .args(options)
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C in a terminal reaches only us; the script sees the end of the pipe and cleans up.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {SCRIPTS}/up: {error}"))?;
        let lifeline = up.stdin.take().ok_or("no pipe")?;
        wait_until_ready(&mut up, &directory)?;
        let lifeline = Mutex::new(Some(lifeline));
        Ok(Self { programs: programs.trim().into(), directory, lifeline, requests: Mutex::default() })
    }

    /// Installs the CRDs from the types; that the files in `crds/` say the same is a test of its own.
    fn with_crds(self) -> Result<Self, String> {
        self.install(&json!(api::custom_resource_definitions()))?;
        Ok(self)
    }

    /// Installs CRDs in the place of those of the same name, and grants user `controller` the rights of the chart.
    pub fn install(&self, crds: &Value) -> Result<(), String> {
        let items = [&crds.as_array().ok_or("no list")?[..], &least_rights::objects()[..]].concat();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        succeed(self.tool("kubectl", &["apply", "--server-side", "-f", "-"], &self.kubeconfig()), &list)?;
        self.wait_until_served(&self.controller_kubeconfig())
    }

    /// Waits until both kinds are served.
    pub fn wait_for_crds(&self) -> Result<(), String> {
        self.wait_until_served(&self.kubeconfig())
    }

    /// Waits until both kinds are served, and that user may read them.
    // By asking for them: `kubectl wait` ends with an error where a CRD has no conditions yet.
    fn wait_until_served(&self, kubeconfig: &Path) -> Result<(), String> {
        let started = Instant::now();
        let get = || self.tool("kubectl", &["get", "tenantpricings,platformconnections", "-A"], kubeconfig);
        loop {
            match succeed(get(), "") {
                Err(error) if started.elapsed() > START_LIMIT => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(50)),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Runs `kubectl`, `helm` or [`HELM_3`] to its end, as user `admin` and with `input` as standard input.
    pub async fn run(&self, name: &str, arguments: &[&str], input: &str) -> Output {
        command::run(self.tool(name, arguments, &self.kubeconfig()).into(), input).await
    }

    /// `kubectl`, `helm` or [`HELM_3`], as the user that `kubeconfig` names.
    pub fn tool(&self, name: &str, arguments: &[&str], kubeconfig: &Path) -> Command {
        let program = if name == HELM_3 { helm_3() } else { self.programs.join(name) };
        let (mut command, cache) = (Command::new(program), self.cache());
        command.args(arguments).env("KUBECONFIG", kubeconfig).env("KUBECACHEDIR", &cache);
        // They end before collected garbage pays.
        command.env("GOGC", "off");
        command.env("HELM_CACHE_HOME", cache.join("helm")).env("HELM_CONFIG_HOME", cache.join("helm"));
        command.env("HELM_DATA_HOME", cache.join("helm"));
        command
    }

    /// For user `admin`, who may do anything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// For user `controller`, who has the rights that the chart grants ([`Self::install`]).
    pub fn controller_kubeconfig(&self) -> PathBuf {
        self.directory.join("controller.kubeconfig")
    }

    /// One JSON line for each write to the API server, and for each read of user `controller`.
    pub fn audit_log(&self) -> PathBuf {
        self.directory.join("audit.log")
    }

    /// The requests of controllers that were refused since the last call, because the chart does not grant the right.
    pub fn refused_requests(&self) -> BTreeSet<String> {
        self.requests.lock().unwrap().refused(&self.audit_log())
    }

    /// kubectl's and helm's folder for what they remember of the API server.
    pub fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    /// The configuration of a client. A client belongs to the runtime it was made in, and each test has one
    /// of its own, so clients cannot be shared.
    pub async fn client_config(&self) -> kube::Config {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
    }
}

/// The path of Helm 3, built by the first caller.
fn helm_3() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let build = || succeed(Command::new(TOOLS), "").unwrap_or_else(|error| panic!("no Helm 3: {error}"));
    FOLDER.get_or_init(|| build().trim().into()).join(HELM_3)
}

fn wait_until_ready(up: &mut Child, directory: &Path) -> Result<(), String> {
    let started = Instant::now();
    while !directory.join("ready").exists() {
        if let Some(status) = up.try_wait().map_err(|error| error.to_string())? {
            return Err(format!("{SCRIPTS}/up ended ({status}); it said why on standard error"));
        }
        if started.elapsed() > START_LIMIT {
            let log = fs::read_to_string(directory.join("kube-apiserver.log")).unwrap_or_default();
            return Err(format!("the API server was not ready in time. Its log:\n{log}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Runs a program to its end and gives its standard output; its standard error stays visible when it
/// builds something, and is part of the error when it fails.
fn succeed(mut command: Command, input: &str) -> Result<String, String> {
    let building = command.get_program().to_string_lossy().ends_with("/build");
    let error_output = if building { Stdio::inherit() } else { Stdio::piped() };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(error_output);
    let mut child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
