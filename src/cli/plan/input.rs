//! The objects of the manifests, checked as the API server checks them.

pub(super) mod base;
mod git;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::PathBuf,
};

use clap::ValueEnum;
use k8s_openapi::api::core::v1::Secret;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    document::{Note, Source},
    stored::{
        State, applied,
        apply::{self, Kept, Merged, Unsure},
    },
    subject::Subject,
};
use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::{
        manifests::{self, Manifest, ManifestKind, Manifests, Position, ReadOptions, Severity},
        validation::{Invalid, pointer, validate, with_defaults},
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
    /// The connections that are valid, as they are after an apply. [`Input::settle`] fills them in.
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

    /// The namespaces whose objects the input may concern: those of its objects, and those of its connections. A
    /// connection that its objects only name stays as it is, and so do the other objects around it.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        let manifests = self.objects.iter().chain(&self.connection_manifests);
        manifests.map(|manifest| manifest.namespace.clone()).collect()
    }

    /// The connections of the input, and those that its objects name.
    pub(crate) fn connection_keys(&self) -> BTreeSet<Key> {
        let own = self.connection_manifests.iter();
        let own = own.map(|connection| Key::new(&connection.namespace, &connection.name));
        own.chain(self.objects.iter().map(Manifest::connection_key)).collect()
    }

    /// Checks the connections as they are after an apply over those of the cluster. Refused ones are noted, unless the
    /// API server is yet to check them.
    pub(crate) fn settle(&mut self, state: &State, validation: Validation, notes: &mut Vec<Note>) {
        let mut left = Leftovers::default();
        for manifest in &self.connection_manifests {
            let key = Key::new(&manifest.namespace, &manifest.name);
            let stored = state.connections.get(&key);
            let (connection, merged) = after_apply::<PlatformConnection>(manifest, stored);
            left.add(&title(manifest), merged);
            match connection {
                Ok(connection) => drop(self.connections.insert(key, applied(stored, connection))),
                Err(refusal) if validation == Validation::Local => notes.push(refusal.note(manifest)),
                Err(_) => {}
            }
        }
        notes.extend(left.notes());
    }
}

/// What an apply makes of a manifest and a stored object, and the stored object as JSON.
fn merged<K: Serialize>(manifest: &Manifest, stored: Option<&K>) -> Option<(Merged, Value)> {
    let stored = stored.and_then(|stored| serde_json::to_value(stored).ok())?;
    let replacing = with_defaults(&manifest.value);
    Some((apply::merge(&stored, &manifest.value, replacing.as_ref()), stored))
}

/// A manifest after an apply over the stored object, checked as the API server checks it. Also what the apply leaves.
fn after_apply<K>(manifest: &Manifest, stored: Option<&K>) -> (Result<K, Refusal>, Option<Merged>)
where
    K: Serialize + DeserializeOwned,
{
    match merged(manifest, stored) {
        Some((merged, stored)) => (valid(manifest, &merged.value, Some(&stored)), Some(merged)),
        None => (valid(manifest, &manifest.value, None), None),
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

/// Reads the manifests of a base. What a tool may have applied otherwise than it stands there counts as absent, so that
/// it is announced as new and not as unchanged.
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
    let read = of(found, notes);
    if absent > 0 {
        let message = format!(
            "{absent} objects of the base count as absent, since what was applied may differ from their files. So the \
             plan shows what they become as new."
        );
        notes.push(Note { is_error: false, source: None, message });
    }
    read
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
            ManifestKind::PlatformConnection => input.connection_manifests.push(manifest),
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

/// An object that a manifest makes, with its defaults, checked as the API server checks it. With `stored`, the rules
/// for changes count as well.
fn valid<T: DeserializeOwned>(
    manifest: &Manifest,
    object: &Value,
    stored: Option<&Value>,
) -> Result<T, Refusal> {
    let object = validate(object, stored).map_err(|invalid| Refusal::of(manifest, &invalid))?;
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

/// The subjects of a plan: the objects of the input, and those that only the base has. What an apply leaves is noted.
pub(crate) fn subjects(
    input: &mut Input,
    base: Option<&Input>,
    state: &State,
    notes: &mut Vec<Note>,
) -> Vec<Subject> {
    let mut before: HashMap<Key, TenantPricing> = HashMap::new();
    match base {
        Some(base) => {
            for manifest in &base.objects {
                let key = Key::new(&manifest.namespace, &manifest.name);
                let stored = state.objects.get(&key);
                let merged = merged(manifest, stored).map(|(merged, _)| merged.value);
                // What is in the base has been accepted, or is refused before and after. It is no change.
                if let Ok(object) = valid(manifest, merged.as_ref().unwrap_or(&manifest.value), None) {
                    before.insert(key, applied(stored, object));
                }
            }
        }
        None => before.clone_from(&state.objects),
    }
    let mut left = Leftovers::default();
    let mut subjects = Vec::with_capacity(input.objects.len());
    for manifest in &input.objects {
        let key = Key::new(&manifest.namespace, &manifest.name);
        let before = before.remove(&key);
        let stored = state.objects.get(&key);
        let (local, merged) = after_apply(manifest, stored);
        left.add(key.as_str(), merged);
        let verdict = match (input.verdicts.remove(&key), stored, &before) {
            (Some(verdict), ..) => verdict,
            // The rules about changes count from the base as well.
            (None, None, Some(before)) => {
                valid(manifest, &manifest.value, serde_json::to_value(before).ok().as_ref())
            }
            (None, ..) => local,
        };
        let (after, rejected, source) = match verdict {
            Ok(object) => {
                (Some(applied(stored.or(before.as_ref()), object)), None, source(&manifest.position("")))
            }
            Err(refusal) => (None, Some(refusal.message), refusal.source),
        };
        let unread = state.unread.object(&key);
        let source = Some(source);
        subjects.push(Subject { key, before, after, source, rejected, is_given: true, unread });
    }
    notes.extend(left.notes());
    if base.is_some() {
        let mut deleted: Vec<_> = before.into_iter().collect();
        deleted.sort_by(|(one, _), (other, _)| one.cmp(other));
        subjects.extend(deleted.into_iter().map(|(key, object)| Subject {
            unread: state.unread.object(&key),
            key,
            before: Some(object),
            after: None,
            source: None,
            rejected: None,
            is_given: true,
        }));
    }
    subjects
}

/// The objects that a note names. Of others it says how many there are.
const NAMED: usize = 3;

/// The fields that stay in the cluster, or may stay, although the manifests say something else. Each has its objects.
#[derive(Default)]
struct Leftovers {
    kept: BTreeMap<Kept, Vec<String>>,
    unsure: BTreeMap<Unsure, Vec<String>>,
}

impl Leftovers {
    fn add(&mut self, name: &str, merged: Option<Merged>) {
        let Some(Merged { kept, unsure, .. }) = merged else { return };
        for kept in kept {
            self.kept.entry(kept).or_default().push(name.to_owned());
        }
        for field in unsure {
            self.unsure.entry(field).or_default().push(name.to_owned());
        }
    }

    fn notes(self) -> impl Iterator<Item = Note> {
        let kept = self.kept.into_iter().map(|(Kept { field, managers }, names)| {
            let who = if managers.is_empty() { "others".to_owned() } else { managers.join(", ") };
            format!(
                "{field} is not in the manifest of {}, and stays in the cluster: {who} set it, and an apply leaves it. Only \
                 a replacement of the object removes it.",
                joined(&names)
            )
        });
        let unsure = self.unsure.into_iter().map(|(Unsure { field, in_manifest }, names)| {
            let names = joined(&names);
            match in_manifest {
                None => format!(
                    "{field} is in the cluster and not in the manifest of {names}. Whether it stays depends on the tool that \
                     applies the manifest. The plan takes what switches first."
                ),
                Some(new) => format!(
                    "{field} is in the cluster, and the manifest of {names} has {new}. Helm 3 did not set the value in the \
                     cluster, and sends only what differs from its last release. So the value may stay. The plan takes what \
                     switches first. `helm get manifest` shows the last release."
                ),
            }
        });
        kept.chain(unsure).map(|message| Note { is_error: false, source: None, message })
    }
}

/// The first objects by name, and how many more there are.
pub(crate) fn joined(all: &[String]) -> String {
    let names: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    match all.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
