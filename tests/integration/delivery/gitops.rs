//! The examples for Flux and Argo CD, and the objects that `tests/gitops` runs the code of these tools over.

mod accounts;

use std::{fs, path::Path, time::Duration};

use regex::Regex;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
    testing::golden,
};
use tokio::process::Command;

use super::documents::{ROOT, read};
use crate::harness::{PATIENCE, Test, has, run};

const EXAMPLES: &str = "examples/gitops";
/// The namespaces of the examples. The tests have one each.
const NAMESPACES: [&str; 2] = ["customers", "argocd"];
/// The folders of objects of our kinds.
const FOLDERS: [&str; 5] = ["tenant", "billed", "fleet/connection", "fleet/trial", "fleet/production"];
const SECRET: &str = "secrets/sops/platform-client.yaml";
const URL: &str = "https://eu2-cloud.acronis.com";
const ACME: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

/// A folder as Kustomize renders it, for the namespace of the test.
async fn rendered(test: &Test, folder: &Path) -> String {
    let manifests = test.kubectl(&["kustomize", folder.to_str().unwrap()]).await.success();
    in_namespace(&manifests, &test.namespace)
}

fn in_namespace(text: &str, namespace: &str) -> String {
    NAMESPACES.iter().fold(text.to_owned(), |text, of_the_example| {
        text.replace(&format!("namespace: {of_the_example}\n"), &format!("namespace: {namespace}\n"))
    })
}

fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

async fn accepted(test: &Test, manifests: &str) {
    test.kubectl_with(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], manifests)
        .await
        .success();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_the_examples_for_gitops() {
    let test = Test::new("gitops-examples").await;
    let examples = Path::new(ROOT).join(EXAMPLES);
    for folder in FOLDERS.iter().chain(&["argo-cd"]) {
        accepted(&test, &rendered(&test, &examples.join(folder)).await).await;
    }
    let secret = read(&format!("{EXAMPLES}/{SECRET}"));
    accepted(&test, &in_namespace(&secret, &test.namespace)).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_component_sets_what_it_is_named_for() {
    let test = Test::new("gitops-components").await;
    let fleet = test.directory().join("fleet");
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(Path::new(ROOT).join(EXAMPLES).join("fleet")).arg(&fleet);
    run(copy, "").await.success();
    let file = fleet.join("production/kustomization.yaml");
    let kustomization = fs::read_to_string(&file).unwrap();
    for (components, spec) in [
        ("", json!({})),
        ("components: [../components/production]", json!({"mode": "production"})),
        ("components: [../components/month-start]", json!({"switch": {"at": "MonthStart"}})),
        ("components: [../components/hold]", json!({"suspend": true})),
    ] {
        let (without, _) = kustomization.split_once("components:").unwrap();
        fs::write(&file, format!("{without}{components}\n")).unwrap();
        let tenants = objects(&rendered(&test, &fleet.join("production")).await);
        assert_eq!(tenants.len(), 2);
        for mut tenant in tenants {
            tenant["spec"].as_object_mut().unwrap().remove("tenant").unwrap();
            let connection = tenant["spec"].as_object_mut().unwrap().remove("connectionRef");
            assert_eq!(connection, Some(json!({"name": "fleet"})));
            assert_eq!(tenant["spec"], spec, "{components}");
        }
    }
    test.finish().await;
}

/// Two Kustomizations or Applications that apply one object change it to and fro, and each may prune it.
#[tokio::test(flavor = "multi_thread")]
async fn no_two_folders_of_the_examples_have_an_object_in_common() {
    let test = Test::new("gitops-folders").await;
    let mut owners = std::collections::BTreeMap::new();
    for folder in FOLDERS {
        for object in objects(&rendered(&test, &Path::new(ROOT).join(EXAMPLES).join(folder)).await) {
            let name = format!("{}/{}", object["kind"], object["metadata"]["name"]);
            let other = owners.insert(name.clone(), folder);
            assert_eq!(other, None, "{folder} has {name} as well");
        }
    }
    // Flux and Argo CD apply each folder once.
    let manifests = ["flux/tenant.yaml", "flux/fleet.yaml", "flux/after-the-switch.yaml"]
        .map(|file| read(&format!("{EXAMPLES}/{file}")))
        .join("---\n");
    let paths: Vec<Value> = objects(&manifests).iter().map(|object| object["spec"]["path"].clone()).collect();
    assert!(
        paths.len() >= 6 && paths.iter().all(|path| paths.iter().filter(|other| *other == path).count() == 1)
    );
    // An object that moves between the folders of a fleet is never pruned in between.
    for object in objects(&read(&format!("{EXAMPLES}/flux/fleet.yaml"))) {
        if ["trial", "production"].map(Value::from).contains(&object["metadata"]["name"]) {
            assert_eq!(object["spec"]["prune"], false, "{object}");
        }
    }
    test.finish().await;
}

/// What the unit tests keep is what the API server stores: it drops, adds and refuses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_stored_as_the_golden_files_have_it() {
    let test = Test::new("gitops-states").await;
    for kind in ["tenantpricings", "platformconnections"] {
        let mut lines = read(&format!("tests/gitops/states/{kind}.jsonl"));
        lines.push_str(&read(&format!("tests/gitops/states/unreadable-{kind}.jsonl")));
        let states: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let items: Vec<Value> = states
            .iter()
            .map(|state| {
                let mut object = state.clone();
                object["metadata"] = json!({"name": state["metadata"]["name"]});
                object
            })
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        test.kubectl_with(&["create", "--validate=strict", "-f", "-"], &list).await.success();
        for state in &states {
            let name = state["metadata"]["name"].as_str().unwrap();
            let patch = json!({"status": state["status"]});
            match kind {
                "tenantpricings" => test.edit_status::<TenantPricing>(name, patch).await,
                _ => test.edit_status::<PlatformConnection>(name, patch).await,
            }
        }
        let stored = test.kubectl(&["get", kind, "-o", "json"]).await.success();
        let stored: Value = serde_json::from_str(&stored).unwrap();
        let stored = stored["items"].as_array().unwrap();
        assert_eq!(stored.len(), states.len());
        for state in &states {
            let name = &state["metadata"]["name"];
            let stored = stored.iter().find(|object| object["metadata"]["name"] == *name).unwrap();
            assert_eq!((&stored["status"], &stored["spec"]), (&state["status"], &state["spec"]), "{name}");
        }
    }
    test.finish().await;
}

/// The target and the stored object, without what differs from run to run.
fn pair(test: &Test, moment: &str, target: &Value, live: &Value) -> String {
    let mut pair = json!({"moment": moment, "target": target, "live": live});
    pair["live"]["metadata"]["resourceVersion"] = json!("1");
    let printed = pair.to_string().replace(&test.simulator.url(), URL).replace(&test.namespace, "customers");
    let times = Regex::new(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}([.][0-9]+)?Z").unwrap();
    let ids = Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let printed = times.replace_all(&printed, "2026-12-01T00:00:00Z");
    let printed = ids.replace_all(&printed, |id: &regex::Captures<'_>| match &id[0] {
        ACME => ACME,
        _ => "00000000-0000-4000-8000-000000000000",
    });
    format!("{printed}\n")
}

async fn pairs(test: &Test, moment: &str, targets: &[Value]) -> String {
    let mut pairs = String::new();
    for target in targets {
        let kind = target["kind"].as_str().unwrap();
        let name = target["metadata"]["name"].as_str().unwrap();
        let arguments = ["get", kind, name, "-o", "json", "--show-managed-fields"];
        let live = serde_json::from_str(&test.kubectl(&arguments).await.success()).unwrap();
        pairs.push_str(&pair(test, moment, target, &live));
    }
    pairs
}

/// One tenant of the examples, applied in this way: right after that, after the switch, and after a restart.
async fn live(manner: &str, arguments: &[&str]) -> String {
    let test = Test::new(&format!("gitops-{manner}")).await;
    let tenant = TenantSpec { id: Some(ACME.to_owned()), ..TenantSpec::customer("Acme GmbH") };
    test.simulator.add_tenant(tenant);
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    test.secret("platform-client", json!({"clientId": id, "clientSecret": secret})).await;
    let manifests = rendered(&test, &Path::new(ROOT).join(EXAMPLES).join("tenant")).await;
    let manifests = manifests.replace(URL, &test.simulator.url());
    test.kubectl_with(arguments, &manifests).await.success();
    let targets = objects(&manifests);
    let mut all = pairs(&test, &format!("{manner}, applied"), &targets).await;

    // Its day comes in some seconds. A request to reconcile would be one more edit.
    test.set_time("2026-11-30T23:59:50Z".parse().unwrap());
    let first = test.controller().await;
    let is_switched =
        |object: &TenantPricing| has(object, "Production", "True") && has(object, "Ready", "True");
    test.until_within(2 * PATIENCE, "acme", "is switched", is_switched).await;
    test.until_counted("default", 0, 1).await;
    all.push_str(&pairs(&test, &format!("{manner}, switched"), &targets).await);

    first.terminate().await;
    assert_eq!(first.wait(Duration::from_secs(25)).await, Some(0));
    test.controller().await;
    test.until_calm(Duration::from_secs(3)).await;
    all.push_str(&pairs(&test, &format!("{manner}, restarted"), &targets).await);
    test.finish().await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn live_objects_are_as_the_golden_file_has_them() {
    const SERVER_SIDE: &[&str] = &["apply", "--server-side", "--field-manager=argocd-controller", "-f", "-"];
    let (client_side, server_side) =
        tokio::join!(live("client-side", &["apply", "-f", "-"]), live("server-side", SERVER_SIDE));
    golden::compare("tests/gitops/live.jsonl", &(client_side + &server_side))
        .unwrap_or_else(|error| panic!("{error}"));
}
