//! The configuration for kube-state-metrics: each of its paths is there in objects as the controller stores them.
//!
//! The program itself is not run: it cannot be built from a Go module.

use jiff::Timestamp;
use serde_json::{Value, json};
use tenant_pricing_controller::simulator::TenantSpec;

use super::documents::read;
use crate::harness::{PATIENCE, Test, has, until_connection};

const CONFIGURATION: &str = "examples/monitoring/kube-state-metrics.yaml";

/// What a path leads to, name by name.
fn at<'a>(object: &'a Value, path: &Value) -> Option<&'a Value> {
    let parts = path.as_array().into_iter().flatten();
    parts.map(|part| part.as_str().unwrap()).try_fold(object, |value, part| value.get(part))
}

/// The paths below `labelsFromPath`.
fn labels(of: &Value) -> Vec<&Value> {
    of["labelsFromPath"].as_object().map(|labels| labels.values().collect()).unwrap_or_default()
}

/// What the program takes as the value of a gauge.
fn is_number(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let is_status = ["True", "False", "Unknown"].contains(&text);
    value.is_number() || value.is_boolean() || is_status || text.parse::<Timestamp>().is_ok()
}

/// The values below the path of a metric: one, or each of a list or an object.
fn values<'a>(object: &'a Value, each: &Value) -> Vec<&'a Value> {
    let found: Vec<&Value> = match at(object, &each["path"]) {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Object(fields)) if each["labelFromKey"].is_string() => fields.values().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    };
    found.into_iter().filter_map(|value| at(value, &each["valueFrom"])).collect()
}

/// The paths of a metric that lead nowhere in all of these objects, or not to what the metric needs.
fn lost(metric: &Value, objects: &[Value]) -> Vec<String> {
    let (kind, name) = (metric["each"]["type"].as_str().unwrap(), &metric["name"]);
    let each = &metric["each"][kind[..1].to_lowercase() + &kind[1..]];
    let mut lost = Vec::new();
    for path in labels(each) {
        let below = |object: &Value| match at(object, &each["path"]) {
            Some(Value::Array(items)) => items.iter().any(|item| at(item, path).is_some()),
            Some(value) => at(value, path).is_some(),
            None => false,
        };
        if !objects.iter().any(below) {
            lost.push(format!("{name}: {path}"));
        }
    }
    let found: Vec<&Value> = objects.iter().flat_map(|object| values(object, each)).collect();
    let is_right = match kind {
        "Info" => true,
        "Gauge" => !found.is_empty() && found.into_iter().all(is_number),
        // Each word of the list is one that an object has, but for an attempt that is under way.
        "StateSet" => {
            let listed = each["list"].as_array().unwrap();
            !found.is_empty() && found.into_iter().all(|word| listed.contains(word))
        }
        _ => false,
    };
    if !is_right {
        lost.push(format!("{name}: {} {}", each["path"], each["valueFrom"]));
    }
    lost
}

/// The stored objects of a kind: tenants that are observed, that wait for their switch, and that are switched; and
/// their connection.
async fn stored(test: &Test, kind: &str) -> Vec<Value> {
    let list = test.kubectl(&["get", kind, "-o", "json"]).await.success();
    let list: Value = serde_json::from_str(&list).unwrap();
    list["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_state_metrics_finds_each_of_its_paths() {
    let test = Test::new("state-metrics").await;
    test.set_time("2026-11-10T12:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    for (name, spec) in [
        ("observed", json!({})),
        ("waits", json!({"mode": "production", "switch": {"at": "MonthStart"}})),
        ("switched", json!({"mode": "production"})),
    ] {
        let mut spec = spec;
        spec["tenant"] = json!({"id": test.simulator.add_tenant(TenantSpec::customer(name))});
        test.tenant_pricing(name, spec).await;
        test.until(name, "is ready", |object| has(object, "Ready", "True")).await;
    }
    test.wait_for("the tenants of the connection are counted", PATIENCE, async || {
        let connections = stored(&test, "PlatformConnection").await;
        (connections[0]["status"]["tenants"]["production"] == 1).then_some(())
    })
    .await;
    let configuration: Value = serde_saphyr::from_str(&read(CONFIGURATION)).unwrap();
    let mut kinds = Vec::new();
    for resource in configuration["spec"]["resources"].as_array().unwrap() {
        let kind = resource["groupVersionKind"]["kind"].as_str().unwrap();
        let objects = stored(&test, kind).await;
        let of = &resource["groupVersionKind"];
        let version = format!("{}/{}", of["group"].as_str().unwrap(), of["version"].as_str().unwrap());
        assert!(objects.iter().all(|object| object["apiVersion"] == version), "{kind}: {version}");
        for path in labels(resource) {
            assert!(objects.iter().all(|object| at(object, path).is_some()), "{kind}: {path}");
        }
        let metrics = resource["metrics"].as_array().unwrap();
        let lost: Vec<String> = metrics.iter().flat_map(|metric| lost(metric, &objects)).collect();
        assert!(lost.is_empty(), "{CONFIGURATION}: {kind}: {lost:#?}\n{objects:#?}");
        kinds.push(kind);
    }
    assert_eq!(kinds, ["TenantPricing", "PlatformConnection"]);
    test.finish().await;
}

#[test]
fn a_path_that_leads_nowhere_is_noticed() {
    let objects = [json!({"status": {"mode": "trial", "conditions": [{"type": "Ready", "status": "True"}]}})];
    let gauge = |gauge: Value| json!({"name": "x", "each": {"type": "Gauge", "gauge": gauge}});
    let conditions = |value: &str, label: &str| {
        let (path, value, label) =
            (json!(["status", "conditions"]), json!([value]), json!({"type": [label]}));
        gauge(json!({"path": path, "valueFrom": value, "labelsFromPath": label}))
    };
    for (metric, expected) in [
        (conditions("status", "type"), 0),
        (conditions("state", "type"), 1),
        (conditions("status", "kind"), 1),
        (gauge(json!({"path": ["status", "since"]})), 1),
        (gauge(json!({"path": ["status", "mode"]})), 1),
    ] {
        assert_eq!(lost(&metric, &objects).len(), expected, "{metric}");
    }
}
