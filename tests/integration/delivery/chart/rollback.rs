//! An upgrade that changes the CRDs, and the way back, under objects that have a status.

use std::{collections::BTreeMap, fs};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tenant_pricing_controller::api::TenantPricing;

use super::{CHART, HELMS};
use crate::harness::{Environment, Output};

const NAMESPACE: &str = "tenant-pricing-system";
const NAME: &str = "tenant-pricing-controller";
/// As many as a small fleet has.
const OBJECTS: usize = 1_000;

async fn run(helm: &str, cluster: &Environment, arguments: &[&str]) {
    cluster.run(helm, &[arguments, &["--namespace", NAMESPACE]].concat(), "").await.success();
}

/// A copy of the chart whose CRD has neither `spec.switch.notBefore` nor the short name of today.
// There is no tag yet. Once there is one, this is the chart of the last tag.
fn older_chart(cluster: &Environment) -> String {
    let copy = cluster.directory.join("older-crds");
    let copied = std::process::Command::new("cp").arg("-R").args([CHART.as_ref(), &*copy]).status().unwrap();
    assert!(copied.success());
    let file = copy.join("files/crds/tenantpricings.yaml");
    let mut crd: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let version = &mut crd["spec"]["versions"][0];
    let schema = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["switch"];
    // The rules speak of the field.
    schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
    assert!(schema["properties"].as_object_mut().unwrap().remove("notBefore").is_some());
    crd["spec"]["names"]["shortNames"] = json!(["older"]);
    fs::write(&file, serde_saphyr::to_string(&crd).unwrap()).unwrap();
    copy.display().to_string()
}

/// Objects that are switched, each with a status of its own.
async fn create_objects(objects: &Api<TenantPricing>) {
    let create = |number: usize| async move {
        let name = format!("tenant-{number}");
        let object: TenantPricing = serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": {"name": name},
            "spec": {"tenant": {"name": format!("Tenant {number}")}, "mode": "production"},
        }))
        .unwrap();
        match objects.create(&PostParams::default(), &object).await {
            // The client repeats a request that the API server answers late.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            created => drop(created?),
        }
        let status = json!({"status": {
            "observedGeneration": 1, "tenantId": format!("00000000-0000-4000-8000-{number:012}"),
            "observed": {"mode": "production"},
            "switch": {"phase": "Completed", "by": "Controller", "completedAt": "2026-11-28T12:00:00Z", "attempts": 1},
        }});
        objects.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await
    };
    let all = stream::iter((0..OBJECTS).map(create)).buffer_unordered(16);
    all.try_collect::<Vec<_>>().await.unwrap();
}

/// The status of each object, by name.
async fn statuses(objects: &Api<TenantPricing>) -> BTreeMap<String, Value> {
    let list = objects.list(&ListParams::default()).await.unwrap();
    let status = |object: &TenantPricing| serde_json::to_value(&object.status).unwrap();
    list.iter().map(|object| (object.metadata.name.clone().unwrap(), status(object))).collect()
}

async fn kubectl(cluster: &Environment, arguments: &[&str]) -> Output {
    cluster.run("kubectl", arguments, "").await
}

async fn short_name(cluster: &Environment) -> String {
    let path = "jsonpath={.spec.names.shortNames[*]}";
    kubectl(cluster, &["get", "crd", "tenantpricings.tenantpricing.io", "-o", path]).await.success()
}

async fn arguments(cluster: &Environment) -> String {
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    kubectl(cluster, &["get", "deployment", NAME, "-n", NAMESPACE, "-o", path]).await.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_crd_and_a_rollback_lose_no_status() {
    // On its own: it is about the CRDs.
    let cluster = Environment::alone().await;
    let older = older_chart(cluster);
    let client = kube::Client::try_from(cluster.client_config().await).unwrap();
    let objects: Api<TenantPricing> = Api::namespaced(client, "default");
    let mut expected = BTreeMap::new();
    for helm in HELMS {
        run(helm, cluster, &["install", NAME, &older, "--create-namespace"]).await;
        tokio::task::block_in_place(|| cluster.wait_for_crds()).unwrap();
        if expected.is_empty() {
            create_objects(&objects).await;
            expected = statuses(&objects).await;
            assert_eq!(expected.len(), OBJECTS);
            assert!(expected.values().all(|status| status["switch"]["phase"] == "Completed"));
        }
        assert_eq!(short_name(cluster).await, "older", "{helm}");
        let before = arguments(cluster).await;

        run(helm, cluster, &["upgrade", NAME, CHART, "--set", "logLevel=debug"]).await;
        assert_eq!(short_name(cluster).await, "tp", "{helm}");
        assert!(arguments(cluster).await.contains("--log-level=debug"), "{helm}");
        assert!(statuses(&objects).await == expected, "{helm} upgrade lost a status");

        run(helm, cluster, &["rollback", NAME, "1"]).await;
        assert_eq!(short_name(cluster).await, "older", "{helm}");
        assert_eq!(arguments(cluster).await, before, "{helm}");
        assert!(statuses(&objects).await == expected, "{helm} rollback lost a status");

        run(helm, cluster, &["uninstall", NAME]).await;
        assert!(statuses(&objects).await == expected, "{helm} uninstall lost a status");
    }

    // Without crds.keep they go with the release, as the notes say.
    run("helm", cluster, &["install", NAME, CHART, "--set", "crds.keep=false"]).await;
    run("helm", cluster, &["uninstall", NAME]).await;
    // The API server deletes the objects first, one after the other. On a busy machine that takes minutes.
    let gone = ["wait", "--for=delete", "--timeout=300s", "crd/tenantpricings.tenantpricing.io"];
    kubectl(cluster, &gone).await.success();
    assert_eq!(kubectl(cluster, &["get", "crd", "-o", "name"]).await.success(), "");
    cluster.end();
}
