//! Objects that this version cannot read, as a newer version or an older CRD left them.

use std::time::Duration;

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{RECONCILE_NOW, TenantPricing, custom_resource_definitions},
    simulator::{Fault, FaultAction, Operation, SimulatorOptions, TenantSpec},
};

use super::{patch_status, patch_status_json, stored_status, their_condition};
use crate::harness::{Environment, PATIENCE, Test, condition, reason};

/// How long nothing may be written.
const CALM: Duration = Duration::from_secs(5);

/// A control plane whose CRDs admit more than this version reads.
async fn admitting_more() -> &'static Environment {
    let environment = Environment::alone().await;
    let mut items = json!(custom_resource_definitions());
    let status = "/0/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    let words = items.pointer_mut(&format!("{status}/switch/properties/by/enum")).unwrap();
    words.as_array_mut().unwrap().push(json!("Reseller"));
    let spec = "/0/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let instant = items.pointer_mut(&format!("{spec}/switch/properties/notBefore")).unwrap();
    instant.as_object_mut().unwrap().remove("pattern").unwrap();
    let spec = "/1/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let from = items.pointer_mut(&format!("{spec}/allowedNamespaces/properties/from/enum")).unwrap();
    from.as_array_mut().unwrap().push(json!("Labelled"));
    let rate = items.pointer_mut(&format!("{spec}/requestsPerSecond")).unwrap().as_object_mut().unwrap();
    for limit in ["x-kubernetes-validations", "format", "maximum"] {
        rate.remove(limit);
    }
    tokio::task::block_in_place(|| environment.install(&items)).unwrap();
    environment
}

fn of<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

async fn until_unreadable(test: &Test, name: &str) -> Value {
    test.wait_for(&format!("{name} reports that it cannot be read"), PATIENCE, async || {
        let status = stored_status(test, &format!("tp/{name}")).await;
        of(&status, "Stalled").is_some_and(|stalled| stalled["reason"] == "Unreadable").then_some(status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_says_so_and_keeps_its_attempt() {
    let environment = admitting_more().await;
    let test = Test::on(environment, "unreadable", SimulatorOptions::default()).await;
    for name in ["digits", "newer", "second"] {
        test.exempt(name);
    }
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Dune Studios"));
    let controller = test.controller().await;

    // An edit over an object that could be read.
    test.production("digits", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
    let is_planned = |object: &TenantPricing| {
        reason(object, "Ready") == "SwitchScheduled" && condition(object, "Stalled").is_none()
    };
    test.until("digits", "waits", is_planned).await;
    let before = stored_status(&test, "tp/digits").await;
    let later = json!({"spec": {"switch": {"notBefore": "2027-03-01T00:00:00.123456789012Z"}}}).to_string();
    test.kubectl(&["patch", "tp/digits", "--type=merge", "-p", &later]).await.success();
    let status = until_unreadable(&test, "digits").await;
    let ready = of(&status, "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["observedGeneration"]), (&json!("False"), &json!(2)));
    assert_eq!(status["observedGeneration"], 2);
    assert!(ready["message"].as_str().unwrap().contains("cannot read spec.switch"), "{ready}");
    assert_eq!(status["switch"]["phase"], "Scheduled", "the plan stays");
    test.until_events("digits", &["SwitchScheduled", "Unreadable"]).await;
    // Another writer restores the report that was right before the edit.
    patch_status(&test, "tp/digits", &json!({"status": {"conditions": before["conditions"]}})).await;
    let status = until_unreadable(&test, "digits").await;
    assert_eq!(of(&status, "Ready").unwrap()["status"], "False");
    // Its day comes, and nothing is sent.
    test.set_time("2026-12-01T10:00:00Z".parse().unwrap());
    test.until_calm(CALM).await;
    assert_eq!(test.simulator.puts(&tenant), 0);
    let readable = json!({"spec": {"switch": {"notBefore": "2027-03-01T00:00:00Z"}}}).to_string();
    test.kubectl(&["patch", "tp/digits", "--type=merge", "-p", &readable]).await.success();
    test.until("digits", "waits again", is_planned).await;

    // A status of a newer version, with an attempt that is open.
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Elm Bakery"));
    let put = Fault::new(FaultAction::hold()).on(Operation::PutPricing).tenant(&tenant).once();
    let held = test.simulator.inject(put);
    test.production("newer", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    controller.kill().await;
    patch_status(&test, "tp/newer", &json!({"status": {"switch": {"by": "Reseller"}}})).await;
    let add = json!([{"op": "add", "path": "/status/conditions/-", "value": their_condition()}]);
    patch_status_json(&test, "tp/newer", &add).await;
    let before = stored_status(&test, "tp/newer").await;
    test.controller().await;
    let status = until_unreadable(&test, "newer").await;
    assert_eq!(status["switch"], before["switch"], "the journal stays");
    assert!(of(&status, "example.com/Audited").is_some());
    test.production("second", &tenant, json!({})).await;
    let keeps_out = |object: &TenantPricing| reason(object, "Stalled") == "DuplicateTenant";
    test.until("second", "is kept out", keeps_out).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.simulator.release(held);
    test.finish().await;
    environment.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_through_a_connection_that_cannot_be_read() {
    let environment = admitting_more().await;
    let test = Test::on(environment, "unreadable-connection", SimulatorOptions::default()).await;
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({"pollInterval": "10s"})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Dune Studios"));
    test.controller().await;
    test.production("dune", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
    test.until("dune", "waits", |object| reason(object, "Ready") == "SwitchScheduled").await;

    for (change, field) in [
        (json!({"allowedNamespaces": {"from": "Labelled"}, "suspend": true}), "spec.allowedNamespaces: "),
        (json!({"requestsPerSecond": 5_000_000_000_u64}), "spec.requestsPerSecond: "),
    ] {
        let patch = json!({"spec": change}).to_string();
        test.kubectl(&["patch", "pconn/default", "--type=merge", "-p", &patch]).await.success();
        let status = test
            .wait_for("the connection reports that it cannot be read", PATIENCE, async || {
                let status = stored_status(&test, "pconn/default").await;
                of(&status, "Stalled")
                    .is_some_and(|stalled| stalled["reason"] == "Unreadable")
                    .then_some(status)
            })
            .await;
        let ready = of(&status, "Ready").unwrap();
        assert_eq!(ready["status"], "False", "{ready}");
        assert_eq!(status["observedGeneration"], ready["observedGeneration"]);
        assert!(ready["message"].as_str().unwrap().contains(field), "{ready}");
        let says_so = |object: &TenantPricing| {
            condition(object, "Stalled").is_some_and(|stalled| {
                stalled.reason == "ConnectionNotReady" && stalled.message.contains("cannot read it")
            })
        };
        // Its day comes, it is reconciled, and nothing is sent.
        test.simulator.clear_log();
        test.set_time("2026-12-01T10:00:00Z".parse().unwrap());
        let now = format!("{RECONCILE_NOW}={}", field.len());
        test.kubectl(&["annotate", "tp/dune", "--overwrite", &now]).await.success();
        test.until("dune", "says that its connection cannot be read", says_so).await;
        test.until_calm(CALM).await;
        assert!(test.simulator.requests().is_empty(), "{field}");
        test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
        let back = json!({"spec": {
            "allowedNamespaces": {"from": "Same"}, "suspend": false, "requestsPerSecond": 10,
        }});
        test.kubectl(&["patch", "pconn/default", "--type=merge", "-p", &back.to_string()]).await.success();
        test.until("dune", "waits again", |object| reason(object, "Ready") == "SwitchScheduled").await;
    }
    test.set_time("2026-12-01T10:00:00Z".parse().unwrap());
    test.until("dune", "is in production", |object| reason(object, "Ready") == "InSync").await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
    environment.end();
}
