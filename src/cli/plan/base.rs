//! The manifests to compare with: a folder, or a revision that git is asked for.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    PlanError,
    document::Note,
    input::{self, Input},
};

/// Reads the base. What cannot be read in it is noted.
///
/// # Errors
/// There is no such folder or revision, or git cannot be run.
pub(crate) fn read(
    base: &str,
    files: &[PathBuf],
    recursive: bool,
    namespace: Option<String>,
    notes: &mut Vec<Note>,
) -> Result<Input, PlanError> {
    let path = Path::new(base);
    if path.exists() {
        return Ok(input::read(&[path.to_owned()], recursive, namespace, notes));
    }
    let (revision, paths) = match base.split_once(':') {
        Some((revision, path)) => (revision, vec![PathBuf::from(path)]),
        None => (base, files.to_vec()),
    };
    let failed = |why: String| PlanError::Base(format!("{base:?}: {why}"));
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let commit =
        git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])
            .map_err(|why| failed(no_revision(&why)))?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();
    let prefix = git(&["rev-parse", "--show-prefix"]).map_err(failed)?;
    let prefix = String::from_utf8_lossy(&prefix).trim_end_matches('\n').to_owned();
    let mut found = Vec::new();
    for path in &paths {
        let inside = inside(&prefix, path).ok_or_else(|| {
            failed(format!("{} is not in the repository; name it as REV:PATH", path.display()))
        })?;
        if check_out(&commit, &inside, folder.path()).map_err(failed)? {
            found.push(folder.path().join(&inside));
        }
    }
    // A path that the revision does not have holds nothing there: everything is new.
    let mut own = Vec::new();
    let read =
        if found.is_empty() { Input::default() } else { input::read(&found, recursive, namespace, &mut own) };
    for mut note in own {
        if let Some(source) = &mut note.source {
            let shown =
                Path::new(&source.file).strip_prefix(folder.path()).map(|path| path.display().to_string());
            source.file = format!("{revision}:{}", shown.unwrap_or_else(|_| source.file.clone()));
        }
        // The base is merged already, so a fault in it is no error of this change.
        notes.push(Note { is_error: false, ..note });
    }
    Ok(read)
}

fn no_revision(why: &str) -> String {
    if why.is_empty() {
        "there is no such folder, file or revision of git".to_owned()
    } else {
        why.to_owned()
    }
}

/// Runs git and returns its output.
fn git(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("git").args(arguments).stdin(Stdio::null()).output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            "git is not installed; name a folder instead".to_owned()
        } else {
            format!("git cannot be run: {error}")
        }
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The path inside the repository, given the folder of the repository in which the command runs.
fn inside(prefix: &str, path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::from(prefix);
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => inside.push(part),
            Component::ParentDir => {
                if !inside.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

/// Writes the files of a commit below `path` into a folder. Returns whether there are any.
fn check_out(commit: &str, path: &Path, folder: &Path) -> Result<bool, String> {
    let path_text = path.to_str().ok_or("a path is not text")?;
    let pathspec = if path_text.is_empty() { "." } else { path_text };
    // The paths are relative to the root of the repository, wherever the command runs.
    let literal = format!(":(top,literal){}", if pathspec == "." { "" } else { pathspec });
    let listed = git(&["ls-tree", "-r", "-z", "--full-tree", commit, "--", pathspec])
        .or_else(|_| git(&["ls-tree", "-r", "-z", "--full-tree", commit, "--", &literal]))?;
    let mut is_found = false;
    for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let entry = String::from_utf8_lossy(entry);
        let Some((head, name)) = entry.split_once('\t') else { continue };
        let mut fields = head.split(' ');
        let (mode, kind, id) = (fields.next(), fields.next(), fields.next());
        // Links and submodules are not followed.
        let (Some("100644" | "100755"), Some("blob"), Some(id)) = (mode, kind, id) else { continue };
        let target = folder.join(inside("", Path::new(name)).ok_or("a path leaves the repository")?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        }
        fs::write(&target, git(&["cat-file", "blob", id])?).map_err(|error| error.to_string())?;
        is_found = true;
    }
    Ok(is_found)
}
