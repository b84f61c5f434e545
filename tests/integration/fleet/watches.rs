//! Watches of the API server that fall silent, and objects that are too large to be kept.

use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use crate::harness::{PATIENCE, Test, has};

/// A deaf connection is noticed within a minute.
const NOTICED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_swallows_everything_is_given_up() {
    let test = Test::new("watches-deaf").await;
    let proxy = test.api_proxy().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let other = test.simulator.add_tenant(TenantSpec::customer("Bolt & Sons"));
    test.connection("default", json!({})).await;
    let options = test.controller_options().through(proxy.kubeconfig());
    test.controller_with(&options).await;
    test.tenant_pricing("before", json!({"tenant": {"id": tenant}})).await;
    test.until("before", "is observed", |object| has(object, "Ready", "True")).await;
    proxy.deafen();
    test.tenant_pricing("after", json!({"tenant": {"id": other}})).await;
    // The machine may be busy besides.
    test.until_within(NOTICED + PATIENCE, "after", "is observed", |object| has(object, "Ready", "True"))
        .await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_annotation_is_neither_kept_nor_echoed_and_said_once() {
    let test = Test::new("watches-annotation").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({"pollInterval": "10s"})).await;
    test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is observed", |object| has(object, "Ready", "True")).await;
    let short = "x".repeat(63);
    test.reconcile_now("acme", &short).await;
    let long = "x".repeat(250_000);
    test.request_reconcile("acme", &long).await;
    test.until_events("acme", &["ReconcileNowIgnored"]).await;
    // More edits of the object do not say it again, and another value does.
    test.edit::<TenantPricing>("acme", json!({"metadata": {"labels": {"some": "label"}}})).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "trial"}})).await;
    test.until("acme", "is done", |object| {
        let status = object.status.as_ref().unwrap();
        Some(status.observed_generation) == object.metadata.generation
    })
    .await;
    let said = async || {
        let events = test.events("acme").await;
        events.iter().filter(|event| event.reason.as_deref() == Some("ReconcileNowIgnored")).count()
    };
    assert_eq!(said().await, 1);
    let object = test.until("acme", "is read", |_| true).await;
    assert_eq!(object.status.unwrap().last_handled_reconcile_at.as_deref(), Some(short.as_str()));
    let statuses = test.recorded_statuses("acme");
    assert!(statuses.iter().all(|status: &Value| status.to_string().len() < 20_000), "it is echoed nowhere");
    // A short one counts again.
    test.reconcile_now("acme", "now").await;
    test.request_reconcile("acme", &"y".repeat(64)).await;
    test.wait_for("the next one is said", PATIENCE, async || {
        let events = test.events("acme").await;
        let is_about_it = |event: &&k8s_openapi::api::events::v1::Event| {
            event.reason.as_deref() == Some("ReconcileNowIgnored")
        };
        let counted = events
            .iter()
            .filter(is_about_it)
            .map(|event| event.series.as_ref().map_or(1, |series| series.count));
        (counted.sum::<i32>() == 2).then_some(())
    })
    .await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_text_of_each_field_of_a_status_is_stored() {
    let test = Test::new("watches-longest").await;
    // As long as the platform's answers and the API server's own rules let them be.
    let name = "x".repeat(1024);
    let tenant = test.simulator.add_tenant(TenantSpec::customer(&name));
    test.connection("default", json!({})).await;
    test.controller().await;
    let object = format!("a{}", "b".repeat(252));
    test.tenant_pricing(&object, json!({"tenant": {"id": tenant}})).await;
    test.until(&object, "is observed", |object| has(object, "Ready", "True")).await;
    test.request_reconcile(&object, &"ü".repeat(63)).await;
    let api: Api<TenantPricing> = Api::namespaced(test.client.clone(), &test.namespace);
    let manager = PatchParams::apply(&"m".repeat(128)).force();
    let asked = json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "spec": {"tenant": {"id": tenant}, "mode": "production"},
    });
    api.patch(&object, &manager, &Patch::Apply(&asked)).await.unwrap();
    let stored = test.until(&object, "is switched", |object| has(object, "Production", "True")).await;
    let status = stored.status.unwrap();
    let journal = status.switch.unwrap();
    assert_eq!(journal.requested_by.unwrap().len(), 128);
    assert_eq!(status.observed.unwrap().tenant_name.as_deref(), Some(name.as_str()));
    assert_eq!(status.last_handled_reconcile_at.unwrap().chars().count(), 63);
    test.finish().await;
}

/// The most letters that a field takes, and the status that holds it.
type Field = (usize, Box<dyn Fn(&str) -> Value>);

#[tokio::test(flavor = "multi_thread")]
async fn a_text_beyond_the_limit_of_its_field_is_refused() {
    let test = Test::new("watches-beyond").await;
    let tenant = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    let api: Api<TenantPricing> = Api::namespaced(test.client.clone(), &test.namespace);
    let journal = |field: &str, text: &str| json!({"switch": {"phase": "Scheduled", field: text}});
    let fields: [Field; 7] = [
        (63, Box::new(|text| json!({"lastHandledReconcileAt": text}))),
        (64, Box::new(|text| json!({"tenantId": text}))),
        (256, Box::new(|text| json!({"observed": {"mode": text}}))),
        (1024, Box::new(|text| json!({"observed": {"mode": "trial", "tenantName": text}}))),
        (2048, Box::new(move |text| journal("platform", text))),
        (512, Box::new(move |text| journal("connection", text))),
        (256, Box::new(move |text| journal("requestedBy", text))),
    ];
    for (longest, status) in &fields {
        for (length, is_stored) in [(*longest, true), (longest + 1, false)] {
            let change = json!({"status": status(&"ü".repeat(length))});
            let patched = api.patch_status("acme", &PatchParams::default(), &Patch::Merge(&change)).await;
            assert_eq!(patched.is_ok(), is_stored, "{length}: {patched:?}");
        }
    }
    test.abandon();
}
