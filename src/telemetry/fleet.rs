//! Metrics of the whole fleet, counted at each scrape from what the controller knows.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use super::{ConnectionState, ReadyStatus, labels::DesiredModeLabel};
use crate::{
    api::StalledReason,
    cluster::Key,
    index::{self, ObservedMode},
};

/// The label of objects whose connection does not exist. No connection has such a name, since it has no slash.
const NO_CONNECTION: &str = "none";

/// The state of all objects at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetCounts {
    /// The number of objects.
    pub objects: BTreeMap<ObjectsOf, u64>,
    /// The number of objects that wait for a person, by reason.
    pub stalled: BTreeMap<&'static str, u64>,
    /// The number of switches that wait for their time or for admission.
    pub scheduled_switches: u64,
    /// When the next of them is due, by connection. The time may have passed already. `None`: the connection does not
    /// exist.
    pub next_switch: BTreeMap<Option<Key>, Timestamp>,
    /// The number of tenants in trial that the platform will switch automatically within 7 days, by the mode that their
    /// objects ask for.
    pub automatic_switches_upcoming: BTreeMap<&'static str, u64>,
    /// The number of attempts whose outcome is not in the journal yet.
    pub open_attempts: u64,
    /// When the oldest of them was announced.
    pub oldest_open_attempt: Option<Timestamp>,
    /// What the condition `Ready` of each connection says.
    pub connections: BTreeMap<Key, ConnectionState>,
    /// The number of switches that each connection still allows in its present window.
    pub budget_left: BTreeMap<Key, u64>,
    /// How far the controller's clock was ahead of the platform's, by the last answer through each connection.
    pub clock_skew: BTreeMap<Key, SignedDuration>,
    /// The number of objects that wait for a reconcile, by priority.
    pub queue_depth: BTreeMap<&'static str, u64>,
    /// The number of reconciles that have begun and not ended.
    pub active_reconciles: u64,
}

/// What the objects of one count have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectsOf {
    /// The connection of the objects. `None` if it does not exist: an object can name anything, but a label must not.
    pub connection: Option<Key>,
    /// The mode in which the tenants were last seen.
    pub mode: ObservedMode,
    /// The condition `Ready` of the objects.
    pub ready: ReadyStatus,
}

impl FleetCounts {
    /// Counts without objects. Each reason to stall and each desired mode is present with a zero, so that an alert sees
    /// the first one.
    #[must_use]
    pub fn none() -> Self {
        let stalled = StalledReason::ALL.iter().map(|reason| (reason.as_str(), 0)).collect();
        let upcoming = DesiredModeLabel::ALL.iter().map(|desired| (desired.as_str(), 0)).collect();
        Self { stalled, automatic_switches_upcoming: upcoming, ..Self::default() }
    }

    /// The counts of all objects. `exists` says whether a connection of that name exists.
    #[must_use]
    pub fn of(index: &index::Counts, exists: impl Fn(&Key) -> bool) -> Self {
        let mut fleet = Self::none();
        for (connection, counts) in &index.connections {
            let connection = Some(connection).filter(|key| exists(key));
            for mode in ObservedMode::ALL {
                let (ready, not_seen) = (counts.objects(mode, true), counts.not_seen(mode));
                let not_ready = counts.objects(mode, false) - not_seen;
                for (ready, count) in [
                    (ReadyStatus::True, ready),
                    (ReadyStatus::False, not_ready),
                    (ReadyStatus::Unknown, not_seen),
                ] {
                    if count > 0 {
                        let of = ObjectsOf { connection: connection.cloned(), mode, ready };
                        *fleet.objects.entry(of).or_default() += u64::from(count);
                    }
                }
            }
            for (reason, count) in &counts.stalled {
                *fleet.stalled.entry(reason.as_str()).or_default() += u64::from(*count);
            }
            fleet.scheduled_switches += u64::from(counts.scheduled);
            for (desired, count) in &counts.upcoming {
                let label = DesiredModeLabel::from(*desired).as_str();
                *fleet.automatic_switches_upcoming.entry(label).or_default() += u64::from(*count);
            }
            fleet.open_attempts += u64::from(counts.open_attempts);
            if let Some(at) = counts.next_scheduled {
                let next = fleet.next_switch.entry(connection.cloned()).or_insert(at);
                *next = at.min(*next);
            }
            let opened = [fleet.oldest_open_attempt, counts.oldest_open_attempt];
            fleet.oldest_open_attempt = opened.into_iter().flatten().min();
        }
        fleet
    }
}

type Counts = Arc<dyn Fn() -> FleetCounts + Send + Sync>;

/// The source of the counts. Clones share it.
#[derive(Clone, Default)]
pub(super) struct FleetSource {
    counts: Arc<Mutex<Option<Counts>>>,
}

impl FleetSource {
    pub(super) fn set_source(&self, counts: Counts) {
        *self.counts.lock() = Some(counts);
    }

    fn now(&self) -> Option<FleetCounts> {
        // Not under the lock, because counting ten thousand objects takes time.
        let counts = self.counts.lock().clone()?;
        Some(counts())
    }
}

/// Writes the counts as metrics. There are none before the source is set.
pub(super) struct FleetCollector(FleetSource);

impl FleetCollector {
    pub(super) fn of(source: &FleetSource) -> Self {
        Self(source.clone())
    }
}

impl fmt::Debug for FleetCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FleetCollector").finish_non_exhaustive()
    }
}

impl Collector for FleetCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(counts) = self.0.now() else { return Ok(()) };
        family(
            &mut encoder,
            ("objects", "TenantPricing objects, by connection, mode last seen, and condition Ready.", None),
            counts.objects.iter().map(|(of, count)| {
                let connection = label_of(of.connection.as_ref());
                let labels =
                    [("connection", connection), ("mode", of.mode.as_str()), ("ready", of.ready.as_str())];
                (labels, *count)
            }),
        )?;
        family(
            &mut encoder,
            (
                "stalled_objects",
                "Objects that wait for a person, by the reason of their condition Stalled.",
                None,
            ),
            counts.stalled.iter().map(|(reason, count)| ([("reason", *reason)], *count)),
        )?;
        family(
            &mut encoder,
            ("queue_depth", "Objects that wait for a reconcile, by priority.", None),
            counts.queue_depth.iter().map(|(priority, depth)| ([("priority", *priority)], *depth)),
        )?;
        single(
            &mut encoder,
            ("active_reconciles", "Reconciles that have begun and not ended.", None),
            counts.active_reconciles,
        )?;
        single(
            &mut encoder,
            ("scheduled_switches", "Switches that wait for their time or for admission.", None),
            counts.scheduled_switches,
        )?;
        family(
            &mut encoder,
            (
                "automatic_switches_upcoming",
                "Tenants in trial that the platform will switch automatically within 7 days, by the mode that their \
                 objects ask for.",
                None,
            ),
            counts
                .automatic_switches_upcoming
                .iter()
                .map(|(desired, count)| ([("desired", *desired)], *count)),
        )?;
        single(
            &mut encoder,
            ("open_attempts", "Announced switches whose outcome is not in the journal yet.", None),
            counts.open_attempts,
        )?;
        if let Some(at) = counts.oldest_open_attempt {
            let help = "When the oldest of the open attempts was announced, in Unix time.";
            single(
                &mut encoder,
                ("oldest_open_attempt_timestamp", help, Some(&Unit::Seconds)),
                at.as_second(),
            )?;
        }
        of_connections(&mut encoder, &counts)
    }
}

/// Writes the state of each connection.
fn of_connections(encoder: &mut DescriptorEncoder<'_>, counts: &FleetCounts) -> fmt::Result {
    family(
        encoder,
        (
            "switch_budget_left",
            "Switches that the connection's budget still allows in its present window.",
            None,
        ),
        counts.budget_left.iter().map(|(key, left)| ([("connection", key.as_str())], *left)),
    )?;
    family(
        encoder,
        (
            "connection_ready",
            "1 if the PlatformConnection is Ready, 0 if not, by the reason of the condition.",
            None,
        ),
        counts.connections.iter().map(|(key, state)| {
            ([("connection", key.as_str()), ("reason", state.reason)], u64::from(state.is_ready))
        }),
    )?;
    family(
        encoder,
        (
            "clock_skew",
            "The controller's clock minus the platform's, by its last answer.",
            Some(&Unit::Seconds),
        ),
        counts.clock_skew.iter().map(|(key, apart)| ([("connection", key.as_str())], apart.as_secs_f64())),
    )?;
    family(
        encoder,
        (
            "next_switch_timestamp",
            "When the next of the connection's scheduled switches is due, in Unix time.",
            Some(&Unit::Seconds),
        ),
        counts.next_switch.iter().map(|(key, at)| ([("connection", label_of(key.as_ref()))], at.as_second())),
    )
}

/// The label of a connection, or of those that do not exist.
fn label_of(connection: Option<&Key>) -> &str {
    connection.map_or(NO_CONNECTION, Key::as_str)
}

/// Writes the series of one gauge.
pub(super) fn family<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder,
    (name, help, unit): (&str, &str, Option<&Unit>),
    series: impl Iterator<Item = (L, V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Writes a gauge without labels.
#[allow(clippy::needless_pass_by_value)] // values are numbers
pub(super) fn single<V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder,
    (name, help, unit): (&str, &str, Option<&Unit>),
    value: V,
) -> fmt::Result {
    let mut gauge = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    gauge.encode_gauge(&value)
}

#[cfg(test)]
mod tests;
