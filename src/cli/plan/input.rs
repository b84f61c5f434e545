//! The objects of the manifests, checked as the API server checks them.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::PathBuf,
};

use clap::ValueEnum;
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
        validation::{Invalid, pointer, validate},
    },
    cluster::Key,
};

/// Who checks the manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Validation {
    /// This program, with the rules of its own CRDs.
    Local,
    /// The API server of the cluster, by a dry run.
    Server,
}

/// The manifests of one tree.
#[derive(Default)]
pub(crate) struct Input {
    /// The manifests of `TenantPricing`s.
    pub objects: Vec<Manifest>,
    /// The manifests of connections.
    pub connection_manifests: Vec<Manifest>,
    /// The connections that are valid.
    pub connections: HashMap<Key, PlatformConnection>,
    /// The Secrets. `Err`: why one cannot be used.
    pub secrets: HashMap<Key, Result<Secret, &'static str>>,
    /// The API server's verdicts on the `TenantPricing`s, as far as it was asked.
    pub verdicts: HashMap<Key, Result<TenantPricing, Refusal>>,
}

impl Input {
    /// What the namespace of `-n` means for the manifests that name another one. `None`: there are none.
    pub(crate) fn in_other_namespaces(&self, namespace: &str) -> Option<Note> {
        let manifests = self.objects.iter().chain(&self.connection_manifests);
        let others: Vec<&Manifest> = manifests.filter(|manifest| manifest.namespace != namespace).collect();
        let first = others.first()?;
        let message = format!(
            "{} names another namespace than -n {namespace}, as {} in all do. kubectl apply -n {namespace} refuses that. \
             The plan takes the namespace that a manifest names.",
            title(first),
            others.len()
        );
        Some(Note { is_error: false, source: Some(source(&first.position("/metadata/namespace"))), message })
    }

    /// The namespaces of everything in the input.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        let objects = self.objects.iter().map(|object| object.namespace.clone());
        let connections = self.connection_manifests.iter().map(|connection| connection.namespace.clone());
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
    validation: Validation,
    notes: &mut Vec<Note>,
) -> Input {
    let options = ReadOptions { recursive, default_namespace };
    of(manifests::read(files, &options, &mut io::stdin().lock()), validation, notes)
}

/// Reads the manifests of a base. What a tool may have applied otherwise than it stands there counts as absent, so that it
/// is announced as new and not as unchanged.
pub(crate) fn read_base(
    files: &[PathBuf],
    recursive: bool,
    default_namespace: Option<String>,
    notes: &mut Vec<Note>,
) -> Input {
    let options = ReadOptions { recursive, default_namespace };
    let mut found = manifests::read(files, &options, &mut io::stdin().lock());
    let count = found.objects.len();
    found.objects.retain(|object| !found.doubtful.contains(&object.position("").file));
    let absent = count - found.objects.len();
    let read = of(found, Validation::Local, notes);
    if absent > 0 {
        let message = format!(
            "{absent} objects of the base count as absent, since what was applied may differ from their files. So the \
             plan shows what they become as new."
        );
        notes.push(Note { is_error: false, source: None, message });
    }
    read
}

/// The input that manifests make. Refused connections are noted, unless the API server is yet to check them.
pub(crate) fn of(manifests: Manifests, validation: Validation, notes: &mut Vec<Note>) -> Input {
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
            ManifestKind::PlatformConnection => {
                match valid::<PlatformConnection>(&manifest, None) {
                    Ok(connection) => drop(input.connections.insert(key, connection)),
                    Err(refusal) if validation == Validation::Local => notes.push(refusal.note(&manifest)),
                    Err(_) => {}
                }
                input.connection_manifests.push(manifest);
            }
            ManifestKind::Secret => {
                let secret = secret(&manifest);
                if let Err(why) = secret {
                    // It is an error only if the credentials of a connection are needed from it.
                    let message = format!("{} cannot be used: {why}", title(&manifest));
                    notes.push(Note { is_error: false, ..unusable(&manifest, message) });
                }
                input.secrets.insert(key, secret);
            }
        }
    }
    input
}

fn unusable(manifest: &Manifest, message: String) -> Note {
    Note { is_error: true, source: Some(source(&manifest.position(""))), message }
}

/// The object of a manifest as messages name it: `TenantPricing team/acme`.
pub(crate) fn title(manifest: &Manifest) -> String {
    format!("{} {}/{}", manifest.kind.name(), manifest.namespace, manifest.name)
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
    /// A refusal of a field, named as the API server names it. Empty: of the whole object.
    pub(crate) fn new(manifest: &Manifest, field: &str, message: String) -> Self {
        Self { source: source(&manifest.position(&pointer(field))), message }
    }

    fn of(manifest: &Manifest, invalid: &[Invalid]) -> Self {
        let first = invalid.first().map(|invalid| invalid.pointer.clone()).unwrap_or_default();
        let texts: Vec<String> = invalid.iter().map(ToString::to_string).collect();
        Self { source: source(&manifest.position(&first)), message: texts.join("; ") }
    }

    /// The refusal as a note, for an object that is no subject of the plan.
    pub(crate) fn note(self, manifest: &Manifest) -> Note {
        let message = format!("{} is refused: {}", title(manifest), self.message);
        Note { source: Some(self.source), ..unusable(manifest, message) }
    }
}

/// The object of a manifest with its defaults, checked as the API server checks it. With `stored`, the rules for changes
/// count as well.
fn valid<T: DeserializeOwned>(manifest: &Manifest, stored: Option<&Value>) -> Result<T, Refusal> {
    let object = validate(&manifest.value, stored).map_err(|invalid| Refusal::of(manifest, &invalid))?;
    decode(manifest, object)
}

/// Reads the validated object of a manifest.
pub(crate) fn decode<T: DeserializeOwned>(manifest: &Manifest, object: Value) -> Result<T, Refusal> {
    serde_json::from_value(object)
        .map_err(|error| Refusal::new(manifest, "", format!("this version cannot read it: {error}")))
}

/// The Secret of a manifest. An error has no text of the parser, which may quote a value.
fn secret(manifest: &Manifest) -> Result<Secret, &'static str> {
    if manifest.value.get("sops").is_some() {
        return Err("it is encrypted by SOPS");
    }
    serde_json::from_value(manifest.value.clone()).map_err(|_| "it is no Secret that the API server accepts")
}

/// The place as a plan names it: the file that a person edits. Of a rendered manifest only that file is known, and its
/// place in the rendered text.
pub(crate) fn source(position: &Position) -> Source {
    let Position { file, line, column, rendered_from } = position.clone();
    match rendered_from {
        None => Source { file, line: line.into(), column: column.into(), rendered: None },
        Some(from) => {
            let place = Position { file, line, column, rendered_from: None };
            Source { file: from, line: 1, column: 1, rendered: Some(place.to_string()) }
        }
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
        let verdict = input.verdicts.remove(&key);
        let verdict = verdict.unwrap_or_else(|| valid(manifest, as_json.as_ref()));
        let (after, rejected, source) = match verdict {
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
