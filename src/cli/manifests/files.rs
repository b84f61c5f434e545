//! The files at a path, as texts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Position, Problem, STANDARD_INPUT, Severity};

/// The maximum size of a file in bytes. 100,000 objects of a usual size fit.
pub const MAX_FILE_BYTES: u64 = 128 * 1024 * 1024;

/// The name of standard input in messages.
const STANDARD_INPUT_NAME: &str = "standard input";

/// The endings of the files that are read in a folder, as in `kubectl`.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// What is found at a path.
pub(super) enum Event {
    /// The text of a file.
    Text { file: String, text: String },
    /// A file or folder that cannot be read.
    Problem(Problem),
}

/// Calls `visit` for each file at the paths, until it answers false. No file is visited twice.
pub(super) fn read(
    paths: &[PathBuf],
    recursive: bool,
    input: &mut dyn Read,
    visit: &mut dyn FnMut(Event) -> bool,
) {
    let mut visited = BTreeSet::new();
    for path in paths {
        let going_on = if path.as_os_str() == STANDARD_INPUT {
            read_input(input, visit)
        } else if path.is_dir() {
            read_folder(path, recursive, &mut visited, visit)
        } else {
            read_file(path, &mut visited, visit)
        };
        if !going_on {
            return;
        }
    }
}

fn read_input(input: &mut dyn Read, visit: &mut dyn FnMut(Event) -> bool) -> bool {
    visit(match text(input) {
        Ok(text) if text.trim().is_empty() => error(
            STANDARD_INPUT_NAME,
            "it is empty: write manifests to it, such as with kustomize build | …, or name files and folders",
        ),
        Ok(text) => Event::Text { file: STANDARD_INPUT_NAME.to_owned(), text },
        Err(fault) => error(STANDARD_INPUT_NAME, &fault.message()),
    })
}

fn read_folder(
    folder: &Path,
    recursive: bool,
    visited: &mut BTreeSet<PathBuf>,
    visit: &mut dyn FnMut(Event) -> bool,
) -> bool {
    let depth = if recursive { usize::MAX } else { 1 };
    let mut found = false;
    // A link inside the folder is not followed: it may lead out of the repository, or back to the folder itself.
    for entry in WalkDir::new(folder).min_depth(1).max_depth(depth).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(fault) => {
                found = true;
                let path = fault.path().unwrap_or(folder).display().to_string();
                let fault = fault.into_io_error().unwrap_or_else(|| io::Error::other("it cannot be read"));
                if !visit(error(&path, &Fault::Io(fault).message())) {
                    return false;
                }
                continue;
            }
        };
        let path = entry.path();
        let is_link = entry.path_is_symlink();
        if entry.file_type().is_dir() || !is_link && !has_ending(path) {
            continue;
        }
        let is_folder = is_link && path.is_dir();
        if !is_folder && !has_ending(path) {
            continue;
        }
        let going_on = if is_folder {
            // Without `recursive`, a folder is not read either way.
            !recursive
                || visit(note(
                    path,
                    "a link to a folder is not followed: name the folder itself, if it is meant",
                ))
        } else if is_link && fs::metadata(path).is_ok_and(|target| !target.is_file())
            || !is_link && !entry.file_type().is_file()
        {
            visit(note(path, "it is no file, so it is not read: remove it, or name it alone"))
        } else {
            found = true;
            read_file(path, visited, visit)
        };
        if !going_on {
            return false;
        }
    }
    let hint = if recursive { "" } else { ", or add --recursive to read the folders inside it" };
    found
        || visit(error(
            &folder.display().to_string(),
            &format!("the folder holds no file ending in .yaml, .yml or .json: name another one{hint}"),
        ))
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn read_file(path: &Path, visited: &mut BTreeSet<PathBuf>, visit: &mut dyn FnMut(Event) -> bool) -> bool {
    if path.canonicalize().is_ok_and(|path| !visited.insert(path)) {
        return true;
    }
    let file = path.display().to_string();
    let read = File::open(path).map_err(Fault::Io).and_then(|mut opened| text(&mut opened));
    visit(match read {
        Ok(text) => Event::Text { file, text },
        Err(fault) => error(&file, &fault.message()),
    })
}

/// Why a file has no text.
enum Fault {
    Io(io::Error),
    TooLarge,
    OtherEncoding,
    NotText,
}

impl Fault {
    fn message(&self) -> String {
        match self {
            Self::Io(fault) if fault.kind() == io::ErrorKind::NotFound => {
                "there is no such file or folder: check the path".to_owned()
            }
            Self::Io(fault) if fault.kind() == io::ErrorKind::PermissionDenied => {
                "it may not be read: give the permission to read it, or leave it out".to_owned()
            }
            Self::Io(fault) => format!("it cannot be read ({fault}): correct that, or leave it out"),
            Self::TooLarge => {
                format!("it has more than {} MiB: split it into several files", MAX_FILE_BYTES / 1024 / 1024)
            }
            Self::OtherEncoding => "it is UTF-16 text: save it as UTF-8".to_owned(),
            Self::NotText => "it is no UTF-8 text: save it as UTF-8, or leave it out".to_owned(),
        }
    }
}

fn text(source: &mut dyn Read) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(Fault::Io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Fault::TooLarge);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Fault::OtherEncoding);
    }
    String::from_utf8(bytes).map_err(|_| Fault::NotText)
}

fn error(file: &str, message: &str) -> Event {
    Event::Problem(Problem {
        severity: Severity::Error,
        position: Position::of_file(file),
        message: message.to_owned(),
    })
}

fn note(path: &Path, message: &str) -> Event {
    Event::Problem(Problem {
        severity: Severity::Note,
        position: Position::of_file(&path.display().to_string()),
        message: message.to_owned(),
    })
}
