//! What a controller serves below `/metrics`.

use std::collections::BTreeMap;

use crate::harness::{Controller, PATIENCE, Test};

/// The values of all series, by name and labels.
pub async fn metrics(test: &Test, controller: &Controller) -> BTreeMap<String, String> {
    let answer = test
        .wait_for("the metrics are served", PATIENCE, async || controller.ask_admin("/metrics").await)
        .await;
    let (status, content_type, exposition) = answer;
    assert_eq!((status, &*content_type), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(exposition.ends_with("# EOF\n"), "{exposition}");
    let series = exposition.lines().filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.to_owned())
    };
    series.map(value).collect()
}
