//! One file with all manifests.

use std::{fs, io, path::Path};

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
    let before = if files::is_there(path) { Some(fs::read_to_string(path).map_err(failed)?) } else { None };
    let is_blank = before.as_deref().is_none_or(|text| text.trim().is_empty());
    if !is_blank && existing.files.is_empty() {
        return Err(WriteError::InTheWay(path.to_owned()));
    }
    let mut text = before.clone().unwrap_or_default();
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
    match before {
        None => files::create(folder, path, &text).map_err(failed),
        Some(before) if fs::read_to_string(path).is_ok_and(|now| now == before) => {
            files::replace(folder, path, &text).map_err(failed)
        }
        Some(_) => Err(WriteError::Changed(path.to_owned())),
    }
}
