//! Writing files as a whole: beside their place first, then renamed into it.
//!
//! A process that is killed leaves a draft at most. Its name says whose it is, and the next run removes it.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

use crate::cli::output::escape;

/// The beginning of the name of each draft.
const DRAFT: &str = ".tenantpricing-import-";

/// Writes a file that does not exist yet.
///
/// # Errors
/// There is something at this place, or the operating system refuses.
pub(crate) fn create(drafts: &Path, path: &Path, text: &str) -> io::Result<()> {
    draft(drafts, text)?.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

/// Writes a file in place of the one that is there, with its permissions.
///
/// # Errors
/// The operating system refuses. What was there is then still there.
pub(crate) fn replace(drafts: &Path, path: &Path, text: &str) -> io::Result<()> {
    let draft = draft(drafts, text)?;
    if let Ok(metadata) = fs::metadata(path) {
        fs::set_permissions(draft.path(), metadata.permissions())?;
    }
    draft.persist(path).map(drop).map_err(|error| error.error)
}

fn draft(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(DRAFT);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the user's mask leaves. A draft alone would be private.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut draft = builder.tempfile_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.flush()?;
    Ok(draft)
}

/// Removes the drafts that a killed run left behind.
///
/// # Errors
/// The operating system refuses.
pub(crate) fn remove_drafts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_draft(&entry.path()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_draft(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DRAFT))
}

/// Whether there is anything at a path, even a link that leads nowhere.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The bytes of a file. `None`: there is nothing at the path, not even a link that leads nowhere.
///
/// # Errors
/// The operating system refuses.
pub(crate) fn bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(_) => fs::read(path).map(Some),
    }
}

/// The right to write into a folder, which one run at a time has.
#[derive(Debug)]
pub(crate) struct FolderLock {
    /// Closing it gives the right back, also when the process is killed.
    _folder: Option<fs::File>,
}

/// Another run writes into the folder.
#[derive(Debug, thiserror::Error)]
#[error("another import writes to {}: wait until it has ended", escape::path(.0))]
pub(crate) struct Locked(PathBuf);

impl FolderLock {
    /// Takes the right. A file system without locks counts as free.
    ///
    /// # Errors
    /// Another run has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, Locked> {
        let Ok(opened) = fs::File::open(folder) else { return Ok(Self { _folder: None }) };
        match opened.try_lock() {
            Err(fs::TryLockError::WouldBlock) => Err(Locked(folder.to_owned())),
            Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(Self { _folder: Some(opened) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_never_in_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.yaml");
        create(folder.path(), &path, "one").unwrap();
        assert_eq!(create(folder.path(), &path, "two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_file_and_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let (usual, path) = (folder.path().join("usual"), folder.path().join("acme.yaml"));
        fs::write(&usual, "").unwrap();
        create(folder.path(), &path, "one").unwrap();
        assert_eq!(mode(&path), mode(&usual));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(folder.path(), &path, "two").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap().as_str()), (0o640, "two"));
    }

    #[test]
    fn only_drafts_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".tenantpricing-import-x1"), "").unwrap();
        fs::write(folder.path().join(".hidden"), "").unwrap();
        fs::write(folder.path().join("acme.yaml"), "").unwrap();
        remove_drafts(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn one_run_at_a_time_writes_into_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("another import writes to"), "{error}");
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
