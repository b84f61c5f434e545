//! The metrics: counters of events, and the registry of all metrics.
//!
//! `docs/metrics.md` explains each metric. A test compares it with what is served.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::SignedDuration;
use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use super::{
    Format, ReconcileOutcome, SwitchOutcome,
    fleet::{FleetCollector, FleetCounts, FleetSource},
    labels::Labels,
    of_connection::Connections,
    process::ProcessCollector,
    writes::{WriteKind, WriteResult},
};
use crate::{
    api::TenantPricingStatus,
    cluster::Key,
    platform::{ClientMetrics, Priority},
};

/// Buckets in seconds: from an answer without delay to the longest time limit of a request.
const REQUEST_BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Buckets in seconds. A reconcile without a request takes far less than a millisecond. One with a switch takes as long
/// as its requests.
const RECONCILE_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Buckets in seconds: from a switch that is admitted at once to thousands that wait for a rate limit and a budget.
const SWITCH_BUCKETS: [f64; 13] =
    [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0];

/// All metrics of one process. Cheap to clone; clones share their content. The default has a registry of its own.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// What a replica would lead. Two leaders that watch the same objects are a fault, whatever their Leases are. Leaders
/// of parts of a fleet are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The Lease of the election, as `namespace/name`. Empty without an election.
    pub lease: String,
    /// The namespaces, or `*`, and after a space the label selector, if there is one.
    pub watches: String,
}

impl Candidate {
    /// The candidate for a Lease, if there is an election, that watches these objects.
    #[must_use]
    pub fn new(lease: Option<(&str, &str)>, namespaces: &[String], label_selector: Option<&str>) -> Self {
        let mut namespaces = namespaces.to_vec();
        namespaces.sort_unstable();
        let namespaces = if namespaces.is_empty() { "*".to_owned() } else { namespaces.join(",") };
        Self {
            lease: lease.map(|(namespace, name)| format!("{namespace}/{name}")).unwrap_or_default(),
            watches: label_selector.map_or(namespaces.clone(), |selector| format!("{namespaces} {selector}")),
        }
    }
}

struct Inner {
    registry: Registry,
    fleet: FleetSource,
    connections: Connections,
    requests: Family<Labels<2>, Histogram, fn() -> Histogram>,
    switches: Family<Labels<1>, Counter>,
    switch_took: Histogram,
    reconciles: Family<Labels<1>, Histogram, fn() -> Histogram>,
    tenant_reads: Family<Labels<1>, Counter>,
    writes: Family<Labels<2>, Counter>,
    leader: Family<[(&'static str, String); 2], Gauge>,
    candidate: OnceLock<Candidate>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::new_with_constructor(request_histogram as fn() -> Histogram);
        let mut inner = Inner {
            registry: Registry::default(),
            fleet: FleetSource::default(),
            connections: Connections::default(),
            requests,
            switches: Family::default(),
            switch_took: Histogram::new(SWITCH_BUCKETS),
            reconciles: Family::new_with_constructor(reconcile_histogram),
            tenant_reads: Family::default(),
            writes: Family::default(),
            leader: Family::default(),
            candidate: OnceLock::new(),
        };
        inner.register();
        inner.start_at_zero();
        Self { inner: Arc::new(inner) }
    }
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_BUCKETS)
}

fn reconcile_histogram() -> Histogram {
    Histogram::new(RECONCILE_BUCKETS)
}

impl Inner {
    fn register(&mut self) {
        // The metrics of the process have names that every dashboard knows.
        self.registry.register_collector(Box::new(ProcessCollector));
        let registry = self.registry.sub_registry_with_prefix("tenantpricing");
        registry.register_collector(Box::new(FleetCollector::of(&self.fleet)));
        registry.register_collector(Box::new(self.connections.clone()));
        registry.register(
            "build",
            "The running program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "leader",
            "1 if this replica is the one that acts, 0 if it stands by",
            self.leader.clone(),
        );
        registry.register("switches", "Switches to production, by result", self.switches.clone());
        registry.register_with_unit(
            "switch_duration",
            "From the moment a switch was due to the proof that it is done",
            Unit::Seconds,
            self.switch_took.clone(),
        );
        registry.register_with_unit(
            "platform_request_duration",
            "Requests to the platform, by what was asked and the class of the answer",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Reconciles of one object, by result",
            Unit::Seconds,
            self.reconciles.clone(),
        );
        registry.register("tenant_reads", "Tenants that were read, by priority", self.tenant_reads.clone());
        registry.register(
            "kubernetes_writes",
            "Writes to the API server, by what was written and the result",
            self.writes.clone(),
        );
    }

    /// Gives counters with labels their series. A counter that appears with its first event has no increase that an
    /// alert could see.
    fn start_at_zero(&self) {
        for outcome in SwitchOutcome::ALL {
            let _ = self.switches.get_or_create(&[("result", outcome.as_str())]);
        }
        for outcome in ReconcileOutcome::ALL {
            let _ = self.reconciles.get_or_create(&[("result", outcome.as_str())]);
        }
        for priority in Priority::ALL {
            let _ = self.tenant_reads.get_or_create(&[("priority", priority.as_str())]);
        }
        for kind in WriteKind::ALL {
            for outcome in WriteResult::ALL {
                let _ =
                    self.writes.get_or_create(&[("resource", kind.as_str()), ("result", outcome.as_str())]);
            }
        }
    }
}

impl Metrics {
    /// Counts the outcome of a switch or of an attempt.
    pub fn switch(&self, outcome: SwitchOutcome) {
        self.inner.switches.get_or_create(&[("result", outcome.as_str())]).inc();
    }

    /// Counts a switch that the change of a stored status reports. For a switch by this controller it also measures the
    /// time since the switch was due, that is, requested or scheduled.
    pub fn count_outcome(&self, before: &TenantPricingStatus, after: &TenantPricingStatus) {
        let Some(outcome) = SwitchOutcome::of_change(before, after) else { return };
        self.switch(outcome);
        let Some(journal) = after.switch.as_ref().filter(|_| outcome == SwitchOutcome::Completed) else {
            return;
        };
        if let (Some(due), Some(done)) = (&journal.scheduled_for, &journal.completed_at) {
            // The wall clock may have been set back meanwhile.
            let took = done.0.duration_since(due.0).max(SignedDuration::ZERO);
            self.inner.switch_took.observe(took.as_secs_f64());
        }
    }

    /// Counts a reconcile of one object that has ended.
    pub fn reconciled(&self, outcome: ReconcileOutcome, duration: Duration) {
        let labels = [("result", outcome.as_str())];
        self.inner.reconciles.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Counts tenants that were read with this priority.
    pub fn tenants_read(&self, priority: Priority, tenants: u64) {
        self.inner.tenant_reads.get_or_create(&[("priority", priority.as_str())]).inc_by(tenants);
    }

    /// Counts a write to the API server that has ended.
    pub(super) fn wrote(&self, kind: WriteKind, outcome: WriteResult) {
        self.inner.writes.get_or_create(&[("resource", kind.as_str()), ("result", outcome.as_str())]).inc();
    }

    /// Describes this replica. The first call counts, and comes before [`Self::leading`].
    pub fn describe_candidate(&self, candidate: Candidate) {
        let _ = self.inner.candidate.set(candidate);
    }

    /// Records whether this replica is the leader.
    pub fn leading(&self, leading: bool) {
        let Candidate { lease, watches } = self.inner.candidate.get().cloned().unwrap_or_default();
        self.inner.leader.get_or_create(&[("lease", lease), ("watches", watches)]).set(i64::from(leading));
    }

    /// Sets the source of the fleet's counts, which is called at each scrape. The last one set counts.
    pub fn set_fleet_source(&self, counts: Arc<dyn Fn() -> FleetCounts + Send + Sync>) {
        self.inner.fleet.set_source(counts);
    }

    /// The metrics of the requests through one connection. As long as a clone exists, all calls return the same
    /// metrics. The series end with the last clone.
    #[must_use]
    pub fn of_connection(&self, connection: &Key) -> Arc<dyn ClientMetrics> {
        self.inner.connections.client_metrics(connection, &self.inner.requests)
    }

    /// The content of `/metrics` in one of the two text formats.
    ///
    /// # Errors
    /// None that could be provoked, since the text is written into memory.
    pub fn exposition(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut text, &self.inner.registry)?,
            Format::Prometheus => prometheus_text::encode(&mut text, &self.inner.registry)?,
        }
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
