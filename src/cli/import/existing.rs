//! The manifests that are there already. They are read, and never changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use walkdir::WalkDir;

use super::{files, manifest::TENANT_NAME};
use crate::{
    api::ConnectionRef,
    cli::{
        manifests::{self, Manifest, ManifestKind, ReadOptions, Severity},
        output::escape,
    },
    platform::TenantId,
};

/// The endings of files with manifests.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The most problems that an error lists.
const MAX_PROBLEMS: usize = 10;

/// The manifest of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The file, below the folder that was read.
    pub file: PathBuf,
    /// The name of the tenant when the manifest was written, by its annotation.
    pub recorded_name: Option<String>,
    /// The connection that the manifest names.
    pub connection: ConnectionRef,
}

/// What is there.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// The manifests that name a tenant by its id.
    pub by_id: BTreeMap<TenantId, Entry>,
    /// The manifests that name a tenant by its name.
    pub by_name: HashMap<String, Entry>,
    /// The names of all `TenantPricing`s.
    pub objects: HashSet<String>,
    /// The files with a `TenantPricing`.
    pub files: BTreeSet<PathBuf>,
    /// The other files with manifests.
    pub others: BTreeSet<PathBuf>,
    /// The bytes of the one file of [`Existing::in_file`]. `None`: there was none.
    pub bytes: Option<Vec<u8>>,
}

/// What is there cannot be read. A tenant in it could be written a second time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExistingError {
    /// A file or folder cannot be read.
    #[error("{}: {error}. Nothing is written", escape::path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// Manifests cannot be read.
    #[error(
        "manifests that are there already cannot be read, and a tenant could be written a second time. Nothing is \
         written.\n{0}"
    )]
    Problems(String),
}

impl Existing {
    /// Reads all manifests below a folder, and none if it does not exist. Links and hidden folders are not followed.
    ///
    /// # Errors
    /// A part cannot be read.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, ExistingError> {
        let mut existing = Self::default();
        if !folder.exists() {
            return Ok(existing);
        }
        let is_visible = |entry: &walkdir::DirEntry| {
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        };
        for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(is_visible) {
            let entry = entry.map_err(|error| ExistingError::Io {
                path: error.path().unwrap_or(folder).to_owned(),
                error: error.into(),
            })?;
            let file = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let is_manifest =
                file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
            if is_manifest && !entry.file_type().is_dir() && !is_kustomization(file) {
                existing.read(entry.path(), file)?;
            }
        }
        Ok(existing)
    }

    /// Reads the manifests of one file, and none if it does not exist.
    ///
    /// # Errors
    /// A part cannot be read.
    pub(crate) fn in_file(path: &Path) -> Result<Self, ExistingError> {
        let failed = |error: io::Error| ExistingError::Io { path: path.to_owned(), error };
        // Before the manifests: an edit between the two reads shows when the bytes are compared.
        let bytes = files::bytes(path).map_err(failed)?;
        let mut existing = Self { bytes, ..Self::default() };
        if existing.bytes.is_some() {
            existing.read(path, path)?;
        }
        Ok(existing)
    }

    fn read(&mut self, path: &Path, file: &Path) -> Result<(), ExistingError> {
        // The namespace does not matter here.
        let options = ReadOptions { recursive: false, default_namespace: Some("default".to_owned()) };
        let mut is_ours = false;
        let found = manifests::read_each(&[path.to_owned()], &options, &mut io::empty(), &mut |manifest| {
            if manifest.kind == ManifestKind::TenantPricing {
                is_ours = true;
                self.add(&manifest, file);
            }
        });
        let problems = found.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let problems: Vec<String> =
            problems.map(|problem| format!("- {}", escape::terminal(&problem.to_string()))).collect();
        if !problems.is_empty() {
            let more = problems.len().saturating_sub(MAX_PROBLEMS);
            let mut text = problems.into_iter().take(MAX_PROBLEMS).collect::<Vec<_>>().join("\n");
            if more > 0 {
                text = format!("{text}\n- and {more} more");
            }
            return Err(ExistingError::Problems(text));
        }
        let files = if is_ours { &mut self.files } else { &mut self.others };
        files.insert(file.to_owned());
        Ok(())
    }

    fn add(&mut self, manifest: &Manifest, file: &Path) {
        self.objects.insert(manifest.name.clone());
        let text =
            |pointer: &str| manifest.value.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let annotations = manifest.value.pointer("/metadata/annotations").and_then(Value::as_object);
        let entry = Entry {
            file: file.to_owned(),
            recorded_name: annotations.and_then(|all| all.get(TENANT_NAME)?.as_str()).map(ToOwned::to_owned),
            connection: ConnectionRef {
                name: text("/spec/connectionRef/name").unwrap_or(ConnectionRef::default().name),
                namespace: text("/spec/connectionRef/namespace"),
            },
        };
        if let Some(id) = text("/spec/tenant/id").and_then(|id| id.parse().ok()) {
            self.by_id.entry(id).or_insert(entry);
        } else if let Some(name) = text("/spec/tenant/name") {
            self.by_name.entry(name).or_insert(entry);
        }
    }
}

/// Whether a file is one of Kustomize's own, which holds no object.
fn is_kustomization(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == "kustomization")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

    fn pricing(name: &str, spec: &str) -> String {
        format!(
            "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    }

    #[test]
    fn tenants_are_recognised_by_id_in_any_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("north/moved.yml", &pricing("a", &format!("{{tenant: {{id: {}}}}}", ID.to_uppercase())));
        write(
            "b.json",
            r#"{"apiVersion":"tenantpricing.io/v1alpha1","kind":"TenantPricing",
            "metadata":{"name":"b"},"spec":{"tenant":{"name":"Bolt"},"connectionRef":{"name":"eu"}}}"#,
        );
        write("config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
        write("kustomization.yaml", "resources: [b.json]\n");
        write(".git/c.yaml", &pricing("c", "{}"));
        write("notes.txt", "tenantpricing.io: no manifest");
        let existing = Existing::in_folder(folder.path()).unwrap();
        assert_eq!(existing.by_id[&ID.parse().unwrap()].file, Path::new("north/moved.yml"));
        assert_eq!(existing.by_name["Bolt"].connection.name, "eu");
        assert_eq!(existing.objects, HashSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(existing.files, [PathBuf::from("b.json"), "north/moved.yml".into()].into());
        assert_eq!(existing.others, [PathBuf::from("config.yaml")].into());
        assert!(Existing::in_folder(&folder.path().join("none")).unwrap().by_id.is_empty());
    }

    #[test]
    fn a_manifest_that_cannot_be_read_ends_the_import() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("broken.yaml"), "apiVersion: tenantpricing.io/v1alpha1\nkind: [\n")
            .unwrap();
        let error = Existing::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("broken.yaml") && error.contains("Nothing is written"), "{error}");
        assert_eq!(error.lines().count(), 2, "{error}");
        // Others may choose the names of files.
        let hostile = "x\u{1b}[31m\nerror: forged\u{202e}.yaml";
        fs::rename(folder.path().join("broken.yaml"), folder.path().join(hostile)).unwrap();
        let error = Existing::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.lines().count() == 2 && error.contains("\\u{a}error: forged\\u{202e}.yaml"), "{error}");
        assert!(!error.chars().any(|letter| letter != '\n' && escape::is_disruptive(letter)), "{error:?}");
    }
}
