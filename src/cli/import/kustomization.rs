//! The `kustomization.yaml` of a folder: the sorted list of its manifests.
//!
//! A folder that others use as it is gets none, since Flux and Argo CD treat a folder with one differently. One that a
//! person wrote or edited is left alone.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::files;

/// The name of the file.
pub(crate) const FILE: &str = "kustomization.yaml";

/// The other names that Kustomize knows. It refuses a folder with two of them.
const OTHER_NAMES: [&str; 2] = ["kustomization.yml", "Kustomization"];

/// The next list, until the files in it are written. A run that is killed leaves it to the next one.
const PENDING: &str = ".tenantpricing-kustomization";

/// The first lines of a file that this program wrote.
const HEADER: &str =
    "# `kubectl-tenantpricing import` keeps this list. After any other edit, it leaves the file alone.\n";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    api_version: String,
    kind: String,
    resources: BTreeSet<String>,
}

/// What can be read of any file of this kind.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AnyKustomization {
    /// The namespace that Kustomize gives to all objects.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The files and folders.
    #[serde(default)]
    pub resources: BTreeSet<String>,
}

/// What a folder has.
#[derive(Debug)]
pub(crate) enum Found {
    /// None.
    Absent,
    /// One that this program wrote, with this list.
    Own(BTreeSet<String>),
    /// One of somebody else, with what can be read of its list.
    Foreign(PathBuf, BTreeSet<String>),
}

/// Looks for the file in a folder.
///
/// # Errors
/// It is there, and cannot be read.
pub(crate) fn find(folder: &Path) -> io::Result<Found> {
    let Some(path) = path_in(folder) else { return Ok(Found::Absent) };
    let bytes = fs::read(&path)?;
    let text = String::from_utf8_lossy(&bytes);
    match own_list(&text) {
        Some(resources) if path.file_name().is_some_and(|name| name == FILE) => Ok(Found::Own(resources)),
        _ => Ok(Found::Foreign(path, any(&text).resources)),
    }
}

fn path_in(folder: &Path) -> Option<PathBuf> {
    let names = [FILE].into_iter().chain(OTHER_NAMES);
    names.map(|name| folder.join(name)).find(|path| files::is_there(path))
}

/// What can be read of the file in a folder, also of one that a person wrote.
pub(crate) fn any_of(folder: &Path) -> AnyKustomization {
    let text = path_in(folder).and_then(|path| fs::read_to_string(path).ok());
    text.map(|text| any(&text)).unwrap_or_default()
}

/// The list that a killed run left, empty if there is none.
pub(crate) fn pending(folder: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join(PENDING)).unwrap_or_default();
    own_list(&text).unwrap_or_default()
}

/// Stores the next list beside the file.
///
/// # Errors
/// The operating system refuses.
pub(crate) fn prepare(folder: &Path, resources: &BTreeSet<String>) -> io::Result<()> {
    files::replace(folder, &folder.join(PENDING), &render(resources)?)
}

/// Puts a list into place, if it is another one, and drops the stored one.
///
/// # Errors
/// The operating system refuses.
pub(crate) fn complete(
    folder: &Path,
    before: &Found,
    resources: Option<&BTreeSet<String>>,
) -> io::Result<()> {
    let path = folder.join(FILE);
    match (before, resources) {
        (Found::Absent, Some(list)) if !list.is_empty() => files::create(folder, &path, &render(list)?)?,
        (Found::Own(before), Some(list)) if before != list => files::replace(folder, &path, &render(list)?)?,
        _ => {}
    }
    match fs::remove_file(folder.join(PENDING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn render(resources: &BTreeSet<String>) -> io::Result<String> {
    let kustomization = Kustomization {
        api_version: "kustomize.config.k8s.io/v1beta1".to_owned(),
        kind: "Kustomization".to_owned(),
        resources: resources.clone(),
    };
    let text = serde_saphyr::to_string(&kustomization).map_err(io::Error::other)?;
    Ok(format!("{HEADER}{text}"))
}

/// The list of a file that is byte for byte what this program writes.
fn own_list(text: &str) -> Option<BTreeSet<String>> {
    let Kustomization { resources, .. } = serde_saphyr::from_str(text.strip_prefix(HEADER)?).ok()?;
    (render(&resources).ok()? == text).then_some(resources)
}

fn any(text: &str) -> AnyKustomization {
    let mut found: AnyKustomization = serde_saphyr::from_str(text).unwrap_or_default();
    let plain = |path: String| path.strip_prefix("./").map_or(path.clone(), ToOwned::to_owned);
    found.resources = found.resources.into_iter().map(plain).collect();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().copied().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_list_is_sorted_and_recognised() {
        let text = render(&set(&["b.yaml", "north/a.yaml", "a.yaml"])).unwrap();
        let expected = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n\
                        - a.yaml\n- b.yaml\n- north/a.yaml\n";
        assert_eq!(text, format!("{HEADER}{expected}"));
        assert_eq!(own_list(&text), Some(set(&["a.yaml", "b.yaml", "north/a.yaml"])));
        assert_eq!(own_list(&render(&set(&[])).unwrap()), Some(set(&[])));
    }

    #[test]
    fn an_edited_file_is_foreign() {
        let text = render(&set(&["a.yaml", "b.yaml"])).unwrap();
        for edited in [
            text.replace("resources:", "namespace: tenants\nresources:"),
            format!("{text}# more\n"),
            text.replace("- a.yaml\n- b.yaml", "- b.yaml\n- a.yaml"),
            text.replace(HEADER, ""),
            text.replace('\n', "\r\n"),
        ] {
            assert_eq!(own_list(&edited), None, "{edited}");
        }
        assert_eq!(
            any("resources: [./a.yaml, ../base]\nnamePrefix: x-\n").resources,
            set(&["a.yaml", "../base"])
        );
        assert_eq!(any("{{ not yaml").resources, set(&[]));
    }

    #[test]
    fn another_name_of_the_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(find(folder.path()).unwrap(), Found::Absent));
        fs::write(folder.path().join("kustomization.yml"), "resources: [a.yaml]").unwrap();
        let Found::Foreign(path, list) = find(folder.path()).unwrap() else { panic!("it is there") };
        assert_eq!((path.file_name().unwrap().to_str(), list), (Some("kustomization.yml"), set(&["a.yaml"])));
    }

    #[test]
    fn a_pending_list_is_left_to_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let list = set(&["a.yaml"]);
        assert_eq!(pending(folder.path()), set(&[]));
        prepare(folder.path(), &list).unwrap();
        assert_eq!(pending(folder.path()), list);
        complete(folder.path(), &Found::Absent, Some(&list)).unwrap();
        assert_eq!(pending(folder.path()), set(&[]));
        assert!(matches!(find(folder.path()).unwrap(), Found::Own(found) if found == list));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
