//! The documented stop of a connection outlasts the tools that apply the connection from Git.

use serde_json::{Value, json};

use super::{
    documents::{ROOT, collect, documents, read},
    runbook::{arguments, commands},
};
use crate::harness::Test;

const FLUX: &str = "kustomize-controller";
const SUSPENDS: &str = r#""suspend":true"#;

/// The commands of a page that patch a connection.
fn patches(page: &str) -> Vec<String> {
    commands(&read(page)).into_iter().filter(|line| line.contains(" patch pconn ")).collect()
}

/// The field manager that a command names.
fn manager(command: &str) -> Option<&str> {
    command.split_once("--field-manager=").and_then(|(_, rest)| rest.split(' ').next())
}

#[test]
fn each_documented_stop_names_a_manager_that_flux_leaves() {
    let mut found = 0;
    for page in documents().into_iter().chain(["hack/demo".to_owned()]) {
        let text = read(&page);
        for line in text.lines().filter(|line| line.contains("patch pconn") && line.contains(SUSPENDS)) {
            let manager = manager(line).unwrap_or_else(|| panic!("{page}: Flux undoes {line}"));
            assert!(!manager.starts_with("kubectl"), "{page}: Flux undoes {line}");
            found += 1;
        }
    }
    assert!(found >= 6, "only {found} stops were found");
}

#[test]
fn no_example_of_a_connection_has_a_tool_undo_a_stop() {
    let mut connections = 0;
    for folder in ["examples", "docs", "charts"] {
        collect(&std::path::Path::new(ROOT).join(folder), &mut |path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            for manifest in text.split("\n---").filter(|text| text.contains("kind: PlatformConnection\n")) {
                assert!(!manifest.contains("\n  suspend: false"), "{}: leave suspend out", path.display());
                connections += 1;
            }
        });
    }
    assert!(connections >= 4, "only {connections} examples were found");
}

/// Everything that either of two sets of managed fields has.
fn union(fields: &mut Value, other: &Value) {
    for (name, below) in other.as_object().unwrap() {
        union(fields.as_object_mut().unwrap().entry(name).or_insert_with(|| json!({})), below);
    }
}

/// A connection that Flux applies from Git.
struct FromGit<'a> {
    test: &'a Test,
    name: &'static str,
}

impl FromGit<'_> {
    async fn stored(&self) -> Value {
        let arguments = ["get", "pconn", self.name, "-o", "json", "--show-managed-fields"];
        serde_json::from_str(&self.test.kubectl(&arguments).await.success()).unwrap()
    }

    async fn is_suspended(&self) -> bool {
        self.stored().await["spec"]["suspend"].as_bool().unwrap()
    }

    async fn apply(&self, suspend: Option<bool>) {
        let mut manifest = json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection", "metadata": {"name": self.name},
            "spec": {"url": self.test.simulator.url(), "credentialsSecretRef": {"name": "platform-client"}},
        });
        if let Some(suspend) = suspend {
            manifest["spec"]["suspend"] = json!(suspend);
        }
        let manager = format!("--field-manager={FLUX}");
        let arguments = ["apply", "--server-side", "--force-conflicts", manager.as_str(), "-f", "-"];
        self.test.kubectl_with(&arguments, &manifest.to_string()).await.success();
    }

    /// What its kustomize-controller does at each reconcile: it takes over the fields of each manager whose name begins
    /// with `kubectl`, and applies the manifest (`PatchReplaceFieldsManagers` of github.com/fluxcd/pkg/ssa).
    async fn reconcile(&self, suspend: Option<bool>) {
        let stored = self.stored().await;
        let entries = stored["metadata"]["managedFields"].as_array().unwrap();
        let is_taken_over = |entry: &Value| {
            entry["subresource"].is_null() && entry["manager"].as_str().unwrap().starts_with("kubectl")
        };
        let (taken, mut others): (Vec<Value>, Vec<Value>) = entries.iter().cloned().partition(is_taken_over);
        let own = others.iter_mut().find(|entry| entry["manager"] == FLUX && entry["operation"] == "Apply");
        let own = &mut own.unwrap()["fieldsV1"];
        for entry in taken {
            union(own, &entry["fieldsV1"]);
        }
        let patch =
            json!([{"op": "replace", "path": "/metadata/managedFields", "value": others}]).to_string();
        let manager = format!("--field-manager={FLUX}");
        let arguments = ["patch", "pconn", self.name, "--type=json", manager.as_str(), "-p", patch.as_str()];
        self.test.kubectl(&arguments).await.success();
        self.apply(suspend).await;
    }

    /// Runs a command of a page on this connection.
    async fn run(&self, command: &str) {
        let here =
            command.replace("-n platform ", "").replace("pconn default ", &format!("pconn {} ", self.name));
        let arguments = arguments(here.strip_prefix("kubectl ").unwrap());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.test.kubectl(&arguments).await.success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_leaves_the_documented_stop_until_it_is_lifted() {
    let test = Test::new("stop-under-flux").await;
    let documented = patches("docs/operations.md");
    let [stop, lift] = documented.iter().filter(|line| line.contains("default")).collect::<Vec<_>>()[..]
    else {
        panic!("{documented:?}")
    };
    let connection = FromGit { test: &test, name: "default" };
    connection.apply(None).await;

    // An edit without the flag is undone, so the imitation of Flux is worth something.
    let (without, _) = stop.split_once("--field-manager").unwrap();
    connection.run(&format!(r#"{without}-p '{{"spec":{{"suspend":true}}}}'"#)).await;
    assert!(connection.is_suspended().await);
    connection.reconcile(None).await;
    assert!(!connection.is_suspended().await, "Flux leaves an edit by kubectl alone");

    connection.run(stop).await;
    connection.reconcile(None).await;
    assert!(connection.is_suspended().await, "Flux undoes {stop}");

    // The same edit in Git, and its removal: the stop stays until a person lifts it.
    connection.reconcile(Some(true)).await;
    connection.reconcile(None).await;
    assert!(connection.is_suspended().await);
    connection.run(lift).await;
    connection.reconcile(None).await;
    assert!(!connection.is_suspended().await);

    // A manifest that sets the field wins over a person.
    connection.run(stop).await;
    connection.reconcile(Some(false)).await;
    assert!(!connection.is_suspended().await);
    test.finish().await;
}
