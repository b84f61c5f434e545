//! Whole renders, for review and for the API server.
//!
//! `UPDATE_GOLDEN=1` writes the golden files. The CRDs are left out: that they are the generated ones is a test of its
//! own.

use serde_json::{Value, json};
use tenant_pricing_controller::testing::golden;

use super::values::{ALTERNATIVES, EVERYTHING, template};
use crate::harness::Test;

/// The namespaces of the objects in the renders.
const NAMESPACES: [&str; 5] = ["tenant-pricing-system", "billing", "platform", "customers", "2024"];

/// Sets of values by name, as arguments of `helm template`.
fn sets() -> [(&'static str, [&'static str; 2]); 10] {
    [
        ("defaults", ["--set", ""]),
        ("everything", ["--values", EVERYTHING]),
        ("alternatives", ["--values", ALTERNATIVES]),
        ("authorization", ["--set", "switchAuthorization.enabled=true"]),
        ("namespaced", ["--set", "watchNamespaces={platform,customers}"]),
        ("three-replicas", ["--set", "replicaCount=3"]),
        // YAML reads each of these names as something else than a string.
        (
            "numbers",
            [
                "--set-string",
                "fullnameOverride=123,nameOverride=007,namespaceOverride=2024,serviceAccount.name=1e3",
            ],
        ),
        (
            "openshift",
            [
                "--set",
                "image.registry=image-registry.openshift-image-registry.svc:5000,image.repository=platform/controller",
            ],
        ),
        (
            "monitoring",
            [
                "--set",
                "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.release=prometheus,metrics.\
                 prometheusRule.enabled=true",
            ],
        ),
        (
            "network-policy",
            [
                "--set",
                "networkPolicy.enabled=true,allowedHosts={*.acronis.com,cloud.example.com:8443},networkPolicy.ingress.\
                 from[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=monitoring",
            ],
        ),
    ]
}

/// The manifests of one set, as text, without the CRDs.
async fn render(test: &Test, values: [&str; 2]) -> String {
    let arguments = [&["--namespace", NAMESPACES[0]], &values[..]].concat();
    let rendered = template(test, &arguments).await.success();
    let manifests = rendered.split("---\n").filter(|manifest| !manifest.contains("/templates/crds.yaml\n"));
    let manifests = manifests.map(str::trim_end).filter(|manifest| !manifest.is_empty());
    manifests.flat_map(|manifest| ["---\n", manifest, "\n"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn renders_are_those_that_were_reviewed() {
    let test = Test::new("chart-golden").await;
    for (name, values) in sets() {
        let path = format!("tests/integration/delivery/chart/golden/{name}.yaml");
        golden::compare(&path, &render(&test, values).await).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Every object of a built-in kind. No field is unknown, and no value invalid.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_every_render() {
    let test = Test::new("chart-dry-run").await;
    let namespaces =
        NAMESPACES.map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    test.apply(&json!({"apiVersion": "v1", "kind": "List", "items": namespaces}).to_string()).await;
    for (name, values) in sets() {
        let rendered = render(&test, values).await;
        let mut manifests: Vec<Value> = serde_saphyr::from_multiple(&rendered).unwrap();
        manifests.retain(|manifest| manifest["apiVersion"] != "monitoring.coreos.com/v1");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": manifests}).to_string();
        let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let accepted = test.kubectl_with(&apply, &list).await.success();
        assert_eq!(accepted.lines().count(), manifests.len(), "{name}: {accepted}");
    }
    // What is accepted is checked: a field that does not exist is refused.
    let unknown =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}});
    let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let message = test.kubectl_with(&apply, &unknown.to_string()).await.failure();
    assert!(message.contains("unknown field \"spec.prots\""), "{message}");
}
