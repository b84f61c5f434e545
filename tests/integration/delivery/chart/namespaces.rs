//! A release in a cluster that has the CRDs, bound to its namespaces.

use serde_json::{Value, json};
use tenant_pricing_controller::simulator::TenantSpec;

use super::{CHART, Release, rights};
use crate::harness::Test;

/// The controller gets no right in any other namespace.
#[tokio::test(flavor = "multi_thread")]
async fn roles_in_the_watched_namespaces_suffice() {
    let test = Test::new("chart-namespaced").await;
    // The connections' namespace, which the release shares.
    let platform = format!("{}-platform", test.namespace);
    test.kubectl(&["create", "namespace", &platform]).await.success();
    let fullname = format!("{platform}-tenant-pricing-controller");
    let release = Release { namespace: &platform, fullname: &fullname };
    let watched = format!("watchNamespaces={{{platform},{}}}", test.namespace);
    let hosts = format!("allowedHosts[0]={}", test.simulator.url());
    let arguments = ["install", &platform, CHART, "--namespace", &platform, "--set", "crds.enabled=false"];
    let notes = test.helm(&[&arguments, &["--set", &watched, "--set", &hosts][..]].concat()).await.success();
    assert!(notes.contains(&format!("It watches {platform}, {}", test.namespace)), "{notes}");

    for manifest in manifests_in(&notes) {
        test.kubectl_with(&["apply", "--dry-run=server", "-f", "-"], manifest).await.success();
    }

    rights::are_exactly_those_needed(&test, &release, &platform, false).await;
    rights::are_exactly_those_needed(&test, &release, &test.namespace, false).await;
    rights::are_none(&test, &release, "default").await;

    // A selector, for which the label of the other namespace is read with the right of a Role.
    let labels = json!({"kubernetes.io/metadata.name": test.namespace});
    let allowed = json!({"from": "Selector", "selector": {"matchLabels": labels}});
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client", "namespace": platform},
         "stringData": {"clientId": id, "clientSecret": secret}},
        {"apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
         "metadata": {"name": "eu2", "namespace": platform},
         "spec": {"url": test.simulator.url(), "credentialsSecretRef": {"name": "client"},
                  "allowedNamespaces": allowed}},
    ]});
    test.apply(&objects.to_string()).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let reference = json!({"connectionRef": {"name": "eu2", "namespace": platform}});
    rights::suffice_for_a_switch(&test, &release, &tenant, reference).await;
    // The verdict covers the test's namespace only.
    let connection = test.kubectl(&["get", "pconn", "--namespace", &platform, "-o", "json"]).await.success();
    assert!(!connection.contains(&secret), "the secret stands in the connection");
    test.finish().await;
}

/// The manifests that NOTES.txt tells the user to apply; at least two.
fn manifests_in(notes: &str) -> Vec<&str> {
    let manifests: Vec<_> =
        notes.split("<<MANIFEST\n").skip(1).map(|rest| rest.split_once("MANIFEST").unwrap().0).collect();
    assert_eq!(manifests.len(), 2, "{notes}");
    manifests
}

/// The pod of a release with these values besides, with no right but what a user adds.
async fn pod(test: &Test, values: &str) -> Value {
    let common = "crds.enabled=false,fullnameOverride=controller,rbac.create=false,rbac.userRoles=false";
    let values = format!("{common},{values}");
    let arguments = ["upgrade", "--install", "it", CHART, "--set", values.trim_end_matches(',')];
    test.helm(&arguments).await.success();
    let deployment = test.kubectl(&["get", "deployment", "controller", "-o", "json"]).await.success();
    let deployment: Value = serde_json::from_str(&deployment).unwrap();
    let spec = &deployment["spec"]["template"]["spec"];
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "pod-"}, "spec": spec})
}

/// A namespace that enforces the standard admits the pod, whatever a user adds to it.
#[tokio::test(flavor = "multi_thread")]
async fn the_pod_meets_the_restricted_standard() {
    let test = Test::new("chart-restricted").await;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    test.kubectl(&["label", "namespace", &test.namespace, enforce]).await.success();
    let create = async |pod: &Value| test.kubectl_with(&["create", "-f", "-"], &pod.to_string()).await;
    let added = "hostAliases[0].ip=192.0.2.1,hostAliases[0].hostnames={eu2.example},extraEnv[0].name=A,\
                 extraVolumes[0].name=own,extraVolumes[0].emptyDir.medium=Memory,\
                 extraVolumeMounts[0].name=own,extraVolumeMounts[0].mountPath=/own";
    create(&pod(&test, added).await).await.success();
    let mut pod = pod(&test, "").await;
    assert_eq!(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    create(&pod).await.success();

    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
    let message = create(&pod).await.failure();
    assert!(
        message.contains("violates PodSecurity \"restricted:latest\": unrestricted capabilities"),
        "{message}"
    );
    test.finish().await;
}

/// The constraint `restricted-v2` sets a user, a group for files and a security label from the range of the namespace,
/// and refuses a pod that asks for others.
#[tokio::test(flavor = "multi_thread")]
async fn openshift_can_give_the_pod_a_user_of_its_own() {
    let test = Test::new("chart-openshift").await;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    test.kubectl(&["label", "namespace", &test.namespace, enforce]).await.success();
    let mut pod = pod(&test, "").await;
    let written = pod.to_string();
    for asked in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions", "hostPort"] {
        assert!(!written.contains(&format!("\"{asked}\"")), "the pod asks for {asked}: {written}");
    }
    let given = &mut pod["spec"]["securityContext"];
    given["fsGroup"] = json!(1_000_650_000);
    given["seLinuxOptions"] = json!({"level": "s0:c26,c5"});
    pod["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(1_000_650_000);
    test.kubectl_with(&["create", "-f", "-"], &pod.to_string()).await.success();
    test.finish().await;
}
