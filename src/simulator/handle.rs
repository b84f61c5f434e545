//! The handle with which a test or the binary starts and controls the simulator.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    clock::Clock,
    simulator::{
        faults::{
            book::{FaultBook, InjectedFault},
            fault::{Fault, FaultId},
        },
        http::server,
        shared_state::{SharedState, State},
        state::{
            clock::MovableClock,
            log::{LoggedRequest, RequestLog},
            tenant::{TenantError, TenantKind, TenantRecord, TenantSpec},
            tenant_store::{TenantState, Tenants, is_id, random_id},
            tokens::{self, Access, Credentials},
        },
    },
};

/// The options of a simulator.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// The address to listen on. Default: a free port of the loopback interface.
    pub listen: SocketAddr,
    /// The latency added to every call of the platform's API. Default: none.
    pub latency: Duration,
    /// The time of its clock at the start. Default: the machine's time.
    pub clock: Option<Timestamp>,
    /// The id of the client, a UUID. Default: random.
    pub client_id: Option<String>,
    /// The secret of the client. Default: random.
    pub client_secret: Option<String>,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            latency: Duration::ZERO,
            clock: None,
            client_id: None,
            client_secret: None,
        }
    }
}

/// A running simulator. Clones share it. It stops when the last clone is dropped, or when one is shut down.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<SharedState>,
    address: SocketAddr,
    credentials: Credentials,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Stops the server when the last clone is dropped.
    #[allow(dead_code)]
    stop_when_dropped: Arc<DropGuard>,
}

#[allow(clippy::must_use_candidate)] // many methods are called for their effect alone
impl Simulator {
    /// Starts a simulator with one partner tenant and one client that acts in it.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the client id is not a UUID.
    pub async fn start(options: SimulatorOptions) -> std::io::Result<Self> {
        let client_id = options.client_id.unwrap_or_else(random_id);
        if !is_id(&client_id) {
            let text = format!("client id: {client_id:?} is not a UUID in lower-case letters");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
        }
        let client_secret = options.client_secret.unwrap_or_else(tokens::random_secret);
        let credentials = Credentials { client_id, client_secret };

        let now = options.clock.unwrap_or_else(|| Clock::system().now());
        let mut all = Tenants::default();
        let partner = TenantSpec::partner("Simulated Partner").created_at(now);
        let root = all
            .add(partner, &random_id(), now)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        let mut access = Access::default();
        access.add_client(&credentials, &root, now);
        let state = State {
            clock: MovableClock::starting_at(now),
            tenants: all,
            access,
            faults: FaultBook::default(),
            log: RequestLog::new(),
            root,
            client_id: credentials.client_id.clone(),
        };
        let shared = Arc::new(SharedState::new(state, options.latency));

        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(server::run(listener, shared.clone(), tasks.clone(), stop.clone()));
        let stop_when_dropped = Arc::new(stop.clone().drop_guard());
        Ok(Self { shared, address, credentials, stop, tasks, stop_when_dropped })
    }

    /// Stops it at once: closes connections and cancels requests in flight. Returns when everything has stopped.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The base URL, for `spec.url` of a connection: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    // Clients and tokens.

    /// The id of the client it was started with.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.credentials.client_id.clone()
    }

    /// The present secret of the client it was started with.
    #[must_use]
    pub fn client_secret(&self) -> String {
        let state = self.shared.state();
        let client = state.access.client(&self.credentials.client_id);
        client.map_or_else(|| self.credentials.client_secret.clone(), |client| client.secret.clone())
    }

    /// The partner tenant that the client it was started with acts in.
    #[must_use]
    pub fn root_tenant(&self) -> String {
        self.shared.state().root.clone()
    }

    /// Adds a client that acts in `tenant` and sees nothing outside it.
    #[must_use]
    pub fn add_client(&self, tenant: &str) -> Credentials {
        let credentials = Credentials { client_id: random_id(), client_secret: tokens::random_secret() };
        let mut state = self.shared.state();
        let now = state.now();
        state.access.add_client(&credentials, tenant, now);
        credentials
    }

    /// Rotates the secret of the first client, and returns the new one. The old secret is refused from now on. Tokens
    /// stay valid.
    pub fn rotate_credentials(&self) -> String {
        let rotated = self.shared.state().access.rotate(&self.credentials.client_id);
        rotated.unwrap_or_default()
    }

    /// Invalidates all issued tokens.
    pub fn revoke_tokens(&self) {
        self.shared.state().access.revoke_tokens();
    }

    /// Every secret and token ever issued, so that a test can search for leaks.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<String> {
        self.shared.state().access.issued().to_vec()
    }

    // Tenants.

    /// Adds a tenant and returns its id.
    ///
    /// # Panics
    /// When the description is invalid. [`Self::try_add_tenant`] returns that as an error.
    #[allow(clippy::panic)] // a test that adds an invalid tenant should fail there
    pub fn add_tenant(&self, spec: TenantSpec) -> String {
        self.try_add_tenant(spec).unwrap_or_else(|error| panic!("cannot add the tenant: {error}"))
    }

    /// Adds a tenant and returns its id.
    ///
    /// # Errors
    /// When the name is empty, the id malformed or taken, or the parent unknown.
    pub fn try_add_tenant(&self, spec: TenantSpec) -> Result<String, TenantError> {
        self.shared.state().add_tenant(spec)
    }

    /// Adds all tenants, or none if one is invalid.
    ///
    /// # Errors
    /// The index of the first invalid one, and the reason.
    pub fn try_add_tenants(&self, specs: Vec<TenantSpec>) -> Result<Vec<String>, (usize, TenantError)> {
        self.shared.state().add_tenants(specs)
    }

    /// Adds `count` customers named `PREFIX-00001` and so on, and returns their ids.
    pub fn add_customers(&self, count: usize, prefix: &str) -> Vec<String> {
        let add = |number| self.add_tenant(TenantSpec::customer(format!("{prefix}-{number:05}")));
        (1..=count).map(add).collect()
    }

    /// Changes a tenant as a person in the platform's console would: locks, renames, moves, deletes it, or sets its
    /// mode to any word. Returns whether there is such a tenant.
    ///
    /// A change of the mode also sets a new pricing version, and the matching `production_start_date` unless the change
    /// sets one.
    pub fn update_tenant(&self, id: &str, change: impl FnOnce(&mut TenantRecord)) -> bool {
        let mut state = self.shared.state();
        let now = state.now();
        let found = state.tenants.update(id, now, change).is_some();
        drop(state);
        self.shared.changed();
        found
    }

    /// The tenant as it is now.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<TenantRecord> {
        let mut state = self.shared.state();
        let now = state.now();
        state.tenants.get(id, now).cloned()
    }

    /// All customers as they are now, in the order in which they were added.
    #[must_use]
    pub fn customers(&self) -> Vec<TenantRecord> {
        let mut state = self.shared.state();
        let now = state.now();
        state.tenants.all(now).filter(|tenant| tenant.kind == TenantKind::Customer).cloned().collect()
    }

    /// Records every state of every tenant from now on, for [`Self::tenant_history`].
    pub fn keep_tenant_history(&self) {
        self.shared.state().tenants.keep_history();
    }

    /// Every state of every tenant since [`Self::keep_tenant_history`], in order.
    #[must_use]
    pub fn tenant_history(&self) -> Vec<TenantState> {
        self.shared.state().tenants.history().to_vec()
    }

    // The clock.

    /// The simulator's present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.state().now()
    }

    /// Sets the clock, which continues from there in real time. `Date` headers, tokens and the automatic switch follow
    /// it.
    pub fn set_clock(&self, now: Timestamp) {
        self.shared.state().set_clock(now);
        self.shared.changed();
    }

    /// Moves the clock by `step`, which may be negative.
    pub fn advance(&self, step: SignedDuration) {
        let mut state = self.shared.state();
        let now = state.now().saturating_add(step).unwrap_or(Timestamp::MAX);
        state.set_clock(now);
        drop(state);
        self.shared.changed();
    }

    // Faults.

    /// Injects a fault.
    ///
    /// # Panics
    /// When [`Fault::check`] refuses it.
    #[allow(clippy::panic)] // a test that injects an invalid fault should fail there
    pub fn inject(&self, fault: Fault) -> FaultId {
        if let Err(problem) = fault.check() {
            panic!("cannot inject the fault: {problem}");
        }
        self.shared.state().faults.inject(fault)
    }

    /// Clears all faults. Held requests continue.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear_all();
        self.shared.changed();
    }

    /// Clears one fault. Returns whether it was active.
    pub fn clear_fault(&self, id: FaultId) -> bool {
        self.shared.state().faults.clear(id)
    }

    /// Releases the requests that a `Hold` holds, and those that meet it later.
    pub fn release(&self, id: FaultId) -> bool {
        self.shared.state().faults.release(id)
    }

    /// The active faults.
    #[must_use]
    pub fn faults(&self) -> Vec<InjectedFault> {
        self.shared.state().faults.list()
    }

    /// How many requests a fault has met, also after it was cleared.
    #[must_use]
    pub fn fault_hits(&self, id: FaultId) -> u32 {
        self.shared.state().faults.hits(id)
    }

    /// Waits until a fault has met at least `count` requests, for example until a request is held. It has no timeout.
    pub async fn wait_for_hits(&self, id: FaultId, count: u32) {
        self.shared.wait_until(|state| state.faults.hits(id) >= count).await;
    }

    // The log.

    /// The requests since the start or the last [`Self::clear_log`], oldest first; the last
    /// [`crate::simulator::KEPT_REQUESTS`] of them.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.state().log.entries().cloned().collect()
    }

    /// The requests with a greater sequence number than this, oldest first. Requests that the log has dropped are
    /// missing.
    #[must_use]
    pub fn requests_since(&self, sequence: u64) -> Vec<LoggedRequest> {
        self.shared.state().log.since(sequence).cloned().collect()
    }

    /// The instant from which [`LoggedRequest::started_after`] counts.
    #[must_use]
    pub fn log_epoch(&self) -> Instant {
        self.shared.state().log.started()
    }

    /// The number of PUTs for the tenant, whatever their outcome.
    #[must_use]
    pub fn puts(&self, tenant: &str) -> usize {
        self.shared.state().log.counts.puts.get(tenant).copied().unwrap_or(0)
    }

    /// The number of PUTs, whatever their outcome.
    #[must_use]
    pub fn total_puts(&self) -> usize {
        self.shared.state().log.counts.total_puts
    }

    /// The number of PUTs that changed something.
    #[must_use]
    pub fn effective_puts(&self) -> usize {
        self.shared.state().log.counts.effective_puts
    }

    /// The number of PUTs that arrived while another one for the same tenant was in flight.
    #[must_use]
    pub fn overlapping_puts(&self) -> usize {
        self.shared.state().log.counts.overlapping_puts
    }

    /// The number of requests that were neither a PUT nor for a token.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.shared.state().log.counts.reads
    }

    /// The number of token requests.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.shared.state().log.counts.tokens
    }

    /// Clears the requests and their counts. The hits of faults stay.
    pub fn clear_log(&self) {
        self.shared.state().log.clear();
    }

    /// Waits until the log satisfies `condition`, which is checked after every request. It has no timeout.
    pub async fn wait_for_requests(&self, condition: impl Fn(&[LoggedRequest]) -> bool) {
        let all = |state: &mut State| state.log.entries().cloned().collect::<Vec<_>>();
        self.shared.wait_until(|state| condition(&all(state))).await;
    }
}
