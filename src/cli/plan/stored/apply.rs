//! What is stored if a manifest is applied over a stored object. Pure.
//!
//! An apply is no replacement. A field that the manifest does not have is removed only if the tool that applies it had set
//! the field. What others set, such as `kubectl tenantpricing switch`, stays. A tool that uses server-side apply is known
//! by its managed fields, and one that uses client-side apply by its annotation. For any other tool, the stored object does
//! not tell. Then the plan takes what switches first.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::cli::plan::connections::PACE;

/// The annotation of client-side apply: the manifest that was applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The managers that own fields by `Update`, and remove those fields that their manifest no longer has: Helm 3.
const UPDATING_APPLIERS: [&str; 1] = ["helm"];

/// The parts of an object that an apply merges. In the rest of `metadata`, the API server does.
const MERGED: [&[&str]; 3] = [&["spec"], &["metadata", "labels"], &["metadata", "annotations"]];

/// An object after an apply, as it is sent to be stored: without defaults.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The object.
    pub value: Value,
    /// The fields of the spec that the manifest does not have, and that stay.
    pub kept: Vec<Kept>,
    /// The fields of the spec that the manifest does not have, and that may stay or not.
    pub unsure: Vec<String>,
}

/// A field that stays although the manifest does not have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    /// The field with its value: `spec.mode: production`.
    pub field: String,
    /// The field managers that set it, as they name themselves. Empty: none is recorded.
    pub managers: Vec<String>,
}

/// Who applies the manifests of an object, as far as the object tells.
enum Applier {
    /// A tool that removes the fields that it alone owns: this entry of the managed fields.
    Owner(usize),
    /// A tool that removes what its last manifest had.
    LastApplied(Value),
    /// It is not known.
    Unknown,
}

/// The fields that one manager owns.
struct Managed<'a> {
    manager: &'a str,
    removes: bool,
    fields: &'a Value,
}

/// The object that is stored if `manifest` is applied over `stored`. `replacing` is the manifest with its defaults: a
/// field that has its value there stays the same in any case.
pub(crate) fn merge(stored: &Value, manifest: &Value, replacing: Option<&Value>) -> Merged {
    let managed = managed(stored);
    let applier = applier(stored, manifest, &managed);
    let mut merge = Merge {
        managed,
        applier,
        replacing: replacing.unwrap_or(&Value::Null),
        kept: BTreeSet::new(),
        unsure: BTreeSet::new(),
    };
    let mut value = manifest.clone();
    for path in MERGED {
        let Some(old) = get(stored, path, "") else { continue };
        let new = get(manifest, path, "").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let merged = merge.over(old, &new, &path);
        set(&mut value, &path, merged);
    }
    let Merge { kept, unsure, .. } = merge;
    Merged { value, kept: kept.into_iter().collect(), unsure: unsure.into_iter().collect() }
}

struct Merge<'a> {
    managed: Vec<Managed<'a>>,
    applier: Applier,
    replacing: &'a Value,
    kept: BTreeSet<Kept>,
    unsure: BTreeSet<String>,
}

impl Merge<'_> {
    /// The value at a path that the manifest has.
    fn over(&mut self, stored: &Value, manifest: &Value, path: &[String]) -> Value {
        let (Value::Object(old), Value::Object(new)) = (stored, manifest) else { return manifest.clone() };
        if self.is_atomic(path) {
            return manifest.clone();
        }
        let mut merged = new.clone();
        for (name, old) in old {
            let path = child(path, name);
            match new.get(name) {
                Some(new) => drop(merged.insert(name.clone(), self.over(old, new, &path))),
                None => drop(self.left(old, &path).map(|left| merged.insert(name.clone(), left))),
            }
        }
        Value::Object(merged)
    }

    /// What is left of a value whose path the manifest does not have.
    fn left(&mut self, stored: &Value, path: &[String]) -> Option<Value> {
        // The patch of kubectl has `null` for what the last manifest had. That removes an object with all its fields.
        if let Applier::LastApplied(last) = &self.applier
            && get(last, &parts(path), "").is_some()
        {
            return None;
        }
        if let Value::Object(fields) = stored
            && !self.is_atomic(path)
        {
            let mut left = Map::new();
            for (name, field) in fields {
                if let Some(field) = self.left(field, &child(path, name)) {
                    left.insert(name.clone(), field);
                }
            }
            return (!left.is_empty()).then_some(Value::Object(left));
        }
        self.stays(stored, path).then(|| stored.clone())
    }

    /// Whether a field that the manifest does not have stays as it is stored.
    fn stays(&mut self, value: &Value, path: &[String]) -> bool {
        let owners: Vec<usize> = (0..self.managed.len()).filter(|at| self.owns(*at, path)).collect();
        let stays = match &self.applier {
            Applier::Owner(own) => owners.iter().any(|owner| owner != own) || owners.is_empty(),
            Applier::LastApplied(_) => true,
            Applier::Unknown => may_switch_sooner(path, value, get(self.replacing, &parts(path), "")),
        };
        let is_default = get(self.replacing, &parts(path), "") == Some(value);
        // What only says how fast a connection reads is no remark.
        if path[0] != "spec" || is_default || PACE.contains(&path.join(".").as_str()) {
            return stays;
        }
        match &self.applier {
            Applier::Unknown => drop(self.unsure.insert(in_words(path, value))),
            _ if stays => {
                let own = match &self.applier {
                    Applier::Owner(own) => Some(*own),
                    _ => None,
                };
                let others = owners.iter().filter(|owner| Some(**owner) != own);
                let managers = others.map(|owner| self.managed[*owner].manager.to_owned());
                let managers: BTreeSet<String> = managers.collect();
                self.kept
                    .insert(Kept { field: in_words(path, value), managers: managers.into_iter().collect() });
            }
            _ => {}
        }
        stays
    }

    fn owns(&self, entry: usize, path: &[String]) -> bool {
        get(self.managed[entry].fields, &parts(path), "f:").is_some()
    }

    /// Whether the value at a path has one owner as a whole. Client-side apply merges all objects.
    fn is_atomic(&self, path: &[String]) -> bool {
        let is_leaf = |managed: &Managed<'_>| matches!(get(managed.fields, &parts(path), "f:"), Some(Value::Object(inner)) if inner.is_empty());
        matches!(self.applier, Applier::Owner(_)) && path.len() > 1 && self.managed.iter().any(is_leaf)
    }
}

/// Whether a switch is sooner if a field stays than if it goes, or becomes its default. Where this is not known, the plan
/// takes what switches first.
fn may_switch_sooner(path: &[String], value: &Value, default: Option<&Value>) -> bool {
    match parts(path).as_slice() {
        ["spec", "switch", "budget", "count"] => value.as_u64() >= default.and_then(Value::as_u64),
        ["spec", "suspend"] | ["spec", "switch", "notBefore"] => false,
        ["spec", "switch", "at"] => value == "Immediately",
        _ => true,
    }
}

/// The entries of the managed fields, except for those of the status.
fn managed(stored: &Value) -> Vec<Managed<'_>> {
    let entries = stored.pointer("/metadata/managedFields").and_then(Value::as_array);
    let entries =
        entries.into_iter().flatten().filter(|entry| entry["subresource"].as_str().is_none_or(str::is_empty));
    entries
        .map(|entry| {
            let manager = entry["manager"].as_str().unwrap_or_default();
            let removes = entry["operation"] == "Apply" || UPDATING_APPLIERS.contains(&manager);
            Managed { manager, removes, fields: &entry["fieldsV1"] }
        })
        .collect()
}

/// The tool that applies the manifest. Of several that apply parts of the object, it is the one that owns most of what
/// the manifest has.
fn applier(stored: &Value, manifest: &Value, managed: &[Managed<'_>]) -> Applier {
    let mut fields = Vec::new();
    leaves(&manifest["spec"], &["spec".to_owned()], &mut fields);
    // The owner of a whole object owns its fields.
    let count = |entry: &Managed<'_>| {
        let owns = |path: &&Vec<String>| {
            (2..=path.len()).any(|length| match get(entry.fields, &parts(&path[..length]), "f:") {
                Some(Value::Object(inner)) => length == path.len() || inner.is_empty(),
                _ => false,
            })
        };
        fields.iter().filter(owns).count()
    };
    let counts =
        managed.iter().enumerate().filter(|(_, entry)| entry.removes).map(|(at, entry)| (count(entry), at));
    let mut counts: Vec<(usize, usize)> = counts.filter(|(count, _)| *count > 0).collect();
    counts.sort_unstable();
    match counts.as_slice() {
        [.., (second, _), (most, _)] if second == most => return Applier::Unknown,
        [.., (_, owner)] => return Applier::Owner(*owner),
        [] => {}
    }
    let last =
        stored.pointer("/metadata/annotations").and_then(|annotations| annotations[LAST_APPLIED].as_str());
    match last.and_then(|text| serde_json::from_str(text).ok()) {
        Some(manifest) => Applier::LastApplied(manifest),
        None => Applier::Unknown,
    }
}

/// The paths of all values that are no objects.
fn leaves(value: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| leaves(field, &child(path, name), found));
        }
        _ => found.push(path.to_vec()),
    }
}

fn child(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn parts(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// The value at a path whose names have this prefix in `value`.
fn get<'a>(value: &'a Value, path: &[&str], prefix: &str) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(format!("{prefix}{name}")))
}

fn set(value: &mut Value, path: &[String], new: Value) {
    let mut place = value;
    for name in path {
        let Value::Object(fields) = place else { return };
        place = fields.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    *place = new;
}

/// A field with its value: `spec.mode: production`. A long value is left out.
fn in_words(path: &[String], value: &Value) -> String {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_short = value.chars().count() <= 64 && !value.contains('\n');
    if is_short { format!("{}: {value}", path.join(".")) } else { path.join(".") }
}
