//! One file with all manifests.

use std::{io, path::Path};

use super::{
    NewManifest, WriteError, Writing,
    existing::Existing,
    files::{self, FolderLock},
};

/// Adds the new manifests to the end of a file. Every byte that is there stays.
///
/// # Errors
/// The file is not one of this program's, the operating system refuses, or the file changes meanwhile. It is then as it
/// was.
pub(crate) fn write(
    path: &Path,
    existing: &Existing,
    manifests: &[NewManifest<'_>],
    writing: &Writing<'_>,
) -> Result<(), WriteError> {
    let failed =
        |error: io::Error| WriteError::Io { path: path.to_owned(), error, written: 0, of: manifests.len() };
    if manifests.is_empty() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _lock = FolderLock::take(folder)?;
    files::remove_drafts(folder).map_err(failed)?;
    let changed = || WriteError::Changed(path.to_owned());
    // What the manifests were compared with. Another import may have written while this one read the platform.
    if files::bytes(path).map_err(failed)? != existing.bytes {
        return Err(changed());
    }
    let before = existing.bytes.as_deref().unwrap_or_default();
    let mut text = std::str::from_utf8(before).map_err(|_| WriteError::InTheWay(path.to_owned()))?.to_owned();
    if !text.trim().is_empty() && existing.files.is_empty() {
        return Err(WriteError::InTheWay(path.to_owned()));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for manifest in manifests {
        if writing.is_stopped() {
            return Err(WriteError::Stopped { written: 0, of: manifests.len() });
        }
        text.push_str("---\n");
        text.push_str(&writing.manifest(manifest)?);
    }
    if existing.bytes.is_none() {
        return files::create(folder, path, &text).map_err(failed);
    }
    // An editor knows no lock.
    if files::bytes(path).map_err(failed)? != existing.bytes {
        return Err(changed());
    }
    files::replace(folder, path, &text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{cli::import::listing::Listing, platform::TenantId};

    const ONE: &str = "apiVersion: tenantpricing.io/v1alpha1\nkind: TenantPricing\nmetadata: {name: one}\nspec: {tenant: \
                       {name: One}}\n";

    /// Reads the file, lets `meanwhile` happen, and writes one new manifest. Returns what is in the file then.
    fn import(path: &Path, meanwhile: impl FnOnce()) -> Result<String, WriteError> {
        let existing = Existing::in_file(path).unwrap();
        meanwhile();
        let tenant: TenantId = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7".parse().unwrap();
        let stop = CancellationToken::new();
        let listing = Listing::below(tenant.clone());
        let writing =
            Writing { listing: &listing, namespace: None, connection: None, pins_mode: false, stop: &stop };
        let manifest = NewManifest { tenant: &tenant, object: "acme".to_owned(), group: None };
        write(path, &existing, &[manifest], &writing)?;
        Ok(fs::read_to_string(path).unwrap())
    }

    fn file(text: Option<&str>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tenants.yaml");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn manifests_are_added_behind_what_was_read() {
        for before in [None, Some(""), Some(ONE)] {
            let (_folder, path) = file(before);
            let text = import(&path, || {}).unwrap();
            assert!(text.starts_with(before.unwrap_or_default()) && text.contains("name: acme"), "{text}");
        }
    }

    /// Another import may have written the same tenants.
    #[test]
    fn a_file_that_changed_after_it_was_read_stays_as_it_is() {
        let other = ONE.replace("one", "other");
        for (before, after) in [
            (None, Some(ONE)),
            (None, Some("")),
            (Some(""), Some(ONE)),
            (Some(ONE), Some(&*format!("{ONE}---\n{other}"))),
            (Some(ONE), Some(&*other)),
            (Some(ONE), None),
        ] {
            let (_folder, path) = file(before);
            let meanwhile = || match after {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            };
            let error = import(&path, meanwhile).unwrap_err();
            assert!(matches!(error, WriteError::Changed(_)), "{before:?} to {after:?}: {error}");
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), after, "{before:?}");
        }
    }
}
