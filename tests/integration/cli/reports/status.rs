//! `status`: the state of a fleet.

use serde_json::{Value, json};

use super::{SCHEDULED, TRIAL_ENDS, fleet};
use crate::harness::Test;

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_fleet_is_reported_without_a_write() {
    let test = Test::new("status").await;
    fleet(&test).await;
    let reader = test.reader().await;
    let status = reader.json(&["status", "-o", "json", "--within", "10000d"]).await;
    assert_eq!(status["schema"], "tenantpricing.io/status/v1");
    let listed = |part: &str| -> Vec<Value> {
        status[part].as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect()
    };
    assert_eq!(listed("objects"), ["acme", "bolt", "core", "dawn"]);
    assert_eq!(listed("scheduled"), ["bolt"]);
    assert_eq!(
        (&status["scheduled"][0]["at"], &status["scheduled"][0]["billedMonth"]),
        (&json!(SCHEDULED), &json!("2031-05"))
    );
    // The switch of `bolt` is scheduled for after the end of its trial.
    assert_eq!(listed("automatic"), ["bolt", "core"]);
    assert_eq!(status["automatic"][0]["at"], TRIAL_ENDS);
    let stalled = &status["stalled"];
    assert_eq!(stalled.as_array().unwrap().len(), 1, "{stalled:#}");
    assert_eq!(
        (&stalled[0]["reason"], &stalled[0]["objects"][0]["name"]),
        (&json!("ReversalRefused"), &json!("dawn"))
    );
    assert_eq!(stalled[0]["remedy"], "Set mode: production, or remove mode");
    let connection = &status["connections"][0];
    assert_eq!(connection["reason"], "CredentialsAccepted");
    assert_eq!((&connection["trial"], &connection["production"]), (&json!(2), &json!(2)));
    assert_eq!(connection["budget"], json!({"count": 7, "window": "744 h", "used": 1, "complete": true}));
    let modes = |mode: &str| {
        status["modes"].as_array().unwrap().iter().find(|count| count["mode"] == mode).unwrap().clone()
    };
    assert_eq!(modes("production"), json!({"mode": "production", "ready": 1, "notReady": 1, "notSeen": 0}));
    assert_eq!(modes("trial"), json!({"mode": "trial", "ready": 2, "notReady": 0, "notSeen": 0}));

    let table = reader.run(&["status"]).await.success();
    for part in [
        "4 TenantPricings in namespace",
        "SWITCH SCHEDULED",
        "Set mode: production, or remove mode",
        "1 of 7 in 744 h",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(!table.contains("PLATFORM SWITCHES"), "no trial ends within 30 days\n{table}");
    assert!(!table.contains('\u{1b}') && table.contains("=Bolt\\u{1b}[31m & Sons"), "{table}");
    let wide = reader.run(&["status", "-o", "wide"]).await.success();
    assert!(
        wide.contains("The tenant is in mode trial. spec.mode is not set, so it is only observed."),
        "{wide}"
    );
    let csv = reader.run(&["status", "-o", "csv"]).await.success();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 6, "a head, four rows, and the end\n{csv}");
    assert!(
        csv.contains(",\"'=Bolt\\u{1b}[31m & Sons\",") && csv.contains(",\"Core, \"\"Ltd\"\"\","),
        "{csv}"
    );
    let names = reader.run(&["status", "-o", "name"]).await.success();
    assert_eq!(names.lines().next(), Some("tenantpricing.tenantpricing.io/acme"));
    // The namespaces of the other tests hold all kinds of objects.
    let all = test.plugin(&["status", "-A", "-o", "json"], &[], "").await.success();
    let all: Value = serde_json::from_str(&all).unwrap();
    let of_this_test = |view: &&Value| view["namespace"] == test.namespace.as_str();
    assert_eq!(all["objects"].as_array().unwrap().iter().filter(of_this_test).count(), 4);
    reader.wrote_nothing(1).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_chooses_objects_and_a_refusal_has_a_way_out() {
    let test = Test::new("status-selector").await;
    let reader = test.reader().await;
    let ids = ["0fcd4a69-8a40-4de8-b711-d9c83dc000f7", "1fcd4a69-8a40-4de8-b711-d9c83dc000f7"];
    for (name, id) in [("acme", ids[0]), ("bolt", ids[1])] {
        let object = json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
            "metadata": {"name": name, "labels": {"of": name}}, "spec": {"tenant": {"id": id}},
        });
        test.apply(&object.to_string()).await;
    }
    let status = reader.json(&["status", "-l", "of=bolt", "-o", "json"]).await;
    assert_eq!(status["objects"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&status["objects"][0]["name"], &status["objects"][0]["state"]),
        (&json!("bolt"), &json!("notSeen"))
    );
    assert_eq!(status["connections"][0]["reason"], "NotFound");
    let refused = reader.run(&["status", "-A"]).await.failure();
    assert!(refused.contains("403") && refused.contains("with -n, in place of -A"), "{refused}");
    let refused = reader.run(&["status", "-n", "default"]).await.failure();
    assert!(refused.contains("Name a namespace that you may read with -n"), "{refused}");
    let refused = reader.run(&["status", "--watch", "-o", "json"]).await.failure();
    assert!(refused.contains("leave out -o json"), "{refused}");
    reader.wrote_nothing(0).await;
    test.finish().await;
}
