//! Rights that a test grants.

use serde_json::{Value, json};

use super::{PATIENCE, Test};

const GROUP: &str = "rbac.authorization.k8s.io";
const API: &str = "rbac.authorization.k8s.io/v1";

/// Lets the service account `controller` of `of` do its work in the namespace of `test`, by the rights that the chart
/// grants.
pub async fn give_rights(test: &Test, of: &str) {
    let account = json!({"kind": "ServiceAccount", "name": "controller", "namespace": of});
    test.apply(&binding("controller", "ClusterRole", &account).to_string()).await;
}

/// Lets user `controller` hold a Lease of this name, as the chart does for a release of this name.
pub async fn give_lease(test: &Test, lease: &str) {
    let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [lease],
        "verbs": ["get", "update", "watch"]}]);
    let role = json!({"apiVersion": API, "kind": "Role", "metadata": {"name": lease}, "rules": rules});
    test.apply(&role.to_string()).await;
    let user = json!({"apiGroup": GROUP, "kind": "User", "name": "controller"});
    test.apply(&binding(lease, "Role", &user).to_string()).await;
    let as_controller = format!("--kubeconfig={}", test.controller_options().kubeconfig.display());
    test.wait_for("it may get the Lease", PATIENCE, async || {
        let said = test.kubectl(&["get", "lease", lease, &as_controller]).await.failure();
        said.contains("NotFound").then_some(())
    })
    .await;
}

/// A binding with the name of its role.
fn binding(name: &str, kind: &str, subject: &Value) -> Value {
    json!({"apiVersion": API, "kind": "RoleBinding", "metadata": {"name": name}, "subjects": [subject],
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name}})
}
