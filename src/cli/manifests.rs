//! Manifests: the objects of this program's kinds, and the Secrets, in files, folders and standard input.
//!
//! They are read as `kubectl apply -f` reads them: several documents a file, YAML or JSON, lists, anchors. Two things
//! differ. What cannot be read is named with its place, and everything else is still read. And each field has a
//! position, so that a message can name file, line and column.
//!
//! The input may come from a pull request of another person. So every size is bounded ([`MAX_DOCUMENTS`] and others),
//! and a link that leads out of a folder is not followed. A text that only looks like another kind cannot hide an
//! object, and neither can a folder that Kustomize or Helm renders.

mod documents;
mod files;
mod mention;
mod objects;
mod rendered;
#[cfg(test)]
mod tests;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Read,
    path::PathBuf,
    sync::Arc,
};

pub use documents::MAX_DOCUMENT_BYTES;
pub use files::MAX_FILE_BYTES;
pub(crate) use files::is_read_in_folders;
pub(crate) use objects::{KUSTOMIZE_ORIGIN, origin};
pub use objects::{MAX_DOCUMENTS, MAX_OBJECT_BYTES};
use serde_json::Value;

use crate::{api::ConnectionRef, cluster::Key};

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// How manifests are read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Whether the folders inside a folder are read too.
    pub recursive: bool,
    /// The namespace of objects that name none. Without it, such an object is a problem.
    pub default_namespace: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The objects, in the order of the input. No two have the same kind, namespace and name.
    pub objects: Vec<Manifest>,
    /// The number of objects of each other kind. They are not used.
    pub skipped: BTreeMap<String, usize>,
    /// What could not be read, in the order of the input.
    pub problems: Vec<Problem>,
    /// The files whose objects may differ from what is applied, since a tool renders the folder around them. A problem
    /// names the reason.
    pub doubtful: BTreeSet<String>,
}

impl Manifests {
    /// The objects of one kind, in the order of the input.
    pub fn of(&self, kind: ManifestKind) -> impl Iterator<Item = &Manifest> {
        self.objects.iter().filter(move |object| object.kind == kind)
    }

    /// Whether a part of the input is missing because of an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// The kinds that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManifestKind {
    /// A `TenantPricing` of this program's group.
    TenantPricing,
    /// A `PlatformConnection` of this program's group.
    PlatformConnection,
    /// A `Secret` of Kubernetes. It may hold the credentials of a connection.
    Secret,
}

impl ManifestKind {
    /// The name of the kind, as in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TenantPricing => "TenantPricing",
            Self::PlatformConnection => "PlatformConnection",
            Self::Secret => "Secret",
        }
    }
}

/// One object of the input. It is as it was written, and nothing of it has been validated but its identity.
#[derive(Clone)]
pub struct Manifest {
    /// The kind.
    pub kind: ManifestKind,
    /// The namespace, possibly the default one. `value` names it too.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The whole object.
    pub value: Value,
    file: Arc<str>,
    rendered_from: Option<Arc<str>>,
    fields: yaml::Fields,
}

impl Manifest {
    /// The connection that a `TenantPricing` names. Without a namespace, it is in that of the object.
    pub(crate) fn connection_key(&self) -> Key {
        let text = |pointer: &str| self.value.pointer(pointer).and_then(Value::as_str);
        let default = ConnectionRef::default().name;
        let namespace = text("/spec/connectionRef/namespace").unwrap_or(&self.namespace);
        Key::new(namespace, text("/spec/connectionRef/name").unwrap_or(&default))
    }

    /// The position of a field, by its JSON pointer (RFC 6901), such as `/spec/tenant/id`. It is the position of the
    /// key. A field that is missing has the position of the nearest field around it.
    #[must_use]
    pub fn position(&self, pointer: &str) -> Position {
        let place = self.fields.place(pointer);
        Position {
            file: self.file.to_string(),
            line: place.line,
            column: place.column,
            rendered_from: self.rendered_from.as_deref().map(ToOwned::to_owned),
        }
    }
}

impl fmt::Debug for Manifest {
    /// Without the value, since a Secret may be in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{} at {}", self.kind.name(), self.namespace, self.name, self.position(""))
    }
}

/// A place in the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file as it was named, or `standard input`.
    pub file: String,
    /// The line, from 1. It is 0 for a file as a whole.
    pub line: u32,
    /// The column in characters, from 1. It is 0 for a file as a whole.
    pub column: u32,
    /// The file that Kustomize or Helm made the object from, if the object says so. A person edits that file.
    pub rendered_from: Option<String>,
}

impl Position {
    fn of_file(file: &str) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, rendered_from: None }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        match &self.rendered_from {
            Some(source) => write!(f, " (rendered from {source})"),
            None => Ok(()),
        }
    }
}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What was skipped is probably no object of this program.
    Note,
    /// An object of this program may be missing from what was read.
    Error,
}

/// Something in the input that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether something may be missing.
    pub severity: Severity,
    /// Where it is.
    pub position: Position,
    /// What it is, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

/// Reads all manifests at the paths. A path is a file, a folder, or [`STANDARD_INPUT`].
///
/// In a folder, files ending in `.yaml`, `.yml` and `.json` are read, in the order of their names, as `kubectl` does. A
/// kustomization in it may only list them, and a chart is a problem: what is applied may not be what the files show.
pub fn read(paths: &[PathBuf], options: &ReadOptions, input: &mut dyn Read) -> Manifests {
    let mut objects = Vec::new();
    let rest = read_each(paths, options, input, &mut |manifest| objects.push(manifest));
    Manifests { objects, ..rest }
}

/// As [`read`], but hands each object on, so that the memory does not depend on their number. The result holds no
/// object.
pub fn read_each(
    paths: &[PathBuf],
    options: &ReadOptions,
    input: &mut dyn Read,
    visit: &mut dyn FnMut(Manifest),
) -> Manifests {
    let mut reader = objects::Reader::new(options, MAX_DOCUMENTS, visit);
    files::read(paths, options.recursive, input, &mut |event| match event {
        files::Event::Text { file, text } => reader.read(&file, &text),
        files::Event::Problem(problem) => {
            reader.problem(problem);
            true
        }
        files::Event::Doubt { file, problem } => {
            reader.doubt(file, problem);
            true
        }
    });
    reader.finish()
}
