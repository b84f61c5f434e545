//! What one test has for itself.

mod diagnosis;
pub mod verdict;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{ConfigMap, Namespace, ServiceAccount},
};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    simulator::{Simulator, SimulatorOptions},
};
use tokio::{process::Command, runtime::Handle, task::block_in_place};

use super::{
    PATIENCE,
    api_proxy::ApiProxy,
    command::{self, Output},
    controller::{BINARY, Controller, ControllerOptions, PLUGIN},
    environment::Environment,
    recorder::Recorder,
    writes::{AuditLog, Write},
};

/// A fresh namespace, a simulator, and all that a test does with them.
pub struct Test {
    /// The test's own; nothing else uses it.
    pub namespace: String,
    /// User `admin`, for this test's runtime.
    pub client: kube::Client,
    /// The platform of this test.
    pub simulator: Simulator,
    pub(super) recorder: Recorder,
    pub(super) connections: Recorder,
    /// What programs said, and where.
    outputs: Mutex<Vec<(String, String)>>,
    pub(super) environment: &'static Environment,
    directory: PathBuf,
    audit_log: AuditLog,
    controllers: Mutex<Vec<Controller>>,
    expectations: Mutex<Expectations>,
}

#[derive(Default)]
struct Expectations {
    puts: BTreeMap<String, usize>,
    meeting_puts: bool,
    exempt: BTreeSet<String>,
    secrets: Vec<String>,
    /// The verdict was given, or what there is to say was said.
    finished: bool,
}

/// How far ahead of the machine the clocks are (`HOURS_AHEAD`), to see that the tests pass at the end of a month.
fn hours_ahead() -> Option<SignedDuration> {
    let hours = std::env::var("HOURS_AHEAD").ok()?;
    Some(SignedDuration::from_hours(hours.parse().expect("HOURS_AHEAD is a number")))
}

impl Test {
    /// `name` becomes part of the namespace's name.
    pub async fn new(name: &str) -> Self {
        Self::with_simulator(name, SimulatorOptions::default()).await
    }

    /// With a simulator that is not as usual: slow, or living at another time.
    pub async fn with_simulator(name: &str, options: SimulatorOptions) -> Self {
        Self::on(Environment::get().await, name, options).await
    }

    /// On another control plane than the one that all tests share; the CRDs must be there.
    pub async fn on(environment: &'static Environment, name: &str, options: SimulatorOptions) -> Self {
        let audit_log = AuditLog::from_now_on(&environment.audit_log());
        let client = kube::Client::try_from(environment.client_config().await).unwrap();
        let namespace = format!("{name}-{:06x}", rand::random_range(0..0x0100_0000));
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let directory = environment.directory.join("tests").join(&namespace);
        fs::create_dir_all(&directory).unwrap();
        for file in ["kubeconfig", "controller.kubeconfig"] {
            let kubeconfig = fs::read_to_string(environment.directory.join(file)).unwrap();
            let kubeconfig = kubeconfig.replace("namespace: default", &format!("namespace: {namespace}"));
            fs::write(directory.join(file), kubeconfig).unwrap();
        }
        let has_own_time = options.clock.is_some();
        let test = Self {
            simulator: Simulator::start(options).await.unwrap(),
            recorder: Recorder::start::<TenantPricing>(client.clone(), &namespace).await,
            connections: Recorder::start::<PlatformConnection>(client.clone(), &namespace).await,
            outputs: Mutex::default(),
            namespace,
            client,
            environment,
            directory,
            audit_log,
            controllers: Mutex::default(),
            expectations: Mutex::default(),
        };
        if let Some(ahead) = hours_ahead().filter(|_| !has_own_time) {
            test.set_time(Clock::system().now() + ahead);
        }
        test
    }

    /// Runs `kubectl`, in the test's namespace unless the arguments name another.
    pub async fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with(arguments, "").await
    }

    /// Runs `kubectl` with `input` as its standard input, for `-f -`.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Output {
        let output = command::run(self.tool("kubectl", arguments), input).await;
        self.hear("kubectl", arguments, output)
    }

    /// Runs `kubectl` with a folder in front of its path, where it finds plugins.
    pub async fn kubectl_on_path(&self, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = self.tool("kubectl", arguments);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders).unwrap());
        let output = command::run(command, "").await;
        self.hear("kubectl", arguments, output)
    }

    /// Runs `kubectl` with a feature that a variable of its environment turns on, such as `KUBECTL_APPLYSET`.
    pub async fn kubectl_with_feature(&self, variable: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = self.tool("kubectl", arguments);
        command.env(variable, "true");
        let output = command::run(command, input).await;
        self.hear("kubectl", arguments, output)
    }

    /// Runs `kubectl patch` with a merge patch, as a user does.
    pub async fn kubectl_patch(&self, kind: &str, name: &str, patch: &str) -> Output {
        self.kubectl(&["patch", kind, name, "--type=merge", "-p", patch]).await
    }

    /// Runs `helm`, in the test's namespace unless the arguments name another.
    pub async fn helm(&self, arguments: &[&str]) -> Output {
        self.helm_of("helm", arguments).await
    }

    /// As [`Self::helm`], with one of the programs of Helm.
    pub async fn helm_of(&self, program: &str, arguments: &[&str]) -> Output {
        let output = command::run(self.tool(program, arguments), "").await;
        self.hear(program, arguments, output)
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        self.environment.tool(name, arguments, &self.directory.join("kubeconfig")).into()
    }

    /// The file of a program that [`Self::kubectl`] or [`Self::helm`] runs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.tool(name, &[]).as_std().get_program().into()
    }

    /// Runs the controller's binary to its end, for what is not `run`.
    pub async fn binary(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(arguments).env("KUBECONFIG", self.directory.join("kubeconfig"));
        let output = command::run(command, "").await;
        self.hear("the controller's binary", arguments, output)
    }

    /// Runs `kubectl-tenantpricing` to its end, with these variables. It may use the simulator.
    pub async fn plugin(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
        let mut command = self.plugin_command(arguments);
        command.envs(variables.iter().copied());
        let output = command::run(command, input).await;
        self.hear("kubectl-tenantpricing", arguments, output)
    }

    /// `kubectl-tenantpricing` in the test's folder, for a test that runs it in its own way.
    pub fn plugin_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PLUGIN);
        command.args(arguments).env("KUBECONFIG", self.directory.join("kubeconfig"));
        command.env("TENANT_PRICING_ALLOWED_HOSTS", self.simulator.url()).current_dir(&self.directory);
        command
    }

    /// What a program said is kept, to be searched at the end.
    pub fn hear(&self, program: &str, arguments: &[&str], output: Output) -> Output {
        let place = format!("what {program} {} said", arguments.join(" "));
        self.outputs.lock().unwrap().push((place, format!("{}{}", output.stdout, output.stderr)));
        output
    }

    pub(super) fn outputs(&self) -> Vec<(String, String)> {
        self.outputs.lock().unwrap().clone()
    }

    /// A folder for the test's own files; it goes away with the control plane.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A kubeconfig for a `ServiceAccount` of this namespace, with a token as a pod would have it.
    pub async fn service_account_kubeconfig(&self, name: &str) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let request = TokenRequest::default();
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
        let token = answer.status.unwrap().token;
        let kubeconfig = fs::read_to_string(self.directory.join("kubeconfig")).unwrap();
        let (before, rest) = kubeconfig.split_once("token: ").unwrap();
        let (_, after) = rest.split_once('}').unwrap();
        let path = self.directory.join(format!("{name}.kubeconfig"));
        fs::write(&path, format!("{before}token: {token}}}{after}")).unwrap();
        path
    }

    /// Starts a controller for this namespace and this simulator, and waits until it is at work.
    pub async fn controller(&self) -> Controller {
        self.controller_with(&self.controller_options()).await
    }

    /// Likewise, for one that is started a little differently.
    pub async fn controller_with(&self, options: &ControllerOptions) -> Controller {
        let controller = self.start_controller(options);
        self.wait_for("the controller logs that it has started", PATIENCE, async || {
            assert_eq!(
                controller.exit_code().await,
                None,
                "the controller ended at once:\n{}",
                controller.log()
            );
            controller.log_entries().iter().any(|entry| entry["message"] == "started").then_some(())
        })
        .await;
        controller
    }

    /// A proxy to the API server, for a controller that is started with its kubeconfig.
    pub async fn api_proxy(&self) -> ApiProxy {
        ApiProxy::start(&self.controller_options().kubeconfig, &self.directory, self.client.clone()).await
    }

    /// How [`Self::controller`] starts one, for tests that want it slightly different.
    pub fn controller_options(&self) -> ControllerOptions {
        ControllerOptions {
            binary: BINARY.into(),
            kubeconfig: self.directory.join("controller.kubeconfig"),
            namespaces: vec![self.namespace.clone()],
            allowed_hosts: vec![self.simulator.url()],
            clock_file: self.directory.join("clock"),
            lease_namespace: self.namespace.clone(),
            // Of the libraries only what matters: a log that is shown must be readable.
            log_level: "info,tenant_pricing_controller=debug".to_owned(),
            arguments: Vec::new(),
            failpoints: String::new(),
        }
    }

    /// Starts a controller and does not wait for anything. It is ended with the test, and must then end cleanly.
    pub fn start_controller(&self, options: &ControllerOptions) -> Controller {
        let mut controllers = self.controllers.lock().unwrap();
        let log = self.directory.join(format!("controller-{}.log", controllers.len()));
        let controller = Controller::start(options, &log);
        controllers.push(controller.clone());
        controller
    }

    /// All controllers started so far, whether they still run or not.
    pub fn controllers(&self) -> Vec<Controller> {
        self.controllers.lock().unwrap().clone()
    }

    /// Moves the clocks of the controllers and of the platform. They go on from there.
    pub fn set_time(&self, now: Timestamp) {
        self.simulator.set_clock(now);
        self.set_controller_time(now);
    }

    /// Moves the clocks of the controllers only.
    pub fn set_controller_time(&self, now: Timestamp) {
        let offset = now.duration_since(Clock::system().now()).as_secs();
        // Renamed into place: a half-written offset would be another time.
        let draft = self.directory.join("clock.new");
        fs::write(&draft, offset.to_string()).unwrap();
        fs::rename(&draft, self.directory.join("clock")).unwrap();
    }

    /// All writes to this namespace so far, those of the test included.
    pub async fn writes(&self) -> Vec<Write> {
        // The log is written just after the answer. Once this, sent later, stands there, the rest does.
        let fence = format!("fence-{:016x}", rand::random::<u64>());
        let configmaps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let _ = configmaps.delete(&fence, &DeleteParams::default()).await;
        let mut writes = self
            .wait_for("the audit log is written", PATIENCE, async || {
                let writes = self.audit_log.writes_to(&self.namespace);
                writes.iter().any(|write| write.name == fence).then_some(writes)
            })
            .await;
        writes.retain(|write| !write.name.starts_with("fence-"));
        writes
    }

    /// All writes of a user anywhere in the cluster since the test began.
    pub async fn writes_of(&self, user: &str) -> Vec<Write> {
        // It waits until all earlier writes are in the log.
        self.writes().await;
        self.audit_log.writes_of(user)
    }

    /// The writes to this namespace so far that are not the test's own, but for the lease, which is renewed every two
    /// seconds whatever happens.
    pub async fn controller_writes(&self) -> Vec<Write> {
        let about_others = |write: &Write| write.resource != "leases.coordination.k8s.io";
        let writes = self.writes().await.into_iter();
        writes.filter(|write| !write.by_the_test() && about_others(write)).collect()
    }

    /// Waits until the controller writes nothing, events included, for this long. An event of the last step can be
    /// late on a loaded machine. What is written again and again fails.
    pub async fn until_calm(&self, calm: Duration) {
        let mut since = Vec::new();
        for _ in 0..5 {
            let writes = self.controller_writes().await.len();
            // The pause itself is what is tested here.
            tokio::time::sleep(calm).await;
            since = self.controller_writes().await.split_off(writes);
            if since.is_empty() {
                return;
            }
        }
        panic!("the controller still writes: {since:?}");
    }

    /// Checks again and again until there is something to see. For `TenantPricing` objects [`Self::until`]
    /// is better: it misses nothing.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut check: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let seen = async {
            loop {
                if let Some(seen) = check().await {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        match tokio::time::timeout(limit, seen).await {
            Ok(seen) => seen,
            Err(_) => self.out_of_patience(what, limit).await,
        }
    }

    pub(super) async fn out_of_patience(&self, what: &str, limit: Duration) -> ! {
        self.expectations.lock().unwrap().finished = true;
        panic!("not within {limit:?}: {what}{}", self.diagnosis().await);
    }

    /// Every PUT beyond the first is a fault, unless the test provokes more.
    pub fn expect_puts(&self, tenant: &str, at_most: usize) {
        self.expectations.lock().unwrap().puts.insert(tenant.to_owned(), at_most);
    }

    /// Two PUTs for one tenant at the same time are a fault, unless the test has two installations.
    pub fn expect_meeting_puts(&self) {
        self.expectations.lock().unwrap().meeting_puts = true;
    }

    pub(super) fn meeting_puts_are_expected(&self) -> bool {
        self.expectations.lock().unwrap().meeting_puts
    }

    pub(super) fn expected_puts(&self, tenant: &str) -> usize {
        self.expectations.lock().unwrap().puts.get(tenant).copied().unwrap_or(1)
    }

    /// This text must not appear anywhere, besides the secrets and tokens of the simulator.
    pub fn keep_secret(&self, text: &str) {
        self.expectations.lock().unwrap().secrets.push(text.to_owned());
    }

    pub(super) fn kept_secrets(&self) -> Vec<String> {
        self.expectations.lock().unwrap().secrets.clone()
    }

    /// The test writes this object's status itself; the checks of what a controller stores leave it out.
    pub fn exempt(&self, name: &str) {
        self.expectations.lock().unwrap().exempt.insert(name.to_owned());
    }

    pub(super) fn is_exempt(&self, name: &str) -> bool {
        self.expectations.lock().unwrap().exempt.contains(name)
    }

    /// Ends the controllers and fails the test if they did anything that is never right. Dropping the test
    /// does the same; this way it is seen where it happens.
    pub async fn finish(self) {
        self.judge().await;
    }

    /// Ends the test without a verdict, for tests of the verdict itself.
    pub fn abandon(self) {
        self.expectations.lock().unwrap().finished = true;
    }

    async fn judge(&self) {
        self.expectations.lock().unwrap().finished = true;
        let faults = self.faults().await;
        assert!(
            faults.is_empty(),
            "at the end of the test:\n- {}{}",
            faults.join("\n- "),
            self.diagnosis().await
        );
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        let expectations = self.expectations.lock();
        if expectations.map_or(true, |expectations| expectations.finished) {
            return;
        }
        let this = &*self;
        block_in_place(|| {
            Handle::current().block_on(async {
                if std::thread::panicking() {
                    eprintln!("{}", this.diagnosis().await);
                } else {
                    this.judge().await;
                }
            });
        });
    }
}
