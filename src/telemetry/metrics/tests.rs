use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    index::ObservedMode,
    telemetry::{ConnectionState, ReadyStatus, fleet::ObjectsOf},
    testing::fixtures::{Scene, time},
};

fn connection() -> Key {
    Key::new("platform", "eu2")
}

fn counts() -> FleetCounts {
    let of =
        ObjectsOf { connection: Some(connection()), mode: ObservedMode::Trial, ready: ReadyStatus::True };
    let lost = ObjectsOf { connection: None, mode: ObservedMode::Unknown, ready: ReadyStatus::False };
    FleetCounts {
        objects: BTreeMap::from([(of, 10_000), (lost, 2)]),
        scheduled_switches: 3,
        next_switch: BTreeMap::from([
            (Some(connection()), Timestamp::from_second(1_764_547_200).unwrap()),
            (None, Timestamp::from_second(1_764_547_300).unwrap()),
        ]),
        automatic_switches_upcoming: BTreeMap::from([("trial", 4), ("none", 0)]),
        open_attempts: 2,
        oldest_open_attempt: Some(Timestamp::from_second(1_764_540_000).unwrap()),
        connections: BTreeMap::from([
            (connection(), ConnectionState { is_ready: true, reason: "CredentialsAccepted" }),
            (Key::new("team", "eu1"), ConnectionState::UNREADABLE),
        ]),
        budget_left: BTreeMap::from([(connection(), 97)]),
        clock_skew: BTreeMap::from([(connection(), SignedDuration::from_millis(-1500))]),
        queue_depth: BTreeMap::from([("interactive", 0), ("background", 5)]),
        active_reconciles: 6,
        ..FleetCounts::none()
    }
}

/// Metrics that all have a value, and the client metrics that keep those of a connection alive.
fn eventful() -> (Metrics, Arc<dyn ClientMetrics>) {
    let metrics = Metrics::default();
    metrics.set_fleet_source(Arc::new(counts));
    metrics.describe_candidate(Candidate::new(Some(("platform", "pricing")), &[], None));
    metrics.leading(true);
    metrics.switch(SwitchOutcome::NotSent);
    let announced = Scene::new().announced("ours");
    let mut done = announced.clone().mode("production").stored();
    let journal = done.object.status.as_mut().unwrap().switch.as_mut().unwrap();
    journal.scheduled_for = Some(time("2026-11-23T10:00:00Z"));
    journal.completed_at = Some(time("2026-11-23T10:00:00.15Z"));
    metrics.count_outcome(announced.status(), done.status());
    metrics.reconciled(ReconcileOutcome::Written, Duration::from_millis(3));
    metrics.tenants_read(Priority::Background, 100);
    metrics.wrote(WriteKind::TenantPricingStatus, WriteResult::Stored);
    let client_metrics = metrics.of_connection(&connection());
    client_metrics.request("tenants", "ok", Duration::from_millis(20));
    client_metrics.token("ok");
    client_metrics.pause("throttled", Duration::from_secs(30));
    (metrics, client_metrics)
}

/// Whether this line is served.
fn serves(metrics: &Metrics, line: &str) -> bool {
    metrics.exposition(Format::OpenMetrics).unwrap().lines().any(|served| served == line)
}

/// A metric with the name that a query uses.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Metric {
    kind: String,
    unit: String,
    labels: BTreeSet<String>,
    help: String,
}

/// The metrics that are served, by the name that a query uses.
fn served(exposition: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in exposition.lines() {
        if let Some(described) = line.strip_prefix("# ").filter(|line| *line != "EOF") {
            let [what, name, text] = described.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let metric = metrics.entry(name.to_owned()).or_default();
            match what {
                "HELP" => text.clone_into(&mut metric.help),
                "TYPE" => text.clone_into(&mut metric.kind),
                "UNIT" => text.clone_into(&mut metric.unit),
                _ => panic!("{line}"),
            }
        } else if let Some((series, labels)) = line.split_once('{') {
            let (labels, _) = labels.rsplit_once('}').unwrap();
            let family =
                metrics.keys().filter(|name| series.starts_with(*name)).max_by_key(|name| name.len());
            let metric = metrics.get_mut(&family.unwrap().clone()).unwrap();
            let names = labels.split(',').map(|label| label.split_once('=').unwrap().0.to_owned());
            metric.labels.extend(names.filter(|name| name != "le"));
        }
    }
    let queried = |(name, metric): (String, Metric)| match &*metric.kind {
        "counter" => (format!("{name}_total"), metric),
        "info" => (format!("{name}_info"), metric),
        _ => (name, metric),
    };
    metrics.into_iter().map(queried).collect()
}

/// The metrics in `docs/metrics.md`.
fn documented() -> BTreeMap<String, Metric> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let words = |cell: &str| cell.split(", ").map(|word| word.trim_matches('`').to_owned()).collect();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, kind, unit, labels, help, alert] = cells[..] else { panic!("{row}") };
            assert!(!alert.is_empty(), "{row}");
            let labels = if labels.is_empty() { BTreeSet::new() } else { words(labels) };
            let metric =
                Metric { kind: kind.to_owned(), unit: unit.to_owned(), labels, help: help.to_owned() };
            (name.trim_matches('`').to_owned(), metric)
        })
        .collect()
}

#[test]
fn every_metric_is_documented_as_it_is_served_and_no_other() {
    let (metrics, _watching) = eventful();
    let (served, documented) = (served(&metrics.exposition(Format::OpenMetrics).unwrap()), documented());
    for (name, metric) in &served {
        assert_eq!(documented.get(name), Some(metric), "docs/metrics.md (left) and /metrics (right): {name}");
    }
    for name in documented.keys() {
        assert!(served.contains_key(name), "docs/metrics.md explains {name}, which is not served");
    }
}

#[test]
fn the_fleet_is_counted_at_each_scrape() {
    let (metrics, _watching) = eventful();
    for line in [
        r#"tenantpricing_objects{connection="platform/eu2",mode="trial",ready="True"} 10000"#,
        r#"tenantpricing_objects{connection="none",mode="unknown",ready="False"} 2"#,
        r#"tenantpricing_stalled_objects{reason="TenantNotFound"} 0"#,
        "tenantpricing_scheduled_switches 3",
        r#"tenantpricing_next_switch_timestamp_seconds{connection="platform/eu2"} 1764547200"#,
        r#"tenantpricing_next_switch_timestamp_seconds{connection="none"} 1764547300"#,
        r#"tenantpricing_clock_skew_seconds{connection="platform/eu2"} -1.5"#,
        r#"tenantpricing_automatic_switches_upcoming{desired="trial"} 4"#,
        r#"tenantpricing_automatic_switches_upcoming{desired="none"} 0"#,
        "tenantpricing_open_attempts 2",
        "tenantpricing_oldest_open_attempt_timestamp_seconds 1764540000",
        r#"tenantpricing_connection_ready{connection="platform/eu2",reason="CredentialsAccepted"} 1"#,
        r#"tenantpricing_connection_ready{connection="team/eu1",reason="Unreadable"} 0"#,
        r#"tenantpricing_switch_budget_left{connection="platform/eu2"} 97"#,
        r#"tenantpricing_queue_depth{priority="background"} 5"#,
        "tenantpricing_active_reconciles 6",
    ] {
        assert!(serves(&metrics, line), "{line}");
    }
    metrics.set_fleet_source(Arc::new(FleetCounts::none));
    let text = metrics.exposition(Format::OpenMetrics).unwrap();
    assert!(
        !text.contains("tenantpricing_objects{")
            && !text.contains("\ntenantpricing_next_switch")
            && !text.contains("\ntenantpricing_clock_skew")
            && !text.contains("\ntenantpricing_oldest_open_attempt"),
        "{text}"
    );
    for zero in [
        r#"tenantpricing_automatic_switches_upcoming{desired="trial"} 0"#,
        r#"tenantpricing_stalled_objects{reason="OutcomeUnknown"} 0"#,
        "tenantpricing_open_attempts 0",
    ] {
        assert!(serves(&metrics, zero), "{zero}\n{text}");
    }
}

#[test]
fn what_happened_is_counted() {
    let (metrics, client_metrics) = eventful();
    client_metrics.pause("throttled", Duration::from_millis(1500));
    for line in [
        r#"tenantpricing_switches_total{result="completed"} 1"#,
        r#"tenantpricing_switches_total{result="not_sent"} 1"#,
        r#"tenantpricing_switches_total{result="refused"} 0"#,
        r#"tenantpricing_switch_duration_seconds_bucket{le="0.1"} 0"#,
        r#"tenantpricing_switch_duration_seconds_bucket{le="0.2"} 1"#,
        r#"tenantpricing_platform_request_duration_seconds_count{operation="tenants",class="ok"} 1"#,
        r#"tenantpricing_reconcile_duration_seconds_count{result="written"} 1"#,
        r#"tenantpricing_tenant_reads_total{priority="background"} 100"#,
        r#"tenantpricing_tenant_reads_total{priority="interactive"} 0"#,
        r#"tenantpricing_kubernetes_writes_total{resource="tenantpricings/status",result="stored"} 1"#,
        r#"tenantpricing_token_fetches_total{connection="platform/eu2",result="ok"} 1"#,
        r#"tenantpricing_token_fetches_total{connection="platform/eu2",result="credentials"} 0"#,
        r#"tenantpricing_token_fetches_total{connection="platform/eu2",result="secret_not_found"} 0"#,
        r#"tenantpricing_token_fetches_total{connection="platform/eu2",result="unavailable"} 0"#,
        r#"tenantpricing_connection_pauses_total{connection="platform/eu2",cause="throttled"} 2"#,
        r#"tenantpricing_connection_pause_seconds_total{connection="platform/eu2",cause="throttled"} 31.5"#,
        r#"tenantpricing_leader{lease="platform/pricing",watches="*"} 1"#,
        concat!(r#"tenantpricing_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(serves(&metrics, line), "{line}\n{}", metrics.exposition(Format::OpenMetrics).unwrap());
    }
}

#[test]
fn a_leader_says_what_it_watches() {
    let namespaces = ["b".to_owned(), "a".to_owned()];
    for (namespaces, selector, watches) in [
        (&namespaces[..], Some("shard=a"), "a,b shard=a"),
        (&namespaces[..], None, "a,b"),
        (&namespaces[..0], Some("shard=a"), "* shard=a"),
    ] {
        let metrics = Metrics::default();
        metrics.describe_candidate(Candidate::new(None, namespaces, selector));
        metrics.leading(true);
        let line = format!("tenantpricing_leader{{lease=\"\",watches=\"{watches}\"}} 1");
        assert!(serves(&metrics, &line), "{line}");
    }
}

#[test]
fn a_connection_that_is_gone_leaves_no_series_behind() {
    let (metrics, client_metrics) = eventful();
    let again = metrics.of_connection(&connection());
    again.token("ok");
    let twice = r#"tenantpricing_token_fetches_total{connection="platform/eu2",result="ok"} 2"#;
    assert!(serves(&metrics, twice), "an edited connection continues its counts");
    drop(client_metrics);
    assert!(serves(&metrics, twice));
    drop(again);
    metrics.set_fleet_source(Arc::new(FleetCounts::none));
    let text = metrics.exposition(Format::OpenMetrics).unwrap();
    assert!(!text.contains("platform/eu2"), "{text}");
}

#[test]
fn every_process_has_metrics_of_its_own() {
    let (metrics, other) = (Metrics::default(), Metrics::default());
    metrics.clone().switch(SwitchOutcome::Refused);
    let line = r#"tenantpricing_switches_total{result="refused"} 1"#;
    assert!(serves(&metrics, line) && !serves(&other, line));
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_reports_its_own_metrics() {
    let text = Metrics::default().exposition(Format::OpenMetrics).unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}\n{text}")).parse().unwrap()
    };
    assert!(value("process_cpu_seconds_total") >= 0.0);
    assert!(value("process_resident_memory_bytes") > 1024.0 * 1024.0);
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_max_fds") > value("process_open_fds"));
    let started = SignedDuration::from_secs_f64(value("process_start_time_seconds"));
    let running = crate::clock::Clock::system().now().as_duration() - started;
    assert!(running.as_hours() < 24 && running.as_secs() > -5, "{running}");
}
