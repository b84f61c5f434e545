//! `version`: what fits, and what does not.

use serde_json::{Value, json};

use super::check::{assert_finding, install, report};
use crate::harness::Test;

async fn version(test: &Test) -> Value {
    let arguments = ["version", "--controller-namespace", &test.namespace, "-o", "json"];
    let printed = test.plugin(&arguments, &[], "").await.success();
    serde_json::from_str(&printed).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_versions_in_the_cluster_are_compared() {
    const OWN: &str = env!("CARGO_PKG_VERSION");
    let test = Test::new("version").await;
    let none = version(&test).await;
    assert_eq!(
        (&none["client"], &none["controllers"], &none["fits"]),
        (&json!(OWN), &json!([]), &json!(true))
    );
    install(&test, &[]).await;
    let fit = version(&test).await;
    let deployment = format!("{}/tenant-pricing-controller", test.namespace);
    assert_eq!(fit["controllers"], json!([{"deployment": deployment, "version": OWN, "fits": true}]));
    assert_eq!(fit["crds"][0]["state"], "the one of this program");
    let image =
        json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "it:9.9.9"}]);
    let patch = ["patch", "deployment", "tenant-pricing-controller", "--type=json", "-p", &image.to_string()];
    test.kubectl(&patch).await.success();
    let arguments = ["version", "--controller-namespace", &test.namespace];
    let printed = test.plugin(&arguments, &[], "").await.success();
    let parts = ["Controller: 9.9.9 (", "They do not fit."];
    assert!(parts.iter().all(|part| printed.contains(part)), "{printed}");
    assert_finding(&report(&test).await, "controller-version", "warning", &["9.9.9"]);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_version_is_printed_without_a_cluster() {
    let test = Test::new("version-client").await;
    let nowhere = [("KUBECONFIG", "/nonexistent/kubeconfig")];
    let alone = test.plugin(&["version", "--client"], &nowhere, "").await.success();
    assert_eq!(alone, format!("Client:     {}\n", env!("CARGO_PKG_VERSION")));
    let yaml = test.plugin(&["version", "--client", "-o", "yaml"], &nowhere, "").await.success();
    assert!(yaml.contains("schema: tenantpricing.io/version/v1\n"), "{yaml}");
    let output = test.plugin(&["version"], &nowhere, "").await;
    assert_eq!((output.code, output.stdout), (1, alone));
    assert!(output.stderr.contains("not known") && output.stderr.contains("--client"), "{}", output.stderr);
    let reader = test.reader().await;
    let refused = reader.run(&["version"]).await;
    assert!(refused.code == 1 && refused.stderr.contains("403"), "{refused:?}");
    reader.wrote_nothing(0).await;
    test.finish().await;
}
