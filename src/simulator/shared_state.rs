//! The state of the simulated platform behind one lock, and the values shared beside it.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::simulator::{
    faults::book::FaultBook,
    state::{
        clock::MovableClock,
        log::RequestLog,
        tenant::{TenantError, TenantSpec},
        tenant_store::Tenants,
        tokens::Access,
    },
};

/// The state of the simulated platform.
pub(crate) struct State {
    pub clock: MovableClock,
    pub tenants: Tenants,
    pub access: Access,
    pub faults: FaultBook,
    pub log: RequestLog,
    /// The tenant the first client acts in.
    pub root: String,
    /// The first client.
    pub client_id: String,
}

impl State {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Adds a tenant and returns its id.
    pub fn add_tenant(&mut self, spec: TenantSpec) -> Result<String, TenantError> {
        let now = self.now();
        self.tenants.add(spec, &self.root, now)
    }

    /// Adds all tenants. If one is invalid, adds none and returns the index of that one.
    pub fn add_tenants(&mut self, specs: Vec<TenantSpec>) -> Result<Vec<String>, (usize, TenantError)> {
        let before = self.tenants.len();
        let mut ids = Vec::with_capacity(specs.len());
        for (place, spec) in specs.into_iter().enumerate() {
            match self.add_tenant(spec) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    self.tenants.forget_from(before);
                    return Err((place, error));
                }
            }
        }
        Ok(ids)
    }

    /// Sets the clock, after the automatic switches that were due by the old time.
    pub fn set_clock(&mut self, now: Timestamp) {
        let before = self.now();
        self.tenants.settle_all(before);
        self.clock.set(now);
    }
}

/// The state and the values shared beside it.
pub(crate) struct SharedState {
    state: Mutex<State>,
    /// The latency that is added to every call of the platform's API.
    pub latency: Duration,
    /// Incremented at each change that a test may wait for.
    changes: watch::Sender<u64>,
}

impl SharedState {
    pub fn new(state: State, latency: Duration) -> Self {
        Self { state: Mutex::new(state), latency, changes: watch::Sender::new(0) }
    }

    /// The state. A panic elsewhere under the lock leaves it usable.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Notifies all that wait for a change.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Waits until `condition` holds.
    pub async fn wait_until(&self, mut condition: impl FnMut(&mut State) -> bool) {
        let mut changes = self.changes.subscribe();
        while !condition(&mut self.state()) {
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
