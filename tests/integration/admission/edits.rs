//! Other edits: the tenant of an object, what stays possible after the switch, and the status.

use kube::api::PostParams;
use serde_json::{Value, json};
use tenant_pricing_controller::testing::golden;

use super::{
    ID, create, merge, object, refusal, stored, tenant_pricing, tenant_pricings, transcript, write_status,
};
use crate::harness::Test;

const OTHER_ID: &str = "7f1d21a4-13cb-4c5e-9a2b-0b6f4fd0c9aa";

#[tokio::test(flavor = "multi_thread")]
async fn one_object_stands_for_one_tenant() {
    let test = Test::new("tenant-change").await;
    let (id, name) = (json!({"id": ID}), json!({"name": "Acme GmbH"}));
    let cases = vec![
        ("an id to another id", id.clone(), json!({"id": OTHER_ID}), false),
        ("an id to a name", id.clone(), name.clone(), false),
        ("a name to an id", name.clone(), id.clone(), false),
        ("a name to another name", name.clone(), json!({"name": "Ajax GmbH"}), false),
        ("a name to the same in capitals", name.clone(), json!({"name": "ACME GMBH"}), false),
        ("an id to the same in capitals", id.clone(), json!({"id": ID.to_uppercase()}), true),
        ("an id in capitals to the same in small letters", json!({"id": ID.to_uppercase()}), id, true),
        ("a name to the same name", name.clone(), name, true),
    ];
    let answers = transcript(cases, async |number, (case, before, after, accepted)| {
        let name = format!("case-{number}");
        create(&test, &name, &json!({"tenant": before})).await;
        let api = tenant_pricings(&test);
        let mut edited = api.get(&name).await.unwrap();
        edited.data["spec"] = json!({"tenant": after, "mode": "production"});
        let answer = refusal(api.replace(&name, &PostParams::default(), &edited).await, &test, &name);
        let mode = stored(&test, &name).await["spec"]["mode"].clone();
        match answer {
            Ok(_) => {
                assert!(accepted, "{case}");
                assert_eq!(mode, "production", "{case}");
                format!("# {case}: accepted\n")
            }
            Err(refusal) => {
                assert!(!accepted && refusal.contains("spec.tenant: Forbidden:"), "{case}: {refusal}");
                assert_eq!(mode, Value::Null, "{case}");
                format!("# {case}: refused\n{refusal}\n")
            }
        }
    })
    .await;
    golden::compare("tests/integration/admission/tenant_change.golden", &answers).unwrap();
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_the_platform_switched_can_still_be_edited() {
    let test = Test::new("by-itself").await;
    let spec = json!({"tenant": {"name": "Acme GmbH"}, "mode": "trial"});
    create(&test, "acme", &spec).await;
    let status =
        json!({"observed": {"mode": "production"}, "switch": {"phase": "Completed", "by": "Platform"}});
    write_status(&test, "acme", &status).await;

    test.kubectl(&["label", "tenantpricing", "acme", "team=billing"]).await.success();
    for patch in [
        json!({"spec": {"suspend": true}}),
        json!({"spec": {"switch": {"at": "MonthStart"}}}),
        json!({"spec": {"connectionRef": {"name": "eu2"}}}),
    ] {
        merge(&test, "acme", &patch).await.unwrap();
    }
    let manifest = tenant_pricing("acme", &spec).to_string();
    test.kubectl_with(&["apply", "-f", "-"], &manifest).await.success();
    let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    test.kubectl_with(&arguments, &manifest).await.success();
    assert_eq!(stored(&test, "acme").await["spec"]["mode"], "trial");
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_in_flight_locks_only_the_mode() {
    let test = Test::new("in-flight").await;
    create(&test, "acme", &json!({"tenant": {"id": ID}, "mode": "production"})).await;
    write_status(&test, "acme", &json!({"switch": {"phase": "InFlight"}})).await;
    for patch in [
        json!({"metadata": {"labels": {"team": "billing"}}}),
        json!({"spec": {"suspend": true}}),
        json!({"spec": {"mode": "production", "switch": {"notBefore": "2027-01-01T00:00:00Z"}}}),
    ] {
        merge(&test, "acme", &patch).await.unwrap();
    }
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_was_left_out_comes_back_as_production_only() {
    let test = Test::new("comes-back").await;
    let statuses = [
        ("completed", json!({"switch": {"phase": "Completed"}})),
        ("in-flight", json!({"switch": {"phase": "InFlight"}})),
        ("production", json!({"observed": {"mode": "production"}})),
    ];
    for (name, status) in statuses {
        create(&test, name, &json!({"tenant": {"id": ID}})).await;
        write_status(&test, name, &status).await;
        let refusal = merge(&test, name, &json!({"spec": {"mode": "trial"}})).await.unwrap_err();
        assert!(refusal.contains("spec.mode: Forbidden: mode cannot become trial"), "{name}: {refusal}");
        merge(&test, name, &json!({"spec": {"mode": "production"}})).await.unwrap();
    }
    create(&test, "waiting", &json!({"tenant": {"id": ID}})).await;
    write_status(&test, "waiting", &json!({"observed": {"mode": "trial"}})).await;
    merge(&test, "waiting", &json!({"spec": {"mode": "trial"}})).await.unwrap();
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_in_the_manifest_bypasses_no_rule() {
    let test = Test::new("smuggled").await;
    create(&test, "acme", &json!({"tenant": {"id": ID}, "mode": "production"})).await;
    write_status(&test, "acme", &json!({"switch": {"phase": "InFlight"}})).await;
    let mut manifest = tenant_pricing("acme", &json!({"tenant": {"id": ID}, "mode": "trial"}));
    manifest["status"] = json!({"observedGeneration": 1, "observed": {"mode": "trial"}});
    let refusal = test.kubectl_with(&["replace", "-f", "-"], &manifest.to_string()).await.failure();
    assert!(refusal.contains("spec.mode: Forbidden: mode: production cannot be removed now"), "{refusal}");
    assert_eq!(stored(&test, "acme").await["status"]["switch"]["phase"], "InFlight");
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_on_the_server_meets_the_same_refusal() {
    let test = Test::new("dry-run").await;
    create(&test, "acme", &json!({"tenant": {"id": ID}, "mode": "production"})).await;
    write_status(&test, "acme", &json!({"switch": {"phase": "InFlight"}})).await;
    let manifest = tenant_pricing("acme", &json!({"tenant": {"id": ID}, "mode": "trial"})).to_string();
    let refusal = test.kubectl_with(&["apply", "--dry-run=server", "-f", "-"], &manifest).await.failure();
    assert!(refusal.contains("spec.mode: Forbidden:"), "{refusal}");
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_two_appliers_own_stays_when_one_lets_go() {
    let test = Test::new("two-owners").await;
    let with_mode = tenant_pricing("acme", &json!({"tenant": {"id": ID}, "mode": "production"})).to_string();
    for manager in ["--field-manager=flux", "--field-manager=other-manager"] {
        test.kubectl_with(&["apply", "--server-side", manager, "-f", "-"], &with_mode).await.success();
    }
    write_status(&test, "acme", &json!({"switch": {"phase": "InFlight"}})).await;
    let without = tenant_pricing("acme", &json!({"tenant": {"id": ID}})).to_string();
    let let_go =
        async |manager| test.kubectl_with(&["apply", "--server-side", manager, "-f", "-"], &without).await;
    let_go("--field-manager=other-manager").await.success();
    assert_eq!(stored(&test, "acme").await["spec"]["mode"], "production");
    let refusal = let_go("--field-manager=flux").await.failure();
    assert!(refusal.contains("spec.mode: Forbidden:"), "{refusal}");
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_can_be_written_whatever_the_mode() {
    let test = Test::new("journal").await;
    let journal = [
        json!({"phase": "Scheduled", "scheduledFor": "2026-12-01T00:00:00Z"}),
        json!({"phase": "InFlight", "intentAt": "2026-12-01T00:00:01.000001Z", "attempts": 1, "attemptId": ID}),
        json!({"phase": "Scheduled", "attempts": 1}),
        json!({"phase": "InFlight", "attempts": 2, "platform": "https://eu2-cloud.acronis.com"}),
        json!({"phase": "Completed", "by": "Controller", "completedAt": "2026-12-01T00:00:02Z"}),
        Value::Null,
    ];
    for (name, mode) in [("nothing", None), ("trial", Some("trial")), ("production", Some("production"))] {
        create(&test, name, &json!({"tenant": {"id": ID}, "mode": mode})).await;
        for entry in &journal {
            write_status(&test, name, &json!({"switch": entry, "observed": {"mode": "trial"}})).await;
            assert_eq!(stored(&test, name).await["status"]["switch"]["phase"], entry["phase"], "mode {name}");
        }
        write_status(&test, name, &json!({"observed": {"mode": "production"}})).await;
        assert_eq!(stored(&test, name).await["spec"]["mode"], json!(mode));
        assert_eq!(stored(&test, name).await["metadata"]["generation"], 1, "a status is no new generation");
    }
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_merge_by_type() {
    let test = Test::new("conditions").await;
    create(&test, "acme", &json!({"tenant": {"id": ID}})).await;
    for (manager, kind) in [("controller", "Ready"), ("other-manager", "Other"), ("controller", "Ready")] {
        let mut manifest = json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": {"name": "acme"},
        });
        manifest["status"] = json!({"observedGeneration": 1, "conditions": [{
            "type": kind, "status": "True", "reason": "InSync", "message": "",
            "lastTransitionTime": "2026-12-01T00:00:00Z",
        }]});
        let manager = format!("--field-manager={manager}");
        let arguments = ["apply", "--server-side", "--subresource=status", &manager, "-f", "-"];
        test.kubectl_with(&arguments, &manifest.to_string()).await.success();
    }
    let stored = stored(&test, "acme").await;
    let types = ["0", "1", "2"].map(|at| stored.pointer(&format!("/status/conditions/{at}/type")).cloned());
    assert_eq!(types, [Some(json!("Ready")), Some(json!("Other")), None]);
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_is_pruned_where_validation_is_not_strict() {
    let test = Test::new("pruned").await;
    let spec = json!({"tenant": {"id": ID}, "modus": "production"});
    let manifest = tenant_pricing("acme", &spec).to_string();
    let refusal = test.kubectl_with(&["apply", "--validate=strict", "-f", "-"], &manifest).await.failure();
    assert!(refusal.contains(r#"unknown field "spec.modus""#), "{refusal}");
    test.kubectl_with(&["apply", "--validate=ignore", "-f", "-"], &manifest).await.success();
    assert_eq!(stored(&test, "acme").await["spec"]["modus"], Value::Null);
    test.abandon();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_be_edited_freely() {
    let test = Test::new("connection-edit").await;
    let connection = |url, secret| {
        let spec = json!({"url": url, "credentialsSecretRef": {"name": secret}});
        object("PlatformConnection", "default", &spec).to_string()
    };
    test.apply(&connection("https://eu2-cloud.acronis.com", "one")).await;
    test.apply(&connection("https://us5-cloud.acronis.com", "two")).await;
    let refusal = test
        .kubectl_with(&["apply", "-f", "-"], &connection("https://us5-cloud.acronis.com/api", "two"))
        .await
        .failure();
    assert!(refusal.contains("spec.url: Invalid value"), "{refusal}");
    test.abandon();
}
