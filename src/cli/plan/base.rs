//! The manifests to compare with: a folder, or a revision that git is asked for.

use std::{
    fs,
    io::{self, Seek, Write},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    PlanError,
    document::Note,
    input::{self, Input, Validation},
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
        return Ok(input::read(&[path.to_owned()], recursive, namespace, Validation::Local, notes));
    }
    let (revision, paths) = match base.split_once(':') {
        Some((revision, path)) => (revision, vec![PathBuf::from(path)]),
        None => (base, files.to_vec()),
    };
    let failed = |why: String| PlanError::Base(format!("{base:?}: {why}"));
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let commit = git(
        &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")],
        Stdio::null(),
    )
    .map_err(|why| failed(no_revision(&why)))?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();
    let prefix = git(&["rev-parse", "--show-prefix"], Stdio::null()).map_err(failed)?;
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
    let read = if found.is_empty() {
        Input::default()
    } else {
        input::read(&found, recursive, namespace, Validation::Local, &mut own)
    };
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

/// Runs git with this input, and returns its output.
fn git(arguments: &[&str], input: Stdio) -> Result<Vec<u8>, String> {
    let output = Command::new("git").args(arguments).stdin(input).output().map_err(|error| {
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
    let path = path.to_str().ok_or("a path is not text")?;
    let pathspec = if path.is_empty() { "." } else { path };
    let listed = git(&["ls-tree", "-r", "-z", "--full-tree", commit, "--", pathspec], Stdio::null())?;
    let mut blobs = Vec::new();
    for entry in listed.split(|byte| *byte == 0) {
        let entry = String::from_utf8_lossy(entry);
        let Some((head, name)) = entry.split_once('\t') else { continue };
        let mut fields = head.split(' ');
        // Links and submodules are not followed.
        let (Some("100644" | "100755"), Some("blob"), Some(id)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let target = inside("", Path::new(name)).ok_or("a path leaves the repository")?;
        blobs.push((id.to_owned(), folder.join(target)));
    }
    write_blobs(&blobs).map_err(|error| error.to_string())?;
    Ok(!blobs.is_empty())
}

/// Writes each blob to its file. One process of git reads them all.
fn write_blobs(blobs: &[(String, PathBuf)]) -> io::Result<()> {
    let unexpected = || io::Error::other("the answer of git cat-file cannot be understood");
    let mut wanted = tempfile::tempfile()?;
    blobs.iter().try_for_each(|(id, _)| writeln!(wanted, "{id}"))?;
    wanted.rewind()?;
    let read = git(&["cat-file", "--batch"], wanted.into()).map_err(io::Error::other)?;
    let mut rest = read.as_slice();
    for (id, target) in blobs {
        // Each blob is `ID blob SIZE`, a line break, the content, and a line break.
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(unexpected)?;
        let head = std::str::from_utf8(&rest[..end]).map_err(|_| unexpected())?;
        let size = head.strip_prefix(&format!("{id} blob ")).and_then(|size| size.parse::<usize>().ok());
        let content = size.and_then(|size| rest.get(end + 1..)?.get(..size)).ok_or_else(unexpected)?;
        rest = rest.get(end + 1 + content.len() + 1..).ok_or_else(unexpected)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(target, content)?;
    }
    Ok(())
}
