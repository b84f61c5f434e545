//! The alerts of the chart: what promtool makes of them, and that a controller serves the values that they name.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::process::Command;

use super::documents::{ROOT, read};
use crate::harness::{PATIENCE, Test, metrics, run};

const ALERTS: &str = "charts/tenant-pricing-controller/files/alerts.yaml";
/// Series of samples, and the alerts that they cause.
const CASES: &str = "tests/monitoring/alerts.test.yaml";

/// The alerts, in their order.
pub(super) fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read(ALERTS)).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let alerts: Vec<Value> = groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
    assert!(alerts.len() > 10, "only {} alerts were found", alerts.len());
    alerts
}

pub(super) fn name(alert: &Value) -> &str {
    alert["alert"].as_str().unwrap()
}

fn at_root(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

/// Runs promtool, built by the first caller.
async fn promtool(arguments: &[&str], file: &str) -> String {
    let folder = run(Command::new(at_root("tests/monitoring/build")), "").await.success();
    let mut command = Command::new(Path::new(folder.trim()).join("promtool"));
    command.args(arguments).arg(at_root(file));
    let output = run(command, "").await;
    assert!(output.code == 0, "{file}: {}{}", output.stdout, output.stderr);
    output.stdout
}

#[tokio::test]
async fn prometheus_takes_the_file_of_alerts_as_it_is() {
    let checked = promtool(&["check", "rules", "--lint=all", "--lint-fatal"], ALERTS).await;
    assert!(checked.contains(&format!("{} rules found", alerts().len())), "{checked}");
}

#[tokio::test]
async fn each_alert_fires_and_is_silent_just_below() {
    promtool(&["test", "rules"], CASES).await;
    let cases: Value = serde_saphyr::from_str(&read(CASES)).unwrap();
    let tests = cases["tests"].as_array().unwrap().iter();
    let checks = tests.flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
    for check in checks {
        let expected = check["exp_alerts"].as_array().unwrap();
        let alert = check["alertname"].as_str().unwrap();
        if expected.is_empty() { &mut is_silent } else { &mut fires }.insert(alert.to_owned());
        for alert in expected {
            assert_eq!(alert["exp_annotations"].as_object().unwrap().len(), 3, "{alert}");
        }
    }
    let all: BTreeSet<String> = alerts().iter().map(|alert| name(alert).to_owned()).collect();
    assert_eq!((&fires, &is_silent), (&all, &all), "{CASES} has a case of each kind for each alert");
}

/// The values of labels that a query selects, with the metric and the label. Patterns are lists of values.
fn selected(query: &str) -> Vec<(String, String, String)> {
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for (at, _) in query.match_indices('{') {
        let before = query[..at].trim_end_matches(is_of_a_name).len();
        let matchers = query[at + 1..].split('}').next().unwrap_or_default();
        for matcher in matchers.split(',').filter(|matcher| !matcher.contains(['!', '$'])) {
            let (label, values) = matcher.split_once('=').unwrap_or_else(|| panic!("{query}"));
            for value in values.trim_matches(['~', '"']).split('|') {
                let metric = query[before..at].to_owned();
                found.push((metric, label.trim().to_owned(), value.to_owned()));
            }
        }
    }
    found
}

#[test]
fn the_values_that_a_query_selects_are_found() {
    let query = r#"sum(a_total{x=~"one|two", job=~"$job"}[5m]) / b{y="three",z!="four"} > 0"#;
    let expected = [("a_total", "x", "one"), ("a_total", "x", "two"), ("b", "y", "three")];
    assert_eq!(selected(query), expected.map(|(one, two, three)| (one.into(), two.into(), three.into())));
}

/// A counter that has not counted yet is served with the value 0, so each value that a query can name is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_serves_each_value_that_an_alert_selects() {
    let test = Test::new("alert-values").await;
    let controller = test.controller().await;
    let served = test.wait_for("it leads, and counts objects", PATIENCE, async || {
        let served = metrics(&test, &controller).await;
        served.contains_key("tenantpricing_scheduled_switches").then_some(served)
    });
    let served = served.await;
    let mut checked = 0;
    for alert in alerts() {
        for (metric, label, value) in selected(alert["expr"].as_str().unwrap()) {
            let (name, pair) = (format!("{metric}{{"), format!("{label}=\"{value}\""));
            let is_served = served.keys().any(|series| series.starts_with(&name) && series.contains(&pair));
            assert!(is_served, "{alert}: no series {metric} has {pair}: {served:#?}");
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} values were found");
    test.finish().await;
}
