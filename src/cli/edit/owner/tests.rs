use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Value, json};

use super::*;
use crate::testing::fixtures::Scene;

/// An object with these labels, these annotations, and a field manager that set these fields.
fn object(labels: Value, annotations: Value, manager: Option<(&str, Value)>) -> TenantPricing {
    let map = |value: Value| serde_json::from_value::<BTreeMap<String, String>>(value).unwrap();
    let mut object = Scene::new().object;
    object.metadata.labels = Some(map(labels));
    object.metadata.annotations = Some(map(annotations));
    object.metadata.managed_fields = manager.map(|(name, fields)| {
        vec![ManagedFieldsEntry {
            manager: Some(name.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }]
    });
    object
}

fn mode() -> Value {
    json!({"f:spec": {"f:mode": {}, "f:tenant": {}}})
}

#[test]
fn each_tool_is_recognised_by_what_it_writes_on_objects() {
    let flux = "kustomize.toolkit.fluxcd.io";
    let release = "helm.toolkit.fluxcd.io";
    for (labels, annotations, name, way_out) in [
        (
            json!({format!("{flux}/name"): "tenants", format!("{flux}/namespace"): "flux-system"}),
            json!({}),
            "Kustomization flux-system/tenants of Flux",
            "Edit the manifest in the Git source of that Kustomization",
        ),
        (
            json!({format!("{release}/name"): "tenants", format!("{release}/namespace"): "apps"}),
            json!({}),
            "HelmRelease apps/tenants of Flux",
            "Change the values in the Git source of that HelmRelease",
        ),
        (
            json!({}),
            json!({"argocd.argoproj.io/tracking-id": "tenants:tenantpricing.io/TenantPricing:team/acme"}),
            "Application tenants of Argo CD",
            "Edit the manifest in the Git source of that Application",
        ),
        (
            json!({"app.kubernetes.io/managed-by": "Helm"}),
            json!({"meta.helm.sh/release-name": "tenants", "meta.helm.sh/release-namespace": "apps"}),
            "release apps/tenants of Helm",
            "Change the values, and run: helm upgrade tenants --namespace apps",
        ),
        // What helm-controller installs has the marks of Helm as well.
        (
            json!({format!("{release}/name"): "tenants", "app.kubernetes.io/managed-by": "Helm"}),
            json!({"meta.helm.sh/release-name": "apps-tenants"}),
            "HelmRelease team/tenants of Flux",
            "Change the values in the Git source of that HelmRelease",
        ),
    ] {
        let owner = owner(&object(labels, annotations, None), &[Field::Mode]).expect(name);
        assert_eq!((owner.name.as_str(), owner.way_out.as_str()), (name, way_out));
    }
}

#[test]
fn each_field_manager_of_a_tool_is_recognised() {
    for (manager, tool) in [
        ("kustomize-controller", "Flux"),
        ("helm-controller", "Flux"),
        ("flux", "Flux"),
        ("flux-client-side-apply", "Flux"),
        ("argocd-controller", "Argo CD"),
        ("argocd-application-controller", "Argo CD"),
        ("helm", "Helm"),
    ] {
        let object = object(json!({}), json!({}), Some((manager, mode())));
        let owner = owner(&object, &[Field::Mode]).expect(manager);
        assert_eq!(owner.name, format!("{tool}, whose field manager {manager} set spec.mode"));
    }
}

#[test]
fn what_people_and_the_controller_set_has_no_owner() {
    for manager in ["kubectl-client-side-apply", "kubectl-edit", "tenant-pricing-controller", "helmet", "k9s"]
    {
        let object = object(json!({}), json!({}), Some((manager, mode())));
        assert_eq!(owner(&object, &[Field::Mode]), None, "{manager}");
    }
    // The marks are there only in part, or say something else.
    for (labels, annotations) in [
        (json!({"app.kubernetes.io/managed-by": "Helm"}), json!({})),
        (json!({"app.kubernetes.io/managed-by": "tofu"}), json!({"meta.helm.sh/release-name": "tenants"})),
        (json!({"kustomize.toolkit.fluxcd.io/namespace": "flux-system"}), json!({})),
        (json!({"app.kubernetes.io/instance": "tenants"}), json!({"example.com/tracking-id": "tenants:x"})),
    ] {
        assert_eq!(owner(&object(labels, annotations, None), &[Field::Mode]), None);
    }
}

#[test]
fn a_field_manager_owns_only_what_it_set() {
    let object =
        object(json!({}), json!({}), Some(("kustomize-controller", json!({"f:spec": {"f:tenant": {}}}))));
    assert_eq!(owner(&object, &[Field::Mode, Field::Suspend]), None);
    let set = json!({"f:spec": {"f:switch": {"f:at": {}}}});
    let object = self::object(json!({}), json!({}), Some(("argocd-controller", set)));
    assert_eq!(owner(&object, &[Field::Mode]), None);
    let owner = owner(&object, &[Field::SwitchAt, Field::Mode]).unwrap();
    assert_eq!(owner.name, "Argo CD, whose field manager argocd-controller set spec.switch.at");
}

#[test]
fn the_file_is_named_where_kustomize_says_it() {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "tenants"});
    let object = object(labels, json!({"config.kubernetes.io/origin": "path: tenants/acme.yaml\n"}), None);
    let owner = owner(&object, &[Field::Mode]).unwrap();
    assert_eq!(owner.way_out, "Edit tenants/acme.yaml, in the Git source of that Kustomization");
}

#[test]
fn a_hostile_label_is_only_text() {
    let hostile = "\u{1b}[31mtenants";
    let object = object(json!({"kustomize.toolkit.fluxcd.io/name": hostile}), json!({}), None);
    let owner = owner(&object, &[Field::Mode]).unwrap().escaped();
    assert!(!owner.name.chars().any(escape::is_disruptive), "{owner:?}");
}
