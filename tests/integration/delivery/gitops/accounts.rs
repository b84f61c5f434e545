//! The accounts of the examples may apply the examples.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    super::documents::{ROOT, read},
    EXAMPLES, FOLDERS, SECRET, in_namespace, objects, rendered,
};
use crate::harness::{CHART, PATIENCE, Test};

/// The accounts, with the file of each and a file that names it.
const ACCOUNTS: [(&str, &str, &str); 2] = [
    ("flux/account.yaml", "pricing-reconciler", "flux/tenant.yaml"),
    ("argo-cd/account.yaml", "pricing-deployer", "argo-cd/project.yaml"),
];

/// The rules that the kube-controller-manager, which the tests do not have, aggregates into the `ClusterRole` `admin`.
async fn admin(test: &Test) -> Value {
    let listed = test.kubectl(&["get", "clusterroles", "-o", "json"]).await.success();
    let stored: Value = serde_json::from_str(&listed).unwrap();
    let template = ["template", "it", CHART, "--show-only", "templates/userroles.yaml"];
    let of_the_chart = objects(&test.helm(&template).await.success());
    let is_part = |role: &&Value| {
        let labels = &role["metadata"]["labels"];
        ["view", "edit", "admin"]
            .iter()
            .any(|whole| labels[format!("rbac.authorization.k8s.io/aggregate-to-{whole}")] == "true")
    };
    let parts = stored["items"].as_array().unwrap().iter().chain(&of_the_chart).filter(is_part);
    let rules: Vec<Value> =
        parts.flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default()).collect();
    assert!(rules.len() > 10, "only {} rules", rules.len());
    json!(rules)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_of_the_examples_may_apply_them() {
    let test = Test::new("gitops-accounts").await;
    // In place of the `ClusterRole`, which belongs to all tests.
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "admin"},
        "rules": admin(&test).await});
    test.apply(&role.to_string()).await;
    let mut applied = vec![in_namespace(&read(&format!("{EXAMPLES}/{SECRET}")), &test.namespace)];
    for folder in FOLDERS {
        applied.push(rendered(&test, &Path::new(ROOT).join(EXAMPLES).join(folder)).await);
    }
    for (file, account, user) in ACCOUNTS {
        let names_it = read(&format!("{EXAMPLES}/{user}")).contains(&format!(": {account}\n"));
        assert!(names_it, "{user} does not name {account}");
        let manifest = in_namespace(&read(&format!("{EXAMPLES}/{file}")), &test.namespace);
        let manifest = manifest.replace("kind: ClusterRole\n", "kind: Role\n");
        test.kubectl_with(&["apply", "--validate=strict", "-f", "-"], &manifest).await.success();
        let who = format!("--as=system:serviceaccount:{}:{account}", test.namespace);
        let may = async |verb: &str, resource: &str| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let subresource = format!("--subresource={subresource}");
            let answer = test.kubectl(&["auth", "can-i", verb, resource, &subresource, &who]).await;
            answer.stdout.trim() == "yes"
        };
        test.wait_for("the account has its rights", PATIENCE, async || {
            may("get", "secrets").await.then_some(())
        })
        .await;
        for manifests in &applied {
            let apply = ["apply", "--server-side", "--dry-run=server", &who, "-f", "-"];
            test.kubectl_with(&apply, manifests).await.success();
        }
        for resource in ["tenantpricings.tenantpricing.io", "platformconnections.tenantpricing.io", "secrets"]
        {
            for verb in ["get", "list", "watch", "create", "patch", "delete"] {
                assert!(may(verb, resource).await, "{account} may not {verb} {resource}");
            }
        }
        // docs/authorization.md warns of this.
        assert!(may("impersonate", "serviceaccounts").await);
        // A right of its own starts billing, and the status is the controller's.
        for (verb, subresource) in [("switch", ""), ("patch", "/status")] {
            let resource = format!("tenantpricings.tenantpricing.io{subresource}");
            assert!(!may(verb, &resource).await, "{account} may {verb} {resource}");
        }
    }
    test.finish().await;
}
