//! Golden files with objects as they are stored, one a line. `tests/gitops` runs GitOps tools over them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::golden;

/// The name of a state, from the conditions of an object: `stalled-tenant-locked-production-false`.
/// An object without conditions has not been read.
fn name(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let find = |kind: &str| conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
    let Some(ready) = find("Ready") else { return "not-read".to_owned() };
    let kind = ["Stalled", "Reconciling"].into_iter().find(|kind| find(kind).is_some()).unwrap_or("Ready");
    if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
        return format!("{}-outdated", kebab(kind));
    }
    let mut words = vec![kebab(kind), kebab(ready["reason"].as_str().unwrap_or_default())];
    if let Some(production) = find("Production") {
        words.push(kebab(&format!("Production{}", production["status"].as_str().unwrap_or_default())));
    }
    words.join("-")
}

fn kebab(words: &str) -> String {
    let separated = words.char_indices().map(|(at, letter)| {
        let dash = if at > 0 && letter.is_ascii_uppercase() { "-" } else { "" };
        format!("{dash}{}", letter.to_ascii_lowercase())
    });
    separated.collect()
}

/// Objects by the names of their states. The first object of a state counts.
#[derive(Default)]
pub(crate) struct States(BTreeMap<String, Value>);

impl States {
    pub(crate) fn add(&mut self, object: &impl Serialize) {
        let object = json!(object);
        self.add_as(name(&object), object);
    }

    pub(crate) fn add_as(&mut self, name: String, mut object: Value) {
        object["metadata"] = json!({
            "name": name, "namespace": "customers", "generation": object["metadata"]["generation"],
            "deletionTimestamp": object["metadata"].get("deletionTimestamp"),
        });
        object["metadata"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.0.entry(name).or_insert(object);
    }

    /// Whether an object has this reason in its condition `Ready`.
    pub(crate) fn have(&self, reason: &str) -> bool {
        let is_it = |condition: &Value| condition["type"] == "Ready" && condition["reason"] == reason;
        self.0
            .values()
            .any(|object| object["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(is_it)))
    }

    /// Compares the objects with a golden file.
    ///
    /// # Panics
    /// Panics with the differences.
    pub(crate) fn compare(&self, file: &str) {
        let lines: Vec<String> = self.0.values().map(Value::to_string).collect();
        golden::compare(&format!("tests/gitops/states/{file}.jsonl"), &(lines.join("\n") + "\n"))
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
