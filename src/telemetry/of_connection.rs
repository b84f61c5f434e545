//! Metrics of the requests through each connection. A deleted connection leaves no series behind.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, family::Family, histogram::Histogram},
    registry::Unit,
};

use super::labels::Labels;
use crate::{
    cluster::Key,
    platform::{ClientMetrics, ErrorClass},
};

pub(super) type Requests = Family<Labels<2>, Histogram, fn() -> Histogram>;

/// The metrics of all connections that are in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    counts: Arc<Mutex<HashMap<Key, Weak<OfConnection>>>>,
}

impl Connections {
    /// The metrics of one connection. They are created again if no client holds them any more.
    pub(super) fn client_metrics(&self, connection: &Key, requests: &Requests) -> Arc<dyn ClientMetrics> {
        let mut counts = self.counts.lock();
        if let Some(known) = counts.get(connection).and_then(Weak::upgrade) {
            return known;
        }
        let client_metrics =
            Arc::new(OfConnection { requests: requests.clone(), counts: Mutex::new(Counts::default()) });
        counts.insert(connection.clone(), Arc::downgrade(&client_metrics));
        client_metrics
    }

    /// The present counts of the connections, in the order of their names.
    fn now(&self) -> BTreeMap<Key, Counts> {
        let mut counts = self.counts.lock();
        counts.retain(|_, client_metrics| client_metrics.strong_count() > 0);
        counts
            .iter()
            .filter_map(|(key, client_metrics)| {
                Some((key.clone(), client_metrics.upgrade()?.counts.lock().clone()))
            })
            .collect()
    }
}

/// The counts of one connection.
struct OfConnection {
    /// The request histogram of all connections: how long a request takes depends on the platform.
    requests: Requests,
    counts: Mutex<Counts>,
}

#[derive(Clone, Debug)]
struct Counts {
    tokens: BTreeMap<&'static str, u64>,
    pauses: BTreeMap<&'static str, (u64, Duration)>,
}

impl Default for Counts {
    fn default() -> Self {
        // What has not happened yet is zero, so that an alert sees the first increase.
        let pauses = ["throttled", "unreachable"];
        // A failure to get a token never concerns one tenant alone.
        let failures = ErrorClass::ALL.into_iter().filter(|class| class.concerns_connection());
        let tokens = failures.map(ErrorClass::word).chain(["ok"]).map(|outcome| (outcome, 0));
        Self { tokens: tokens.collect(), pauses: pauses.map(|cause| (cause, (0, Duration::ZERO))).into() }
    }
}

impl ClientMetrics for OfConnection {
    fn request(&self, operation: &'static str, class: &'static str, took: Duration) {
        let labels = [("operation", operation), ("class", class)];
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    fn token(&self, outcome: &'static str) {
        *self.counts.lock().tokens.entry(outcome).or_default() += 1;
    }

    fn pause(&self, cause: &'static str, length: Duration) {
        let mut counts = self.counts.lock();
        let (count, total) = counts.pauses.entry(cause).or_default();
        *count += 1;
        *total += length;
    }
}

impl fmt::Debug for OfConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OfConnection").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let connections = self.now();
        let mut family = encoder.encode_descriptor(
            "token_fetches",
            "Requests for an access token, by result.",
            None,
            MetricType::Counter,
        )?;
        for (key, counts) in &connections {
            for (outcome, count) in &counts.tokens {
                let labels = [("connection", key.as_str()), ("result", outcome)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "connection_pauses",
            "Pauses of a whole connection, by their cause.",
            None,
            MetricType::Counter,
        )?;
        for (key, counts) in &connections {
            for (cause, (count, _)) in &counts.pauses {
                let labels = [("connection", key.as_str()), ("cause", cause)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "connection_pause",
            "Requested length of all pauses of a connection, by their cause.",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?;
        for (key, counts) in &connections {
            for (cause, (_, total)) in &counts.pauses {
                let labels = [("connection", key.as_str()), ("cause", cause)];
                ConstCounter::new(total.as_secs_f64()).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
