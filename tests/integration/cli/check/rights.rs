//! Rights: those of the controller, and those of the user who installs.

use serde_json::{Value, json};
use tenant_pricing_controller::testing::rights::{
    CONTROLLER, INSTALLER_CLUSTER, INSTALLER_NAMESPACE, Right, USERS,
};

use super::{CHART, RELEASE, assert_finding, crds::check, install, parse, until};
use crate::harness::{Environment, Test};

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_was_taken_away_is_named() {
    let test = Test::new("check-rights").await;
    install(&test, &[]).await;
    until(&test, "controller-rights", "ok", &["all 15 rights"]).await;
    // The rule about the credentials, and one of those about the Lease.
    let without = json!([{"op": "remove", "path": "/rules/2"}]).to_string();
    let role = format!("{}:{RELEASE}", test.namespace);
    test.kubectl(&["patch", "role", &role, "--type=json", "-p", &without]).await.success();
    let account = format!("{}/{RELEASE}", test.namespace);
    let words = [&*format!("ServiceAccount {account} may not get secrets in namespace {}.", test.namespace)];
    let report = until(&test, "controller-rights", "error", &words).await;
    assert!(report["findings"].as_array().unwrap().iter().any(|finding| {
        finding["remedy"].as_str().is_some_and(|remedy| remedy.contains("rbac.create: true"))
    }));
    let lease = json!([{"op": "replace", "path": "/rules/1/verbs", "value": ["get", "watch"]}]).to_string();
    let of_lease = format!("{RELEASE}-lease");
    test.kubectl(&["patch", "role", &of_lease, "--type=json", "-p", &lease]).await.success();
    let missing = format!("update leases.coordination.k8s.io {}/{RELEASE}", test.namespace);
    until(&test, "controller-rights", "error", &["get secrets", &missing]).await;
    test.kubectl(&["delete", "rolebinding", &role]).await.success();
    until(&test, "controller-rights", "error", &["and 7 more"]).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_an_installation_the_users_own_rights_are_checked() {
    let test = Test::new("check-pre").await;
    let arguments = ["check", "--pre", "-n", &test.namespace, "-o", "json"];
    let report = parse(&test.plugin(&arguments, &[], "").await);
    assert_eq!((&report["errors"], &report["beforeInstallation"]), (&json!(0), &json!(true)), "{report:#}");
    assert_finding(&report, "installer-rights", "ok", &["all 25 rights", &test.namespace]);
    assert_finding(&report, "installer-grants", "ok", &[]);
    assert!(super::findings(&report, "connection-ready").is_empty(), "{report:#}");
    let absent = test.plugin(&["check", "--pre", "-n", "not-there-yet", "-o", "json"], &[], "").await;
    let words = ["all 26 rights", "not-there-yet. It does not exist: install with --create-namespace"];
    assert_finding(&parse(&absent), "installer-rights", "ok", &words);

    let reader = test.reader().await;
    let output = reader.run(&arguments).await;
    assert_eq!(output.code, 1);
    let report = parse(&output);
    let words =
        ["You may not create customresourcedefinitions.apiextensions.k8s.io in the cluster", "and 20 more"];
    assert_finding(&report, "installer-rights", "error", &words);
    assert_finding(&report, "installer-grants", "error", &["grant only rights that you have", "get secrets"]);
    assert_eq!(reader.reviews(0).await, ["selfsubjectaccessreviews.authorization.k8s.io".to_owned()].into());
    test.finish().await;
}

/// Helm installs the chart with the rights that `check --pre` asks for, and with no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_check_finds_able_can_install() {
    let cluster = Environment::alone().await;
    let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let rules = |rights: &mut dyn Iterator<Item = &Right>| -> Vec<Value> {
        rights
            .map(|right| {
                let resource = [right.resource, right.subresource].join("/");
                json!({"apiGroups": [right.group], "resources": [resource.trim_end_matches('/')], "verbs": [right.verb]})
            })
            .collect()
    };
    let everywhere = rules(&mut CONTROLLER.iter().chain(USERS).chain(INSTALLER_CLUSTER));
    let inside = rules(&mut INSTALLER_NAMESPACE.iter());
    let subjects = json!([{"kind": "User", "apiGroup": group, "name": "installer"}]);
    let name = json!({"name": "installer"});
    let in_system = json!({"name": "installer", "namespace": "system"});
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "system"}},
        {"apiVersion": api, "kind": "ClusterRole", "metadata": name, "rules": everywhere},
        {"apiVersion": api, "kind": "ClusterRoleBinding", "metadata": name, "subjects": subjects,
         "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "installer"}},
        {"apiVersion": api, "kind": "Role", "metadata": in_system, "rules": inside},
        {"apiVersion": api, "kind": "RoleBinding", "metadata": in_system, "subjects": subjects,
         "roleRef": {"apiGroup": group, "kind": "Role", "name": "installer"}},
    ]});
    cluster.run("kubectl", &["apply", "-f", "-"], &manifest.to_string()).await.success();
    let able = check(cluster, &["--pre", "-n", "system", "--as", "installer", "-o", "json"]).await;
    let report = parse(&able);
    assert_finding(&report, "installer-rights", "ok", &["all 25 rights"]);
    assert_finding(&report, "installer-grants", "ok", &["every right that the chart grants"]);
    let helm = ["install", RELEASE, CHART, "--namespace", "system", "--kube-as-user", "installer"];
    cluster.run("helm", &helm, "").await.success();
    cluster.end();
}
