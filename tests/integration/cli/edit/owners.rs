//! Objects that a tool keeps as Git has them.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tenant_pricing_controller::api::TenantPricing;

use super::{LATER, patches, scheduled, stored};
use crate::harness::{Test, reason};

/// Sets the mode again, as a field manager of this name.
async fn set_by(test: &Test, manager: &str) {
    let resource = ApiResource::erase::<TenantPricing>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(test.client.clone(), &test.namespace, &resource);
    let tenant = stored(test, "acme").await["spec"]["tenant"].clone();
    let object = json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": {"name": "acme"},
        "spec": {"tenant": tenant, "mode": "production", "switch": {"notBefore": LATER}},
    });
    api.patch("acme", &PatchParams::apply(manager).force(), &Patch::Apply(&object)).await.unwrap();
}

/// Replaces the labels and annotations.
async fn mark(test: &Test, labels: Value, annotations: Value) {
    let resource = ApiResource::erase::<TenantPricing>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(test.client.clone(), &test.namespace, &resource);
    let mut object = api.get("acme").await.unwrap();
    object.metadata.labels = serde_json::from_value(labels).unwrap();
    object.metadata.annotations = serde_json::from_value(annotations).unwrap();
    api.replace("acme", &kube::api::PostParams::default(), &object).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_applies_is_edited_in_git() {
    let test = Test::new("owned").await;
    let tenant = scheduled(&test).await;
    let editor = test.editor().await;
    let flux = json!({"kustomize.toolkit.fluxcd.io/name": "tenants", "kustomize.toolkit.fluxcd.io/namespace": "flux"});
    let release =
        json!({"helm.toolkit.fluxcd.io/name": "tenants", "helm.toolkit.fluxcd.io/namespace": "flux"});
    let helm = json!({"app.kubernetes.io/managed-by": "Helm"});
    let marks = [
        (flux, json!({}), "Kustomization flux/tenants of Flux", "Edit the manifest in the Git source"),
        (release, json!({}), "HelmRelease flux/tenants of Flux", "Change the values in the Git source"),
        (
            json!({}),
            json!({"argocd.argoproj.io/tracking-id": "tenants:tenantpricing.io/TenantPricing:team/acme"}),
            "Application tenants of Argo CD",
            "Edit the manifest in the Git source",
        ),
        (
            helm,
            json!({"meta.helm.sh/release-name": "tenants", "meta.helm.sh/release-namespace": "apps"}),
            "release apps/tenants of Helm",
            "helm upgrade tenants --namespace apps",
        ),
    ];
    for (labels, annotations, owner, way_out) in marks {
        mark(&test, labels, annotations).await;
        for arguments in [
            &["switch", "acme", "--at", "immediately", "--yes"][..],
            &["cancel", "acme"],
            &["suspend", "acme"],
        ] {
            let error = editor.run(arguments).await.failure();
            assert!(error.contains(owner) && error.contains(way_out), "{arguments:?}: {error}");
            assert!(error.contains("give --force"), "{arguments:?}: {error}");
        }
    }
    mark(&test, json!({}), json!({})).await;
    for (manager, tool) in [
        ("kustomize-controller", "Flux"),
        ("helm-controller", "Flux"),
        ("flux", "Flux"),
        ("argocd-controller", "Argo CD"),
        ("argocd-application-controller", "Argo CD"),
        ("helm", "Helm"),
    ] {
        set_by(&test, manager).await;
        let error = editor.run(&["cancel", "acme"]).await.failure();
        let owner = format!("{tool}, whose field manager {manager} set spec.mode");
        assert!(error.contains(&owner), "{manager}: {error}");
        // The next manager owns the fields alone.
        let release = json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": {"name": "acme"},
        });
        let resource = ApiResource::erase::<TenantPricing>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(test.client.clone(), &test.namespace, &resource);
        set_by(&test, "integration-test").await;
        api.patch("acme", &PatchParams::apply(manager).force(), &Patch::Apply(&release)).await.unwrap();
    }
    assert_eq!(patches(&editor).await, 0);
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn force_goes_on_and_says_what_may_follow() {
    let test = Test::new("owned-forced").await;
    let tenant = scheduled(&test).await;
    set_by(&test, "kustomize-controller").await;
    let editor = test.editor().await;
    let output = editor.run(&["cancel", "acme", "--force"]).await;
    assert!(output.stderr.contains("note: this object belongs to Flux"), "{}", output.stderr);
    assert!(output.stderr.contains("may put back what Git says"), "{}", output.stderr);
    assert!(output.success().contains("/acme: Done (Observed). "));
    test.until("acme", "is observed", |object| reason(object, "Ready") == "Observed").await;
    assert_eq!((test.simulator.puts(&tenant), patches(&editor).await), (0, 1));
    test.finish().await;
}

/// A read asks for nothing that Git says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_needs_no_force() {
    let test = Test::new("owned-reconcile").await;
    scheduled(&test).await;
    set_by(&test, "kustomize-controller").await;
    let editor = test.editor().await;
    assert!(editor.run(&["reconcile", "acme"]).await.success().contains("/acme: Ready (SwitchScheduled). "));
    test.finish().await;
}
