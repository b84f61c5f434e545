//! What a plan says of objects that stay as they are, and of fields that an apply leaves.

use serde_json::Value;
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
};

use super::{assert_only_reads, entry, json, manifest};
use crate::harness::{Test, has, reason};

const PLAN: [&str; 5] = ["plan", "-f", "-", "-o", "json"];

/// The connection `default` of a test, as Git has it.
fn connection(test: &Test, spec: &str) -> String {
    format!(
        "apiVersion: tenantpricing.io/v1alpha1\nkind: PlatformConnection\nmetadata: {{name: default, namespace: {}}}\n\
         spec: {{url: '{}', credentialsSecretRef: {{name: default}}, requestsPerSecond: 1000{spec}}}\n---\n",
        test.namespace,
        test.simulator.url()
    )
}

fn notes(plan: &Value) -> String {
    let notes = plan["notes"].as_array().unwrap().iter();
    notes.map(|note| note["message"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The input has only the connection. What it lets happen is in the plan, and then happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_alone_announces_the_objects_of_the_cluster() {
    let test = Test::new("plan-connection").await;
    test.connection("default", json!({"suspend": true})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let done = test.simulator.add_tenant(TenantSpec::customer("Done GmbH").mode("production"));
    test.production("acme", &tenant, json!({})).await;
    test.production("done", &done, json!({})).await;
    let policy = [&PLAN[..], &["--fail-on", "immediate-switch"]].concat();
    let stopped = test.plugin(&policy, &[], &connection(&test, ", suspend: true")).await;
    assert_eq!(stopped.code, 0, "{}{}", stopped.stdout, stopped.stderr);
    let goes_on = connection(&test, ", suspend: false");
    let output = test.plugin(&policy, &[], &goes_on).await;
    assert_eq!(output.code, 4, "{}{}", output.stdout, output.stderr);
    let plan = json(&output);
    let acme = entry(&plan, "acme");
    assert_eq!((&acme["change"], &acme["outcome"]), (&json!("indirect"), &json!("switchNow")), "{plan:#}");
    assert_eq!(plan["summary"]["switchesNow"], 1, "{plan:#}");
    assert!(notes(&plan).contains("default changes: spec.suspend (true -> false)"), "{plan:#}");
    assert!(!plan["objects"].as_array().unwrap().iter().any(|entry| entry["name"] == "done"), "{plan:#}");
    assert_only_reads(&test.simulator.requests());
    test.controller().await;
    test.apply(&goes_on).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.finish().await;
}

/// Two objects stand for one tenant, through two connections. The older one goes from the tree.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_the_cluster_that_takes_over_is_announced() {
    let test = Test::new("plan-takes-over").await;
    test.connection("default", json!({})).await;
    test.connection("other", json!({})).await;
    test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let month_start = json!({"switch": {"at": "MonthStart"}});
    test.production("older", &tenant, month_start.clone()).await;
    test.until("older", "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    let mut younger = month_start;
    younger["connectionRef"] = json!({"name": "other"});
    test.production("younger", &tenant, younger).await;
    test.until("younger", "is a duplicate", |object| reason(object, "Ready") == "DuplicateTenant").await;
    let older = manifest(&test.namespace, "older", &format!("{{id: {tenant}}}"), "{at: MonthStart}");
    let suspended = older.replace("mode: production", "mode: production, suspend: true");
    let plan = json(&test.plugin(&PLAN, &[], &suspended).await);
    let younger = entry(&plan, "younger");
    assert_eq!(
        (&younger["change"], &younger["outcome"]),
        (&json!("indirect"), &json!("switchLater")),
        "{plan:#}"
    );
    assert_eq!(entry(&plan, "older")["outcome"], "suspended", "{plan:#}");
    let unchanged = test.plugin(&PLAN, &[], &older).await;
    assert_eq!(unchanged.code, 0, "{}{}", unchanged.stdout, unchanged.stderr);
    // A new object through a third way is a duplicate of both.
    let new = older.replace("name: older", "name: new");
    let plan = json(&test.plugin(&PLAN, &[], &new).await);
    assert_eq!(entry(&plan, "new")["reason"], "DuplicateTenant", "{plan:#}");
    // The command by hand says the same.
    let by_hand = ["switch", "younger", "--at", "immediately", "--dry-run=client"];
    let shown = test.plugin(&by_hand, &[], "").await.stderr;
    assert!(shown.contains("Outcome:     refused") && shown.contains("/older is older"), "{shown}");
    test.apply(&suspended).await;
    test.until("younger", "takes over", |object| reason(object, "Ready") == "SwitchScheduled").await;
    test.finish().await;
}

/// `switch` by hand, and then a manifest in Git that has no mode, as `import` writes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_was_set_by_hand_outlives_an_apply() {
    let test = Test::new("plan-by-hand").await;
    test.connection("default", json!({})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let with_mode = manifest(&test.namespace, "acme", &format!("{{id: {tenant}}}"), "{at: MonthStart}");
    let observed = with_mode.replace(", mode: production, switch: {at: MonthStart}", ", suspend: false");
    let by_hand = r#"{"spec":{"mode":"production","switch":{"at":"MonthStart"}}}"#;
    let patch = ["patch", "tp", "acme", "--type=merge", "--field-manager=tenantpricing-cli", "-p", by_hand];
    let server_side = ["apply", "--server-side", "--field-manager=kustomize-controller", "-f", "-"];
    for apply in [&["apply", "-f", "-"][..], &server_side] {
        test.kubectl_with(apply, &observed).await.success();
        test.kubectl(&patch).await.success();
        for validation in ["local", "server"] {
            let arguments = [&PLAN[..], &["--validate", validation]].concat();
            let output = test.plugin(&arguments, &[], &observed).await;
            assert_eq!(output.code, 0, "{apply:?} {validation}: {}{}", output.stdout, output.stderr);
            let plan = json(&output);
            assert_eq!(plan["summary"]["unchanged"], 1, "{plan:#}");
            let notes = notes(&plan);
            for field in ["spec.mode: production", "spec.switch.at: MonthStart"] {
                assert!(notes.contains(&format!("{field} is not in the manifest of")), "{notes}");
            }
            assert!(notes.contains("tenantpricing-cli set it"), "{notes}");
        }
        test.kubectl_with(apply, &observed).await.success();
        let stored = test.kubectl(&["get", "tp", "acme", "-o", "jsonpath={.spec.mode}"]).await.success();
        assert_eq!(stored, "production", "{apply:?}");
        // What the tool set itself, it takes back: then the plan says so.
        test.kubectl(&["delete", "tp", "acme"]).await.success();
        test.kubectl_with(apply, &with_mode).await.success();
        for validation in ["local", "server"] {
            let arguments = [&PLAN[..], &["--validate", validation]].concat();
            let output = test.plugin(&arguments, &[], &observed).await;
            assert_eq!(output.code, 2, "{apply:?} {validation}: {}{}", output.stdout, output.stderr);
            assert_eq!(entry(&json(&output), "acme")["outcome"], "cancelled", "{apply:?} {validation}");
        }
        test.kubectl_with(apply, &observed).await.success();
        let stored = test.kubectl(&["get", "tp", "acme", "-o", "jsonpath={.spec.mode}"]).await.success();
        assert_eq!(stored, "", "{apply:?}");
        test.kubectl(&["delete", "tp", "acme"]).await.success();
    }
    test.finish().await;
}

/// The manifest loses a block in which a person set another field.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_leaves_the_manifest_goes_as_a_whole() {
    let test = Test::new("plan-block").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let with_budget = connection(&test, ", switch: {budget: {window: 1h}}");
    let with_block = manifest(&test.namespace, "acme", &format!("{{id: {tenant}}}"), "{at: MonthStart}");
    let stored = async |object: &str, path: &str| {
        let path = format!("jsonpath={{.spec.{path}}}");
        test.kubectl(&["get", object, "-o", &path]).await.success()
    };
    let apply = ["apply", "-f", "-"];
    // A date far away keeps the object from being switched.
    test.kubectl_with(&apply, &with_block).await.success();
    test.edit::<TenantPricing>("acme", json!({"spec": {"switch": {"notBefore": "2030-01-01T00:00:00Z"}}}))
        .await;
    let without_block = with_block.replace(", switch: {at: MonthStart}", "");
    let plan = json(&test.plugin(&PLAN, &[], &without_block).await);
    assert_eq!(entry(&plan, "acme")["outcome"], "switchNow", "{plan:#}");
    assert!(!notes(&plan).contains("notBefore"), "{plan:#}");
    test.kubectl_with(&apply, &without_block).await.success();
    assert_eq!(stored("tp/acme", "switch").await, "");
    // So does a budget of zero.
    test.kubectl_with(&apply, &with_budget).await.success();
    test.edit::<PlatformConnection>("default", json!({"spec": {"switch": {"budget": {"count": 0}}}})).await;
    let input = connection(&test, "") + &without_block;
    let plan = json(&test.plugin(&PLAN, &[], &input).await);
    assert_eq!(entry(&plan, "acme")["outcome"], "switchNow", "{plan:#}");
    assert!(!notes(&plan).contains("count: 0 is not in"), "{plan:#}");
    test.kubectl_with(&apply, &connection(&test, "")).await.success();
    assert_eq!(stored("pconn/default", "switch.budget.count").await, "100");
    test.finish().await;
}

/// An emergency stop or a suspension by hand, which the manifest does not mention.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_set_by_hand_outlives_an_apply() {
    let test = Test::new("plan-stop-by-hand").await;
    test.connection("default", json!({})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let input = manifest(&test.namespace, "acme", &format!("{{id: {tenant}}}"), "{at: Immediately}");
    test.apply(&input).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"suspend": true}})).await;
    let output = test.plugin(&PLAN, &[], &input).await;
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert!(
        notes(&json(&output)).contains("spec.suspend: true is not in the manifest of"),
        "{}",
        output.stdout
    );
    test.apply(&input).await;
    let stored = test.kubectl(&["get", "tp", "acme", "-o", "jsonpath={.spec.suspend}"]).await.success();
    assert_eq!(stored, "true");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_no_controller_watches_is_named() {
    let test = Test::new("plan-not-watched").await;
    test.connection("default", json!({})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let labels = json!({"app.kubernetes.io/name": "tenant-pricing-controller"});
    let container = json!({"name": "controller", "image": "controller:1.0.0",
        "args": ["run", "--watch-label-selector=shard in (a,b)", format!("--watch-namespaces={}", test.namespace)]});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "controller", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    });
    test.apply(&deployment.to_string()).await;
    let arguments = [&PLAN[..], &["--controller-namespace", &test.namespace]].concat();
    let input = manifest(&test.namespace, "acme", &format!("{{id: {tenant}}}"), "{at: MonthStart}");
    test.apply(&input).await;
    let changed = input.replace("MonthStart", "Immediately");
    let plan = json(&test.plugin(&arguments, &[], &changed).await);
    let acme = entry(&plan, "acme");
    let why = acme["notWatched"].as_str().unwrap();
    assert!(why.contains("watches only objects with the labels shard in (a,b)"), "{plan:#}");
    // Nothing but the label changes.
    let labelled = input.replace("{name: acme,", "{name: acme, labels: {shard: a},");
    let plan = json(&test.plugin(&arguments, &[], &labelled).await);
    let acme = entry(&plan, "acme");
    assert_eq!((&acme["change"], &acme["outcome"]), (&json!("indirect"), &json!("switchLater")), "{plan:#}");
    assert_eq!(acme["notWatched"], Value::Null, "{plan:#}");
    test.finish().await;
}
