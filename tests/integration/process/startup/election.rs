//! A Lease that cannot be held.

use std::net::TcpListener;

use serde_json::json;

use super::{ends_at_once, until_logged, until_readyz};
use crate::harness::{Controller, PATIENCE, Test};

const LEADS: &str = "became leader";

/// A `ServiceAccount` that may read what the controller reads, with these rights to Leases of the namespace.
async fn account(test: &Test, lease_verbs: &[&str]) -> std::path::PathBuf {
    let subject = json!([{"kind": "ServiceAccount", "name": "limited", "namespace": test.namespace}]);
    let meta = |name: &str| json!({"name": name, "namespace": test.namespace});
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let mut rules =
        vec![rule("tenantpricing.io", &["tenantpricings", "platformconnections"], &["list", "watch"])];
    if !lease_verbs.is_empty() {
        rules.push(rule("coordination.k8s.io", &["leases"], lease_verbs));
    }
    let items = json!([
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("limited")},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta("limited"), "rules": rules},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta("limited"),
         "subjects": subject,
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"}},
    ]);
    test.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).await;
    test.service_account_kubeconfig("limited").await
}

fn never_stood_by(controller: &Controller) {
    assert!(!controller.log().contains("standing by"), "{}", controller.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_lease_namespace_is_a_warning_until_it_exists() {
    let test = Test::new("lease-namespace").await;
    let missing = format!("{}-later", test.namespace);
    let mut options = test.controller_options();
    options.lease_namespace.clone_from(&missing);
    let controller = test.start_controller(&options);
    let sentence = format!("namespace {missing:?} does not exist");
    let warning = until_logged(&test, &controller, "WARN", &sentence).await;
    assert!(warning["reason"].as_str().unwrap().contains("--lease-namespace"), "{warning}");
    until_readyz(&test, &controller, 503, &sentence).await;
    never_stood_by(&controller);
    test.kubectl(&["create", "namespace", &missing]).await.success();
    until_logged(&test, &controller, "INFO", LEADS).await;
    until_readyz(&test, &controller, 200, "ok").await;
    test.kubectl(&["delete", "namespace", &missing, "--wait=false"]).await.success();
    test.finish().await;
}

/// It ends at once on SIGTERM.
#[tokio::test(flavor = "multi_thread")]
async fn without_lease_permissions_it_is_not_ready() {
    let test = Test::new("lease-right").await;
    let mut options = test.controller_options();
    options.kubeconfig = account(&test, &[]).await;
    let controller = test.start_controller(&options);
    until_logged(&test, &controller, "WARN", "does not allow to get Lease").await;
    until_readyz(&test, &controller, 503, "does not allow to get Lease").await;
    never_stood_by(&controller);
    ends_at_once(&controller).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_renew_it_warns_and_is_not_ready() {
    let test = Test::new("lease-renew").await;
    let mut options = test.controller_options();
    options.kubeconfig = account(&test, &["get", "create", "update", "watch"]).await;
    let controller = test.start_controller(&options);
    until_logged(&test, &controller, "INFO", LEADS).await;
    account(&test, &["get", "create", "watch"]).await;
    until_logged(&test, &controller, "WARN", "does not allow to update Lease").await;
    until_readyz(&test, &controller, 503, "does not allow to update Lease").await;
    account(&test, &["get", "create", "update", "watch"]).await;
    until_readyz(&test, &controller, 200, "ok").await;
    never_stood_by(&controller);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_out_of_reach_does_not_delay_the_end() {
    let test = Test::new("out-of-reach").await;
    // One that takes connections and never answers, and one where no one listens.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kubeconfig = std::fs::read_to_string(test.controller_options().kubeconfig).unwrap();
    let server =
        kubeconfig.split("https://").nth(1).unwrap().split(['"', '\n', ',', '}']).next().unwrap().to_owned();
    let mut controllers = Vec::new();
    for address in [deaf.local_addr().unwrap(), closed] {
        let path = test.directory().join(format!("{}.kubeconfig", address.port()));
        std::fs::write(&path, kubeconfig.replace(&server, &address.to_string())).unwrap();
        controllers.push(test.start_controller(&test.controller_options().through(path)));
    }
    let [deaf_to_it, refused] = &controllers[..] else { unreachable!() };
    test.wait_for("admin server listening", PATIENCE, async || deaf_to_it.admin_address()).await;
    until_logged(&test, refused, "WARN", "the Lease cannot be taken").await;
    // A second signal changes nothing.
    refused.terminate().await;
    ends_at_once(refused).await;
    ends_at_once(deaf_to_it).await;
    test.finish().await;
}
