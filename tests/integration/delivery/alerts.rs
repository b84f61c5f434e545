//! The alerts of the chart: a controller serves the values that they name.

use serde_json::Value;

use super::documents::read;
use crate::harness::{PATIENCE, Test, metrics};

const ALERTS: &str = "charts/tenant-pricing-controller/files/alerts.yaml";

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
