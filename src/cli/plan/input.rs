//! The objects of the manifests, checked as the API server checks them.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::PathBuf,
};

use k8s_openapi::api::core::v1::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    document::{Note, Source},
    outcome::Subject,
    stored::{State, applied},
};
use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::{
        manifests::{self, Manifest, ManifestKind, Manifests, Position, ReadOptions, Severity},
        validation::{Invalid, validate},
    },
    cluster::Key,
};

/// The manifests of one tree.
#[derive(Default)]
pub(crate) struct Input {
    /// The manifests of `TenantPricing`s.
    pub objects: Vec<Manifest>,
    /// The connections.
    pub connections: HashMap<Key, PlatformConnection>,
    /// The Secrets.
    pub secrets: HashMap<Key, Secret>,
}

impl Input {
    /// The namespaces of everything in the input.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        let objects = self.objects.iter().map(|object| object.namespace.clone());
        let connections = self.connections.keys().map(|key| key.namespace().to_owned());
        let named = self.objects.iter().filter_map(|object| {
            object.value.pointer("/spec/connectionRef/namespace")?.as_str().map(str::to_owned)
        });
        objects.chain(connections).chain(named).collect()
    }
}

/// Reads manifests, and notes what cannot be used.
pub(crate) fn read(
    files: &[PathBuf],
    recursive: bool,
    default_namespace: Option<String>,
    notes: &mut Vec<Note>,
) -> Input {
    let options = ReadOptions { recursive, default_namespace };
    of(manifests::read(files, &options, &mut io::stdin().lock()), notes)
}

/// The input that manifests make.
pub(crate) fn of(manifests: Manifests, notes: &mut Vec<Note>) -> Input {
    for problem in &manifests.problems {
        notes.push(Note {
            is_error: problem.severity == Severity::Error,
            source: Some(source(&problem.position)),
            message: problem.message.clone(),
        });
    }
    let skipped: usize = manifests.skipped.values().sum();
    if skipped > 0 {
        let kinds = manifests.skipped.keys().cloned().collect::<Vec<_>>().join(", ");
        notes.push(Note {
            is_error: false,
            source: None,
            message: format!("{skipped} objects of other kinds are skipped: {kinds}."),
        });
    }
    let mut input = Input::default();
    for manifest in manifests.objects {
        let key = Key::new(&manifest.namespace, &manifest.name);
        match manifest.kind {
            ManifestKind::TenantPricing => input.objects.push(manifest),
            ManifestKind::PlatformConnection => match valid::<PlatformConnection>(&manifest, None) {
                Ok(connection) => drop(input.connections.insert(key, connection)),
                Err(refusal) => notes.push(refusal.note(&manifest)),
            },
            ManifestKind::Secret => match typed::<Secret>(&manifest) {
                Ok(secret) => drop(input.secrets.insert(key, secret)),
                // The text of the error may quote a value.
                Err(_) => notes.push(unusable(&manifest, "it is no Secret that the API server accepts")),
            },
        }
    }
    input
}

fn unusable(manifest: &Manifest, why: &str) -> Note {
    Note {
        is_error: true,
        source: Some(source(&manifest.position(""))),
        message: format!(
            "{} {}/{} is refused: {why}",
            manifest.kind.name(),
            manifest.namespace,
            manifest.name
        ),
    }
}

/// Why the API server refuses a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The place of the first invalid field.
    source: Source,
    /// Everything that is invalid.
    message: String,
}

impl Refusal {
    fn of(manifest: &Manifest, invalid: &[Invalid]) -> Self {
        let first = invalid.first().map(|invalid| invalid.pointer.clone()).unwrap_or_default();
        let texts: Vec<String> = invalid.iter().map(ToString::to_string).collect();
        Self { source: source(&manifest.position(&first)), message: texts.join("; ") }
    }

    fn note(self, manifest: &Manifest) -> Note {
        Note { source: Some(self.source), ..unusable(manifest, &self.message) }
    }
}

/// The object of a manifest with its defaults, checked as the API server checks it. With `stored`, the rules for changes
/// count as well.
fn valid<T: DeserializeOwned>(manifest: &Manifest, stored: Option<&Value>) -> Result<T, Refusal> {
    let object = validate(&manifest.value, stored).map_err(|invalid| Refusal::of(manifest, &invalid))?;
    serde_json::from_value(object).map_err(|error| Refusal {
        source: source(&manifest.position("")),
        message: format!("this version cannot read it: {error}"),
    })
}

fn typed<T: DeserializeOwned>(manifest: &Manifest) -> Result<T, String> {
    serde_json::from_value(manifest.value.clone()).map_err(|error| error.to_string())
}

/// The place as a plan names it: the file that a person edits.
pub(crate) fn source(position: &Position) -> Source {
    Source {
        file: position.rendered_from.clone().unwrap_or_else(|| position.file.clone()),
        line: position.line.into(),
        column: position.column.into(),
    }
}

/// The subjects of a plan: the objects of the input, and those that only the base has.
pub(crate) fn subjects(input: &mut Input, base: Option<Input>, state: &State) -> Vec<Subject> {
    let mut before: HashMap<Key, TenantPricing> = HashMap::new();
    let compares_trees = base.is_some();
    if let Some(base) = base {
        for manifest in &base.objects {
            // What is in the base has been accepted, or is refused before and after.
            if let Ok(object) = valid::<TenantPricing>(manifest, None) {
                let key = Key::new(&manifest.namespace, &manifest.name);
                let stored = state.objects.get(&key);
                before.insert(key, applied(stored, object));
            }
        }
        for (key, connection) in base.connections {
            // A connection that the change removes is gone; one that only the base has may be outside the change.
            input.connections.entry(key).or_insert(connection);
        }
    } else {
        before.clone_from(&state.objects);
    }
    let mut subjects = Vec::with_capacity(input.objects.len());
    for manifest in &input.objects {
        let key = Key::new(&manifest.namespace, &manifest.name);
        let before = before.remove(&key);
        let stored = state.objects.get(&key).or(before.as_ref());
        let as_json = stored.and_then(|stored| serde_json::to_value(stored).ok());
        let (after, rejected, source) = match valid::<TenantPricing>(manifest, as_json.as_ref()) {
            Ok(object) => (Some(applied(stored, object)), None, source(&manifest.position(""))),
            Err(refusal) => (None, Some(refusal.message), refusal.source),
        };
        let source = Some(source);
        subjects.push(Subject { key, before, after, source, rejected });
    }
    if compares_trees {
        let mut deleted: Vec<_> = before.into_iter().collect();
        deleted.sort_by(|(one, _), (other, _)| one.cmp(other));
        subjects.extend(deleted.into_iter().map(|(key, object)| Subject {
            key,
            before: Some(object),
            after: None,
            source: None,
            rejected: None,
        }));
    }
    subjects
}
