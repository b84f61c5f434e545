//! Rights that a test grants.

use super::{PATIENCE, Test};

/// Lets the service account `controller` of `of` do its work in the namespace of `test`, by the rights that the chart
/// grants.
pub async fn give_rights(test: &Test, of: &str) {
    let account = format!("--serviceaccount={of}:controller");
    let bind = ["create", "rolebinding", "controller", "--clusterrole=controller", &account];
    test.kubectl(&bind).await.success();
}

/// Lets user `controller` hold a Lease of this name, as the chart does for a release of this name.
pub async fn give_lease(test: &Test, lease: &str) {
    let rules = ["--verb=get,update,watch", "--resource=leases", &format!("--resource-name={lease}")];
    test.kubectl(&[&["create", "role", lease], &rules[..]].concat()).await.success();
    let role = format!("--role={lease}");
    test.kubectl(&["create", "rolebinding", lease, &role, "--user=controller"]).await.success();
    let as_controller = format!("--kubeconfig={}", test.controller_options().kubeconfig.display());
    test.wait_for("it may get the Lease", PATIENCE, async || {
        let said = test.kubectl(&["get", "lease", lease, &as_controller]).await.failure();
        said.contains("NotFound").then_some(())
    })
    .await;
}
