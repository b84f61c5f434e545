//! Rights that a test grants.

use serde_json::json;

use super::Test;

/// Lets the service account `controller` of `of` do its work in the namespace of `test`.
pub async fn give_rights(test: &Test, of: &str) {
    let verbs = json!(["get", "list", "watch", "patch", "create", "update"]);
    let resources = json!({
        "tenantpricing.io": ["tenantpricings", "tenantpricings/status",
                             "platformconnections", "platformconnections/status"],
        "events.k8s.io": ["events"], "": ["secrets", "namespaces"], "coordination.k8s.io": ["leases"],
    });
    let rules: Vec<_> = resources
        .as_object()
        .unwrap()
        .iter()
        .map(|(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs}))
        .collect();
    let name = json!({"name": "controller"});
    let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": api, "kind": "Role", "metadata": name, "rules": rules},
        {"apiVersion": api, "kind": "RoleBinding", "metadata": name,
         "roleRef": {"apiGroup": group, "kind": "Role", "name": "controller"},
         "subjects": [{"kind": "ServiceAccount", "name": "controller", "namespace": of}]},
    ]});
    test.apply(&manifest.to_string()).await;
}
