//! What is stored if a manifest is applied over a stored object. Pure.
//!
//! An apply is no replacement. A field that the manifest does not have is removed only if the tool that applies it had
//! set the field. What others set, such as `kubectl tenantpricing switch`, stays. If the stored object does not tell
//! what happens to a field, the plan takes what switches first.

mod applier;
mod sooner;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use self::{
    applier::{Applier, Managed},
    sooner::switches_sooner,
};
use crate::cli::plan::connections::PACE;

/// The parts of an object that an apply merges. In the rest of `metadata`, the API server does.
const MERGED: [&[&str]; 3] = [&["spec"], &["metadata", "labels"], &["metadata", "annotations"]];

/// The objects whose fields mean something only together. Where Helm may leave some of them, the plan mixes no two
/// objects.
const TOGETHER: [&str; 3] = ["spec.tenant", "spec.connectionRef", "spec.allowedNamespaces"];

/// An object after an apply, as it is sent to be stored: without defaults.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The object.
    pub value: Value,
    /// The fields of the spec that the manifest does not have, and that stay.
    pub kept: Vec<Kept>,
    /// The fields of the spec that may stay or not.
    pub unsure: Vec<Unsure>,
}

/// A field that stays although the manifest does not have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    /// The field with its value: `spec.mode: production`.
    pub field: String,
    /// The field managers that set it, as they name themselves. Empty: none is recorded.
    pub managers: Vec<String>,
}

/// A field that differs from the manifest, and that may stay or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unsure {
    /// The field with its value: `spec.mode: production`.
    pub field: String,
    /// The same field with the value of the manifest. `None`: the manifest does not have it.
    pub in_manifest: Option<String>,
}

/// The object that is stored if `manifest` is applied over `stored`. `replacing` is the manifest with its defaults: a
/// field that has its value there stays the same in any case.
pub(crate) fn merge(stored: &Value, manifest: &Value, replacing: Option<&Value>) -> Merged {
    let managed = applier::managed(stored);
    let applier = applier::of(stored, manifest, &managed);
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
    unsure: BTreeSet<Unsure>,
}

impl Merge<'_> {
    /// The value at a path that the manifest has.
    fn over(&mut self, stored: &Value, manifest: &Value, path: &[String]) -> Value {
        let (Value::Object(old), Value::Object(new)) = (stored, manifest) else {
            return self.replaced(stored, manifest, path);
        };
        if self.is_atomic(path) {
            return self.replaced(stored, manifest, path);
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

    /// The value of a field that the manifest has.
    fn replaced(&mut self, stored: &Value, manifest: &Value, path: &[String]) -> Value {
        match &self.applier {
            Applier::Releases(own) if stored != manifest && !self.is_of(*own, stored, path) => {}
            _ => return manifest.clone(),
        }
        let other = Some(manifest).filter(|value| !value.is_null());
        if is_remarkable(path) {
            let in_manifest = other.map(|value| in_words(path, value));
            self.unsure.insert(Unsure { field: in_words(path, stored), in_manifest });
        }
        if switches_sooner(path, stored, other) == Some(true) { stored.clone() } else { manifest.clone() }
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
        let default = get(self.replacing, &parts(path), "");
        let is_remarkable = is_remarkable(path) && default != Some(value);
        let owners: Vec<usize> = (0..self.managed.len()).filter(|at| self.managed[*at].owns(path)).collect();
        let others: Vec<usize> = match &self.applier {
            Applier::Owner(own) => owners.iter().copied().filter(|owner| !own.contains(owner)).collect(),
            _ => owners.clone(),
        };
        let stays = match &self.applier {
            Applier::Owner(_) => !others.is_empty() || owners.is_empty(),
            Applier::LastApplied(_) => true,
            Applier::Releases(own) if self.is_of(*own, value, path) => false,
            Applier::Releases(_) | Applier::Unknown => {
                if is_remarkable {
                    self.unsure.insert(Unsure { field: in_words(path, value), in_manifest: None });
                }
                return switches_sooner(path, value, default).unwrap_or(true);
            }
        };
        if stays && is_remarkable {
            let managers: BTreeSet<&str> = others.iter().map(|owner| self.managed[*owner].manager).collect();
            let managers = managers.into_iter().map(str::to_owned).collect();
            self.kept.insert(Kept { field: in_words(path, value), managers });
        }
        stays
    }

    /// Whether this entry of the managed fields owns a value with all its fields.
    fn is_of(&self, entry: Option<usize>, value: &Value, path: &[String]) -> bool {
        entry.is_some_and(|entry| leaves(value, path).iter().all(|field| self.managed[entry].owns(field)))
    }

    /// Whether the value at a path is replaced as a whole. A merge patch, as of client-side apply, merges all objects.
    fn is_atomic(&self, path: &[String]) -> bool {
        match &self.applier {
            Applier::Owner(_) => {
                path.len() > 1 && self.managed.iter().any(|managed| managed.owns_whole(path))
            }
            Applier::Releases(_) => TOGETHER.contains(&path.join(".").as_str()),
            Applier::LastApplied(_) | Applier::Unknown => false,
        }
    }
}

/// Whether a field is worth a remark. What only says how fast a connection reads is not.
fn is_remarkable(path: &[String]) -> bool {
    path[0] == "spec" && !PACE.contains(&path.join(".").as_str())
}

/// The paths of all values that are no objects, and of empty objects.
fn leaves(value: &Value, path: &[String]) -> Vec<Vec<String>> {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().flat_map(|(name, field)| leaves(field, &child(path, name))).collect()
        }
        _ => vec![path.to_vec()],
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
