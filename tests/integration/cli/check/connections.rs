//! Connections: each reason, the Secret, the allow-list, and the namespaces.

use serde_json::json;
use tenant_pricing_controller::api::{ConnectionReason, PlatformConnection};

use super::{assert_finding, findings, install, report, run};
use crate::harness::Test;

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_has_its_verdict_and_its_remedy() {
    let test = Test::new("check-reasons").await;
    test.connection("default", json!({})).await;
    let new = report(&test).await;
    assert_finding(&new, "connection-ready", "error", &["No controller has checked it yet"]);
    for reason in ConnectionReason::ALL {
        let ready = if reason.is_ready() { "True" } else { "False" };
        let condition = json!({"type": "Ready", "status": ready, "reason": reason.as_str(), "message": "As it is.",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
        let status = json!({"status": {"observedGeneration": 1, "conditions": [condition]}});
        test.edit_status::<PlatformConnection>("default", status).await;
        let report = report(&test).await;
        let verdict = match reason {
            ConnectionReason::CredentialsAccepted => "ok",
            ConnectionReason::Suspended | ConnectionReason::RateLimited => "warning",
            _ => "error",
        };
        let words = if *reason == ConnectionReason::Suspended { "It is suspended" } else { reason.as_str() };
        assert_finding(&report, "connection-ready", verdict, &[words]);
        let remedy = findings(&report, "connection-ready")[0]["remedy"].as_str();
        assert_eq!(remedy.is_none(), verdict == "ok", "{reason}: {remedy:?}");
    }
    test.edit::<PlatformConnection>("default", json!({"spec": {"pollInterval": "20m"}})).await;
    assert_finding(&report(&test).await, "connection-ready", "warning", &["has not checked the edit yet"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_connection_is_a_warning() {
    let test = Test::new("check-suspended").await;
    install(&test, &[]).await;
    test.controller().await;
    test.connection("default", json!({"suspend": true})).await;
    crate::harness::until_connection(&test, "default", "Suspended").await;
    let report = super::until(&test, "controller-lease", "ok", &[]).await;
    assert_finding(&report, "connection-ready", "warning", &["It is suspended", "nothing is switched"]);
    assert_eq!(report["errors"], 0, "{report:#}");
    let short = run(&test, &["-o", "short"]).await;
    assert_eq!(short.code, 2, "warnings alone\n{short:?}");
    assert!(
        short.stdout.contains("  ! connection-ready ") && short.stdout.contains("Set spec.suspend: false"),
        "{short:?}"
    );
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_or_incomplete_is_named() {
    let test = Test::new("check-secret").await;
    test.connection("default", json!({})).await;
    assert_finding(&report(&test).await, "connection-secret", "ok", &["has both keys"]);
    test.keep_secret("half-a-pair");
    test.kubectl(&["delete", "secret", "default"]).await.success();
    let missing = report(&test).await;
    let words = [&*format!("There is no Secret {}/default", test.namespace)];
    assert_finding(&missing, "connection-secret", "error", &words);
    test.secret("default", json!({"clientSecret": "half-a-pair"})).await;
    assert_finding(&report(&test).await, "connection-secret", "error", &["the key clientId is missing"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_outside_the_allow_list_is_an_error() {
    let test = Test::new("check-host").await;
    install(&test, &[]).await;
    test.connection("default", json!({})).await;
    assert_finding(&report(&test).await, "connection-host", "ok", &[&test.simulator.url()]);
    test.edit::<PlatformConnection>("default", json!({"spec": {"url": "https://eu2.example.com"}})).await;
    let words = ["https://eu2.example.com is not among the allowed hosts", "nothing is switched"];
    assert_finding(&report(&test).await, "connection-host", "error", &words);
    // A port that the list does not have.
    let other = json!({"spec": {"url": "http://127.0.0.1:1"}});
    test.edit::<PlatformConnection>("default", other).await;
    assert_finding(&report(&test).await, "connection-host", "error", &["not among the allowed hosts"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_a_connection_does_not_admit_are_named() {
    let test = Test::new("check-namespaces").await;
    test.connection("default", json!({})).await;
    let team = format!("{}-team", test.namespace);
    test.kubectl(&["create", "namespace", &team]).await.success();
    let object = json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": "acme", "namespace": team},
        "spec": {"tenant": {"id": "0fcd4a69-8a40-4de8-b711-d9c83dc000f7"},
                 "connectionRef": {"name": "default", "namespace": test.namespace}},
    });
    test.apply(&object.to_string()).await;
    let of_team = async || {
        let arguments = ["check", "-n", &team, "--controller-namespace", &team, "-o", "json"];
        super::parse(&test.plugin(&arguments, &[], "").await)
    };
    let words = [&*format!("does not admit the namespace of {team}/acme")];
    assert_finding(&of_team().await, "connection-namespaces", "error", &words);
    let selector = |team: &str| {
        let labels = json!({"kubernetes.io/metadata.name": team});
        json!({"spec": {"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": labels}}}})
    };
    test.edit::<PlatformConnection>("default", selector(&team)).await;
    assert_finding(&of_team().await, "connection-namespaces", "ok", &["admits 1 of 1"]);
    test.edit::<PlatformConnection>("default", selector("another")).await;
    assert_finding(&of_team().await, "connection-namespaces", "error", &words);
    test.finish().await;
}
