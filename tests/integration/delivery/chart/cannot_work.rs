//! Values that could never work: the chart refuses them before anything is installed. The cases are in
//! `cannot-work.yaml`.

use serde_json::Value;

use super::{CHART, HELMS, values::template};
use crate::harness::{Output, Test};

/// The cases of one list of `cannot-work.yaml`.
fn cases(list: &str) -> Vec<Value> {
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/delivery/chart/values/cannot-work.yaml");
    let cases: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    cases[list].as_array().filter(|cases| cases.len() > 4).unwrap_or_else(|| panic!("{list}")).clone()
}

/// What Helm 4 makes of these values.
async fn rendered(test: &Test, values: &Value, flags: &[&str]) -> Output {
    let path = file(test, values);
    test.helm(&[&["template", "release", CHART, "--values", &path], flags].concat()).await
}

fn file(test: &Test, values: &Value) -> String {
    let path = test.directory().join("values.json");
    std::fs::write(&path, values.to_string()).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_could_never_work_is_refused() {
    let test = Test::new("chart-never").await;
    for case in cases("refused") {
        let (values, says) = (&case["values"], case["says"].as_str().unwrap());
        // The schema's words are those of a library, which may differ between Helm 3 and 4. The templates' do not.
        let output = if says.starts_with("at '/") {
            template(&test, &["--values", &file(&test, values)]).await
        } else {
            rendered(&test, values, &[]).await
        };
        let message = output.failure();
        assert!(message.contains(says), "{values}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_looks_alike_and_works_is_admitted() {
    let test = Test::new("chart-alike").await;
    for values in cases("admitted") {
        let path = file(&test, &values);
        for helm in HELMS {
            test.helm_of(helm, &["template", "release", CHART, "--values", &path]).await.success();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_in_a_map_takes_its_key_away() {
    let test = Test::new("chart-map-null").await;
    let default = template(&test, &[]).await.success();
    for values in cases("same") {
        assert_eq!(
            template(&test, &["--values", &file(&test, &values)]).await.success(),
            default,
            "{values}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_in_a_list_is_refused_by_its_place() {
    let test = Test::new("chart-list-null").await;
    for values in cases("nulls") {
        let message = rendered(&test, &values, &[]).await.failure();
        assert!(message.contains("got null, want "), "{values}: {message}");
        let message = rendered(&test, &values, &["--skip-schema-validation"]).await.failure();
        assert!(message.contains("] is null: take it out"), "{values}: {message}");
        assert!(!message.contains("nil"), "{values}: {message}");
    }
}
