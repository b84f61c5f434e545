//! What an apply leaves of a stored object.

use serde_json::{Value, json};

use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::{
        plan::stored::{
            applied,
            apply::{Merged, Unsure, merge},
        },
        validation::with_defaults,
    },
    testing::fixtures::time,
};

/// An object of Git that a tool applied, and whose mode and time a person set by hand.
fn stored(tool: &Value, last_applied: Option<&str>) -> Value {
    let annotation = |text| json!({"kubectl.kubernetes.io/last-applied-configuration": text});
    let annotations = last_applied.map_or_else(|| json!({}), annotation);
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {
            "name": "acme", "namespace": "team", "annotations": annotations,
            "managedFields": [
                tool,
                {"manager": "tenantpricing-cli", "operation": "Update",
                 "fieldsV1": {"f:spec": {"f:mode": {}, "f:switch": {".": {}, "f:at": {}}}}},
                {"manager": "tenant-pricing-controller", "operation": "Update", "subresource": "status",
                 "fieldsV1": {"f:spec": {"f:suspend": {}}}},
            ],
        },
        "spec": {
            "tenant": {"name": "Acme"}, "mode": "production", "switch": {"at": "MonthStart"},
            "connectionRef": {"name": "default"}, "suspend": true,
        },
    })
}

fn manifest(spec: &Value) -> Value {
    let mut manifest = json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": "acme", "namespace": "team"}, "spec": {"tenant": {"name": "Acme"}},
    });
    for (name, value) in spec.as_object().unwrap() {
        manifest["spec"][name] = value.clone();
    }
    manifest
}

/// The entry of a tool that owns the tenant and the suspension.
fn owner(manager: &str, operation: &str) -> Value {
    json!({"manager": manager, "operation": operation,
           "fieldsV1": {"f:spec": {"f:tenant": {}, "f:suspend": {}}}})
}

/// A field that the manifest does not have, and that may stay.
fn unsure(field: &str) -> Unsure {
    Unsure { field: field.to_owned(), in_manifest: None }
}

fn fields(merged: &Merged) -> Vec<&str> {
    merged.kept.iter().map(|kept| kept.field.as_str()).collect()
}

#[test]
fn an_apply_leaves_what_others_set_and_takes_what_was_its_own() {
    let last = r#"{"spec":{"tenant":{"name":"Acme"},"suspend":true}}"#;
    let cases = [
        (owner("kustomize-controller", "Apply"), None),
        (owner("kubectl-client-side-apply", "Update"), Some(last)),
    ];
    for (tool, last_applied) in cases {
        let merged = merge(&stored(&tool, last_applied), &manifest(&json!({})), None);
        assert_eq!(merged.value["spec"]["mode"], "production", "{tool}");
        assert_eq!(merged.value["spec"]["switch"]["at"], "MonthStart", "{tool}");
        assert_eq!(merged.value["spec"]["suspend"], Value::Null, "{tool}");
        assert_eq!(merged.unsure, [], "{tool}");
        let mode = merged.kept.iter().find(|kept| kept.field == "spec.mode: production").unwrap();
        assert_eq!(mode.managers, ["tenantpricing-cli"], "{tool}");
    }
}

/// The patch of kubectl has `null` for the object, and names no field in it.
#[test]
fn client_side_apply_removes_an_object_as_a_whole() {
    let by_hand = json!({"manager": "tenantpricing-cli", "operation": "Update",
        "fieldsV1": {"f:spec": {"f:switch": {"f:notBefore": {}, "f:budget": {"f:count": {}}}}}});
    let cases = [
        // What goes, and what is beside it: the last manifest, the new one, what was stored, and what is left of it.
        (
            r#"{"at":"MonthStart"}"#,
            None,
            json!({"at": "MonthStart", "notBefore": "2030-01-01T00:00:00Z"}),
            Value::Null,
        ),
        (r#"{"budget":{"window":"1h"}}"#, None, json!({"budget": {"window": "1h", "count": 0}}), Value::Null),
        (
            r#"{"at":"MonthStart","budget":{"window":"1h"}}"#,
            Some(json!({"at": "MonthStart"})),
            json!({"at": "MonthStart", "budget": {"window": "1h", "count": 0}}),
            json!({"at": "MonthStart"}),
        ),
        (
            r#"{"at":"MonthStart"}"#,
            Some(json!({})),
            json!({"at": "MonthStart", "notBefore": "2030-01-01T00:00:00Z"}),
            json!({"notBefore": "2030-01-01T00:00:00Z"}),
        ),
    ];
    for (last, new, was, left) in cases {
        let last = format!(r#"{{"spec":{{"tenant":{{"name":"Acme"}},"switch":{last}}}}}"#);
        let mut stored = stored(&by_hand, Some(&last));
        stored["spec"]["switch"] = was;
        let new = new.map_or_else(|| json!({}), |switch| json!({ "switch": switch }));
        let merged = merge(&stored, &manifest(&new), None);
        assert_eq!(merged.value["spec"]["switch"], left, "{last}");
        assert_eq!(merged.unsure, [], "{last}");
        let keeps = left["notBefore"].is_string();
        assert_eq!(fields(&merged).iter().any(|field| field.contains("switch")), keeps, "{last}: {merged:?}");
    }
}

#[test]
fn what_two_own_stays_and_what_the_manifest_has_counts() {
    let tool = json!({"manager": "argocd-controller", "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:tenant": {}, "f:mode": {}, "f:suspend": {}}}});
    let merged = merge(&stored(&tool, None), &manifest(&json!({"suspend": false})), None);
    assert_eq!(merged.value["spec"]["mode"], "production");
    assert_eq!(merged.value["spec"]["suspend"], false);
    let trial = merge(&stored(&tool, None), &manifest(&json!({"mode": "trial"})), None);
    assert_eq!(trial.value["spec"]["mode"], "trial");
    assert!(!fields(&trial).contains(&"spec.mode: production"), "{trial:?}");
}

/// Before it applies, kustomize-controller makes the fields of these managers its own, except where a label or an
/// annotation says `Merge`.
#[test]
fn flux_removes_what_kubectl_set_and_the_manifest_lacks() {
    let by = |manager: &str, operation: &str, of_flux: &str| {
        let mut stored = stored(&owner(of_flux, "Apply"), None);
        let entry = &mut stored["metadata"]["managedFields"][1];
        (entry["manager"], entry["operation"]) = (json!(manager), json!(operation));
        stored
    };
    let stays = |stored: &Value, manifest: &Value| {
        let merged = merge(stored, manifest, None);
        assert_eq!(merged.unsure, []);
        merged.value["spec"]["mode"] == "production"
    };
    let cases = [
        ("kubectl", "Update", false),
        ("kubectl-edit", "Update", false),
        ("kubectl-patch", "Update", false),
        ("kubectl-client-side-apply", "Update", false),
        ("kubectl", "Apply", false),
        ("before-first-apply", "Update", false),
        ("kustomize-controller", "Update", false),
        ("before-first-apply", "Apply", true),
        ("my-kubectl", "Update", true),
        ("emergency-stop", "Update", true),
        ("tenantpricing-cli", "Update", true),
    ];
    let plain = manifest(&json!({}));
    for (manager, operation, expected) in cases {
        let stored = by(manager, operation, "kustomize-controller");
        assert_eq!(stays(&stored, &plain), expected, "{manager} {operation}");
        assert!(stays(&by(manager, operation, "argocd-controller"), &plain), "Argo CD removes its own alone");
        for kind in ["labels", "annotations"] {
            let (mut excepted, mut given) = (stored.clone(), plain.clone());
            excepted["metadata"][kind]["kustomize.toolkit.fluxcd.io/ssa"] = json!("merge");
            given["metadata"][kind]["kustomize.toolkit.fluxcd.io/ssa"] = json!("Merge");
            assert!(stays(&excepted, &plain) && stays(&stored, &given), "{manager} {operation} {kind}");
        }
    }
}

/// Helm 3 sends what differs between two releases. What a person set over the last one may stay.
#[test]
fn helm_3_may_leave_what_a_person_set_over_its_release() {
    for manager in ["helm", "helm-controller"] {
        let stored = stored(&owner(manager, "Update"), None);
        let trial = merge(&stored, &manifest(&json!({"mode": "trial"})), None);
        assert_eq!(trial.value["spec"]["mode"], "production", "the plan takes what switches first");
        let mode = trial.unsure.iter().find(|unsure| unsure.field == "spec.mode: production").unwrap();
        assert_eq!(mode.in_manifest.as_deref(), Some("spec.mode: trial"));
        assert_eq!(trial.value["spec"]["suspend"], Value::Null, "its own field goes");
        let left_out = merge(&stored, &manifest(&json!({})), None);
        assert_eq!(left_out.value["spec"]["mode"], "production");
        assert!(left_out.unsure.contains(&unsure("spec.mode: production")), "{left_out:?}");
        assert!(left_out.kept.is_empty(), "{left_out:?}");
    }
    // Server-side apply, as of Helm 4, forces its own value.
    let stored = stored(&owner("helm", "Apply"), None);
    let trial = merge(&stored, &manifest(&json!({"mode": "trial"})), None);
    assert_eq!((&trial.value["spec"]["mode"], &*trial.unsure), (&json!("trial"), &[][..]));
}

/// A person applies only `mode`, with server-side apply: that is not the tool of the manifest.
#[test]
fn a_second_applier_of_one_field_keeps_it() {
    let mut stored = stored(&owner("kustomize-controller", "Apply"), None);
    stored["metadata"]["managedFields"][1]["operation"] = json!("Apply");
    let merged = merge(&stored, &manifest(&json!({})), None);
    assert_eq!(merged.value["spec"]["mode"], "production");
}

#[test]
fn an_unknown_applier_lets_the_plan_take_what_switches_first() {
    let merged = merge(&stored(&owner("kubectl-create", "Update"), None), &manifest(&json!({})), None);
    assert_eq!(merged.value["spec"]["mode"], "production");
    assert_eq!(merged.value["spec"]["suspend"], Value::Null);
    // Without the month start, the switch is at once if the connection says so.
    assert_eq!(merged.value["spec"]["switch"], Value::Null);
    assert!(merged.unsure.contains(&unsure("spec.suspend: true")), "{merged:?}");
    assert!(merged.kept.is_empty(), "{merged:?}");
}

#[test]
fn an_unknown_applier_of_a_connection_opens_what_was_closed() {
    let spec = json!({"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "eu2"}});
    let metadata = json!({"name": "eu2", "namespace": "team"});
    let connection = |spec: &Value| {
        json!({"apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
               "metadata": metadata, "spec": spec})
    };
    let manifest = connection(&spec);
    let replacing = with_defaults(&manifest).unwrap();
    for (count, left) in [(0, Value::Null), (99, Value::Null), (500, json!({"budget": {"count": 500}}))] {
        let mut stopped = spec.clone();
        stopped["suspend"] = json!(true);
        stopped["switch"] = json!({"budget": {"count": count}});
        let merged = merge(&connection(&stopped), &manifest, Some(&replacing));
        assert_eq!(merged.value["spec"]["switch"], left, "{count}");
        assert_eq!(merged.value["spec"]["suspend"], Value::Null, "{count}");
        assert_eq!(merged.unsure.len(), 2, "{merged:?}");
    }
}

#[test]
fn a_field_with_its_default_is_no_remark() {
    let replacing = manifest(&json!({"connectionRef": {"name": "default"}, "suspend": false}));
    let merged =
        merge(&stored(&owner("kubectl-create", "Update"), None), &manifest(&json!({})), Some(&replacing));
    let about_connection =
        merged.unsure.iter().filter(|unsure| unsure.field.contains("connectionRef")).count();
    assert_eq!(about_connection, 0, "{merged:?}");
}

#[test]
fn an_atomic_field_is_replaced_as_a_whole() {
    let tool = json!({"manager": "flux", "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:tenant": {}, "f:connectionRef": {}}}});
    let mut stored = stored(&tool, None);
    stored["spec"]["connectionRef"] = json!({"name": "eu2", "namespace": "platform"});
    let merged = merge(&stored, &manifest(&json!({"connectionRef": {"name": "eu2"}})), None);
    assert_eq!(merged.value["spec"]["connectionRef"], json!({"name": "eu2"}));
}

#[test]
fn labels_of_others_stay() {
    let mut stored = stored(&owner("kustomize-controller", "Apply"), None);
    stored["metadata"]["labels"] = json!({"shard": "a", "team.example/x": "y"});
    let mut manifest = manifest(&json!({}));
    manifest["metadata"]["labels"] = json!({"shard": "b"});
    let merged = merge(&stored, &manifest, None);
    assert_eq!(merged.value["metadata"]["labels"], json!({"shard": "b", "team.example/x": "y"}));
}

/// What the API server sets is not taken from a manifest.
#[test]
fn a_manifest_sets_nothing_that_belongs_to_the_server() {
    let metadata = json!({
        "name": "acme", "namespace": "team", "uid": "forged", "resourceVersion": "7", "generation": 9,
        "creationTimestamp": "2020-01-01T00:00:00Z", "deletionTimestamp": "2026-11-01T00:00:00Z",
        "deletionGracePeriodSeconds": 0, "selfLink": "/x",
        "managedFields": [{"manager": "forged", "operation": "Apply"}],
        "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["example.com/x"],
    });
    let object: TenantPricing = serde_json::from_value(json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": metadata,
        "spec": {"tenant": {"name": "Acme"}, "mode": "production"},
        "status": {"observedGeneration": 9, "tenantId": "forged"},
    }))
    .unwrap();
    let connection: PlatformConnection = serde_json::from_value(json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection", "metadata": metadata,
        "spec": {"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "eu2"}},
        "status": {"observedGeneration": 9},
    }))
    .unwrap();
    let created = applied(None, object.clone());
    let of_connection = applied(None, connection);
    for metadata in [&created.metadata, &of_connection.metadata] {
        let as_json = serde_json::to_value(metadata).unwrap();
        let expected = json!({
            "name": "acme", "namespace": "team", "generation": 1, "labels": {"a": "b"},
            "annotations": {"c": "d"}, "finalizers": ["example.com/x"],
        });
        assert_eq!(as_json, expected);
    }
    assert!(created.status.is_none() && of_connection.status.is_none());
    let mut stored = created;
    stored.metadata.uid = Some("real".to_owned());
    stored.metadata.creation_timestamp = Some(time("2026-11-20T00:00:00Z"));
    let unchanged = applied(Some(&stored), object.clone());
    assert_eq!(unchanged.metadata.uid.as_deref(), Some("real"));
    assert_eq!(unchanged.metadata.creation_timestamp, stored.metadata.creation_timestamp);
    assert_eq!(
        (unchanged.metadata.deletion_timestamp.clone(), unchanged.metadata.generation),
        (None, Some(1))
    );
    let mut edited = object;
    edited.spec.suspend = true;
    assert_eq!(applied(Some(&stored), edited).metadata.generation, Some(2));
}
