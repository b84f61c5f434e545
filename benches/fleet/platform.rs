//! The platform simulator, and what it saw.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tenant_pricing_controller::simulator::{
    LoggedRequest, Operation, Simulator, SimulatorOptions, TenantSpec,
};
use tokio::{runtime::Handle, time::sleep};

use crate::Measured;

/// Added to every answer.
pub const LATENCY: Duration = Duration::from_millis(20);

/// The pause between two checks of the log while a caller waits for a request.
const PAUSE: Duration = Duration::from_millis(1);

/// The simulated platform.
pub struct Platform {
    pub simulator: Simulator,
    /// Its log counts from here.
    epoch: Instant,
}

impl Platform {
    /// Starts it on threads of its own, with tenants 1 to `tenants`, all customers in trial.
    pub async fn start(threads: &Handle, tenants: usize) -> Measured<Self> {
        let options = SimulatorOptions { latency: LATENCY, ..SimulatorOptions::default() };
        let simulator = threads.spawn(Simulator::start(options)).await??;
        let specs = (1..=tenants).map(|number| TenantSpec::customer(name(number)).id(id(number)));
        simulator.try_add_tenants(specs.collect()).map_err(|(_, error)| error)?;
        let epoch = simulator.log_epoch();
        Ok(Self { simulator, epoch })
    }

    /// A place in the log, behind all that has come so far.
    pub fn here(&self) -> Cursor {
        Cursor(self.simulator.requests_since(0).last().map_or(0, |request| request.sequence))
    }

    /// The requests since then; moves the cursor behind them.
    pub fn since(&self, cursor: &mut Cursor) -> Vec<LoggedRequest> {
        let requests = self.simulator.requests_since(cursor.0);
        if let Some(last) = requests.last() {
            cursor.0 = last.sequence;
        }
        requests
    }

    /// When the request came.
    pub fn arrival(&self, request: &LoggedRequest) -> Instant {
        self.epoch + request.started_after
    }

    /// Waits for the first request after the cursor that is wanted, and gives its arrival; nothing if none comes
    /// within `limit`.
    pub async fn first(
        &self,
        cursor: &mut Cursor,
        limit: Duration,
        wanted: impl Fn(&LoggedRequest) -> bool,
    ) -> Option<Instant> {
        let asked = Instant::now();
        while asked.elapsed() < limit {
            if let Some(found) = self.since(cursor).iter().find(|request| wanted(request)) {
                return Some(self.arrival(found));
            }
            sleep(PAUSE).await;
        }
        None
    }
}

/// A place in the platform's log.
#[derive(Clone, Copy, Debug)]
pub struct Cursor(u64);

/// Requests, and what can be said of them.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Requests that read, by what they read: those for tenants, and all others (of pricing, of the client).
    pub tenant_reads: usize,
    pub other_reads: usize,
    pub puts: usize,
    pub tokens: usize,
    /// How many tenants the reads named, counted once per read.
    pub tenants_read: usize,
    /// The tenants that were named.
    pub seen: HashSet<String>,
    /// When each request came, since the platform's start.
    pub arrivals: Vec<Duration>,
}

impl Traffic {
    pub fn of(requests: &[LoggedRequest]) -> Self {
        let mut traffic = Self::default();
        for request in requests {
            traffic.add(request);
        }
        traffic
    }

    pub fn add(&mut self, request: &LoggedRequest) {
        self.arrivals.push(request.started_after);
        match request.operation {
            Operation::Token => self.tokens += 1,
            Operation::PutPricing => self.puts += 1,
            Operation::FetchTenants | Operation::FetchTenant => {
                self.tenant_reads += 1;
                self.tenants_read += request.tenants.len();
                self.seen.extend(request.tenants.iter().cloned());
            }
            _ => self.other_reads += 1,
        }
    }

    /// The most requests in any stretch of this length.
    pub fn most_within(&self, stretch: Duration) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, arrival) in self.arrivals.iter().enumerate() {
            while arrival.saturating_sub(self.arrivals[first]) >= stretch {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }
}

/// The id of the tenant with this number.
pub fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Its name.
pub fn name(number: usize) -> String {
    format!("customer-{number:05}")
}
