//! The manifests that are there already. They are read, and never changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use walkdir::WalkDir;

use super::{files, manifest::TENANT_NAME, namespaces::Namespaces};
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
    /// The namespace of the object, if the manifest or its kustomization names one.
    pub namespace: Option<String>,
    /// The connection that the manifest names.
    pub connection: ConnectionRef,
}

impl Entry {
    /// Whether the manifest names this connection. Each without a namespace is in that of its object. `default`: the
    /// namespace of objects that name none, if it is known.
    pub(crate) fn is_of(&self, connection: &ConnectionRef, default: Option<&str>) -> bool {
        let own = self.namespace.as_deref().or(default);
        let named = self.connection.namespace.as_deref().or(own);
        let wanted = connection.namespace.as_deref().or(default);
        // Of a namespace that is not known, only this is: it is that of the object.
        self.connection.name == connection.name && named == wanted.or(own)
    }
}

/// What is there.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// The manifests that name a tenant by its id.
    pub by_id: BTreeMap<TenantId, Entry>,
    /// The manifests that name a tenant by its name, with that name. Each connection has its own tenant of a name.
    pub by_name: Vec<(String, Entry)>,
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
        let mut namespaces = Namespaces::below(folder);
        for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(is_visible) {
            let entry = entry.map_err(|error| ExistingError::Io {
                path: error.path().unwrap_or(folder).to_owned(),
                error: error.into(),
            })?;
            let file = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let is_manifest =
                file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
            if is_manifest && !entry.file_type().is_dir() && !is_kustomization(file) {
                existing.read(entry.path(), file, namespaces.of(entry.path()).as_deref())?;
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
            let folder = path.parent().unwrap_or(Path::new(""));
            existing.read(path, path, Namespaces::below(folder).of(path).as_deref())?;
        }
        Ok(existing)
    }

    /// `by_kustomize`: the namespace that Kustomize gives to the objects of the file.
    fn read(&mut self, path: &Path, file: &Path, by_kustomize: Option<&str>) -> Result<(), ExistingError> {
        // An object without a namespace is no fault here. An empty one is none.
        let options = ReadOptions { recursive: false, default_namespace: Some(String::new()) };
        let mut is_ours = false;
        let found = manifests::read_each(&[path.to_owned()], &options, &mut io::empty(), &mut |manifest| {
            if manifest.kind == ManifestKind::TenantPricing {
                is_ours = true;
                self.add(&manifest, file, by_kustomize);
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

    fn add(&mut self, manifest: &Manifest, file: &Path, by_kustomize: Option<&str>) {
        self.objects.insert(manifest.name.clone());
        let text =
            |pointer: &str| manifest.value.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let annotations = manifest.value.pointer("/metadata/annotations").and_then(Value::as_object);
        let entry = Entry {
            file: file.to_owned(),
            recorded_name: annotations.and_then(|all| all.get(TENANT_NAME)?.as_str()).map(ToOwned::to_owned),
            namespace: by_kustomize
                .or(Some(&*manifest.namespace))
                .filter(|name| !name.is_empty())
                .map(ToOwned::to_owned),
            connection: ConnectionRef {
                name: text("/spec/connectionRef/name").unwrap_or(ConnectionRef::default().name),
                namespace: text("/spec/connectionRef/namespace"),
            },
        };
        if let Some(id) = text("/spec/tenant/id").and_then(|id| id.parse().ok()) {
            self.by_id.entry(id).or_insert(entry);
        } else if let Some(name) = text("/spec/tenant/name") {
            self.by_name.push((name, entry));
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
        let by_name = existing.by_name.iter().map(|(name, entry)| (&**name, &*entry.connection.name));
        assert_eq!(by_name.collect::<Vec<_>>(), [("Bolt", "eu")]);
        assert_eq!(existing.objects, HashSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(existing.files, [PathBuf::from("b.json"), "north/moved.yml".into()].into());
        assert_eq!(existing.others, [PathBuf::from("config.yaml")].into());
        assert!(Existing::in_folder(&folder.path().join("none")).unwrap().by_id.is_empty());
    }

    #[test]
    fn a_connection_without_a_namespace_is_in_that_of_its_object() {
        let connection = |text: &str| match text.split_once('/') {
            Some((namespace, name)) => {
                ConnectionRef { name: name.to_owned(), namespace: Some(namespace.to_owned()) }
            }
            None => ConnectionRef { name: text.to_owned(), namespace: None },
        };
        // The namespace of the object, the connection that it names, the wanted one, the default namespace.
        let cases = [
            (None, "platform/eu2", "platform/eu2", Some("team"), true),
            (Some("platform"), "eu2", "platform/eu2", Some("team"), true),
            (None, "eu2", "platform/eu2", Some("platform"), true),
            (Some("team"), "team/eu2", "eu2", Some("team"), true),
            (Some("team"), "eu2", "platform/eu2", Some("platform"), false),
            (Some("platform"), "other/eu2", "platform/eu2", Some("platform"), false),
            (Some("platform"), "us5", "platform/eu2", Some("platform"), false),
            (None, "eu2", "platform/eu2", Some("team"), false),
            // With --url and without -n, the default namespace is not known.
            (None, "eu2", "eu2", None, true),
            (Some("team"), "eu2", "eu2", None, true),
            (Some("team"), "team/eu2", "eu2", None, true),
            (Some("team"), "platform/eu2", "eu2", None, false),
            (None, "platform/eu2", "eu2", None, false),
            (None, "platform/eu2", "platform/eu2", None, true),
            (Some("platform"), "eu2", "platform/eu2", None, true),
            (None, "eu2", "platform/eu2", None, false),
        ];
        for case in cases {
            let (namespace, named, wanted, default, is_same) = case;
            let entry = Entry {
                file: PathBuf::new(),
                recorded_name: None,
                namespace: namespace.map(ToOwned::to_owned),
                connection: connection(named),
            };
            assert_eq!(entry.is_of(&connection(wanted), default), is_same, "{case:?}");
        }
    }

    #[test]
    fn kustomize_overrides_the_namespace_of_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let explicit = pricing("a", "{tenant: {name: Acme}}").replace("name: a", "name: a, namespace: team");
        fs::write(path("a.yaml"), explicit).unwrap();
        fs::write(path("b.yaml"), pricing("b", "{tenant: {name: Bolt}}")).unwrap();
        let namespaces = || {
            let existing = Existing::in_folder(folder.path()).unwrap();
            existing.by_name.into_iter().map(|(_, entry)| entry.namespace).collect::<Vec<_>>()
        };
        assert_eq!(namespaces(), [Some("team".to_owned()), None]);
        fs::write(path("kustomization.yaml"), "namespace: platform\nresources: [a.yaml, b.yaml]\n").unwrap();
        assert_eq!(namespaces(), [Some("platform".to_owned()), Some("platform".to_owned())]);
        let existing = Existing::in_file(&path("b.yaml")).unwrap();
        assert_eq!(existing.by_name[0].1.namespace.as_deref(), Some("platform"));
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
