//! Everything the simulated platform knows, behind one lock, and what is shared beside it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
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

/// What the simulated platform knows.
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

    /// Adds a tenant and gives its id.
    pub fn add_tenant(&mut self, spec: TenantSpec) -> Result<String, TenantError> {
        let now = self.now();
        self.tenants.add(spec, &self.root, now)
    }

    /// Adds all the tenants, or none and gives the place of the first that cannot be.
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

    /// Sets the clock, after the automatic switches that were due by the one that is left.
    pub fn set_clock(&mut self, now: Timestamp) {
        let before = self.now();
        self.tenants.settle_all(before);
        self.clock.set(now);
    }
}

/// The state and what is shared beside it.
pub(crate) struct SharedState {
    state: Mutex<State>,
    /// Added to every call of the platform's API.
    pub latency: Duration,
    /// Counts up whenever something a test may wait for has changed.
    changes: watch::Sender<u64>,
}

impl SharedState {
    pub fn new(state: State, latency: Duration) -> Self {
        Self { state: Mutex::new(state), latency, changes: watch::Sender::new(0) }
    }

    /// The state. A panic elsewhere under the lock leaves it usable.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for something.
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
