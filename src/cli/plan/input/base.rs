//! The manifests to compare with: a folder or file, or a revision that git is asked for.

use std::path::{Component, Path, PathBuf};

use super::{
    Input,
    git::{self, GitError},
    read_base,
};
use crate::cli::{
    manifests::STANDARD_INPUT,
    plan::{PlanError, document::Note},
};

/// Reads the base. What cannot be read in it is noted, and counts as absent.
///
/// # Errors
/// There is no such folder or revision, the name can mean both, or git cannot be run.
pub(crate) fn read(
    base: &str,
    files: &[PathBuf],
    recursive: bool,
    namespace: Option<String>,
    notes: &mut Vec<Note>,
) -> Result<Input, PlanError> {
    let failed = |why: String| PlanError::Base(format!("{base:?}: {why}"));
    let Some(revision) = Revision::of(base).map_err(failed)? else {
        let mut own = Vec::new();
        let read = read_base(&[base.into()], recursive, namespace, &mut own);
        notes.extend(own.into_iter().map(no_error));
        return Ok(read);
    };
    let paths = match revision.path {
        Some(path) => vec![PathBuf::from(path)],
        None if files.iter().any(|file| file.as_os_str() == STANDARD_INPUT) => {
            return Err(failed(
                "a revision has no standard input. Write the manifests of the base into a file, and name that file"
                    .to_owned(),
            ));
        }
        None => files.to_vec(),
    };
    let inside = |path: &PathBuf| {
        let inside = git::inside_repository(path).map_err(|error| failed(error.to_string()))?;
        inside.ok_or_else(|| {
            failed(format!("{} is not in the repository; name it as REV:PATH", path.display()))
        })
    };
    let paths: Vec<PathBuf> = paths.iter().map(inside).collect::<Result<_, _>>()?;
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let wanted = paths.iter().cloned().collect();
    let is_there = git::check_out(&revision.commit, &wanted, recursive, folder.path())
        .map_err(|error| failed(error.to_string()))?;
    let (found, missing): (Vec<PathBuf>, _) = paths.into_iter().partition(|path| is_there.contains(path));
    for path in missing {
        let shown = if path.as_os_str().is_empty() { Path::new("file") } else { &path };
        let message = format!("{} has no {}", revision.name, shown.display());
        if revision.path.is_some() {
            return Err(failed(message));
        }
        let message = format!("{message}: everything in it counts as new.");
        notes.push(Note { is_error: false, source: None, message });
    }
    let found = found.iter().map(|path| folder.path().join(path));
    // A folder without a manifest is not written.
    let found: Vec<PathBuf> = found.filter(|path| path.symlink_metadata().is_ok()).collect();
    let mut own = Vec::new();
    let read =
        if found.is_empty() { Input::default() } else { read_base(&found, recursive, namespace, &mut own) };
    // The folder is gone when a person reads of it.
    let (folder, shown) = (format!("{}/", folder.path().display()), format!("{}:", revision.name));
    for mut note in own {
        if let Some(source) = &mut note.source {
            source.file = source.file.replacen(&folder, &shown, 1);
            source.rendered = source.rendered.take().map(|place| place.replacen(&folder, &shown, 1));
        }
        note.message = note.message.replace(&folder, &shown);
        notes.push(no_error(note));
    }
    Ok(read)
}

/// A note about the base. It is merged already, so a fault in it is no error of this change.
fn no_error(note: Note) -> Note {
    Note { is_error: false, ..note }
}

/// A revision of git, and what of it is meant.
struct Revision<'a> {
    name: &'a str,
    commit: String,
    path: Option<&'a str>,
}

impl<'a> Revision<'a> {
    /// The revision that a base names. `None`: it names a folder or file.
    ///
    /// The files here may come from the change itself. So none of them can take the place of a revision of its name.
    fn of(base: &'a str) -> Result<Option<Self>, String> {
        let path = Path::new(base);
        if is_only_a_path(path) {
            return if path.exists() { Ok(None) } else { Err("there is no such folder or file".to_owned()) };
        }
        let (name, inside) = match base.split_once(':') {
            Some((name, inside)) => (name, Some(inside)),
            None => (base, None),
        };
        match (git::commit(name), path.exists()) {
            (Ok(None) | Err(GitError::Absent(_)), true) => Ok(None),
            (Ok(Some(commit)), false) => Ok(Some(Self { name, commit, path: inside })),
            (Ok(Some(commit)), true) => Err(format!(
                "it is a revision of git, and a folder or file here has this name, too. For the revision write \
                 {commit}{}, for the folder or file ./{base}",
                inside.map(|inside| format!(":{inside}")).unwrap_or_default()
            )),
            (Ok(None), false) => Err("there is no such folder, file or revision of git".to_owned()),
            (Err(error), _) => Err(error.to_string()),
        }
    }
}

/// Whether a name is that of a path, and never of a revision: it begins with `/`, `./` or `../`.
fn is_only_a_path(name: &Path) -> bool {
    !matches!(name.components().next(), None | Some(Component::Normal(_)))
}
