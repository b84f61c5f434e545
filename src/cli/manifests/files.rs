//! The files at a path, as texts.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    env,
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use super::{
    Position, Problem, STANDARD_INPUT, Severity,
    rendered::{self, Doubt, Rendered},
};

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
    /// What is applied of a file, which had its text before, may differ from it. `problem` says why, unless another one
    /// does. It matters only if an object is in the file.
    Doubt { file: String, problem: Option<Problem> },
}

/// The files that were visited, by their real path, as they were named.
type Visited = BTreeMap<PathBuf, String>;

/// Calls `visit` for each file at the paths, until it answers false. No file is visited twice.
pub(super) fn read(
    paths: &[PathBuf],
    recursive: bool,
    input: &mut dyn Read,
    visit: &mut dyn FnMut(Event) -> bool,
) {
    let mut visited = Visited::new();
    for path in paths {
        let going_on = if path.as_os_str() == STANDARD_INPUT {
            read_input(input, visit)
        } else if leaves_working_folder(path) {
            visit(error(
                &path.display().to_string(),
                "a link in this path leads out of the current folder: name the file or folder that is meant",
            ))
        } else if path.is_dir() {
            read_folder(path, recursive, &mut visited, visit)
        } else if rendered::is_kustomization(path) {
            visit(error(&path.display().to_string(), &rendered::no_manifest(path)))
        } else {
            read_file(path, &mut visited, visit)
        };
        if !going_on {
            return;
        }
    }
}

/// Whether a path that counts from the current folder leaves it by a link. In a checkout, the author of a change
/// chooses where links lead to.
fn leaves_working_folder(path: &Path) -> bool {
    if !path.components().all(|part| matches!(part, Component::CurDir | Component::Normal(_))) {
        return false;
    }
    let folder = env::current_dir().and_then(|folder| folder.canonicalize());
    matches!((folder, path.canonicalize()), (Ok(folder), Ok(path)) if !path.starts_with(&folder))
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
    visited: &mut Visited,
    visit: &mut dyn FnMut(Event) -> bool,
) -> bool {
    let depth = if recursive { usize::MAX } else { 1 };
    let (mut found, mut rendered, mut manifests) = (false, Rendered::default(), Vec::new());
    // A link to a folder is not followed: it may lead back to the folder itself.
    for entry in WalkDir::new(folder).min_depth(1).max_depth(depth).sort_by_file_name() {
        let going_on = match entry {
            Ok(entry) => match kind(folder, &entry) {
                Kind::Other => true,
                Kind::LinkToFolder if !recursive => true,
                Kind::LinkToFolder => visit(note(
                    entry.path(),
                    "a link to a folder is not followed: name the folder itself, if it is meant",
                )),
                Kind::LinkOut => {
                    found = true;
                    let file = entry.path().display().to_string();
                    let message = "it is a link to a file that is not in the folder, and is not followed: name that \
                                   file, or put it into the folder";
                    visit(error(&file, message))
                }
                Kind::NoFile => {
                    visit(note(entry.path(), "it is no file, so it is not read: remove it, or name it alone"))
                }
                Kind::Chart => {
                    found = true;
                    rendered.chart(entry.path());
                    true
                }
                Kind::Kustomization => {
                    found = true;
                    let read = read_text(entry.path());
                    rendered.kustomization(entry.path(), read.as_deref().ok());
                    let file = entry.path().display().to_string();
                    read.err().is_none_or(|fault| visit(error(&file, &fault.message())))
                }
                Kind::Manifest => {
                    found = true;
                    manifests.push(entry.path().to_owned());
                    read_file(entry.path(), visited, visit)
                }
            },
            Err(fault) => {
                found = true;
                let path = fault.path().unwrap_or(folder).display().to_string();
                let fault = fault.into_io_error().unwrap_or_else(|| io::Error::other("it cannot be read"));
                visit(error(&path, &Fault::Io(fault).message()))
            }
        };
        if !going_on {
            return false;
        }
    }
    let (problems, doubts) = rendered.check(manifests.iter().map(PathBuf::as_path));
    let problems = problems.into_iter().map(Event::Problem);
    let doubts = doubts.into_iter().map(|doubt| event(doubt, visited));
    if !problems.chain(doubts).all(&mut *visit) {
        return false;
    }
    let hint = if recursive { "" } else { ", or add --recursive to read the folders inside it" };
    found
        || visit(error(
            &folder.display().to_string(),
            &format!("the folder holds no file ending in .yaml, .yml or .json: name another one{hint}"),
        ))
}

fn event(doubt: Doubt, visited: &Visited) -> Event {
    let named = doubt.file.display().to_string();
    let file = doubt.file.canonicalize().ok().and_then(|path| visited.get(&path).cloned());
    let problem = doubt.why.map(|message| Problem {
        severity: Severity::Error,
        position: Position::of_file(&named),
        message,
    });
    Event::Doubt { file: file.unwrap_or(named), problem }
}

/// What stands in a folder.
enum Kind {
    Manifest,
    /// A kustomization, which says what of the folder is applied.
    Kustomization,
    /// The file that makes the folder a chart of Helm.
    Chart,
    LinkToFolder,
    /// A link to something that is not in the folder.
    LinkOut,
    /// Something with the name of a manifest, such as a socket.
    NoFile,
    /// What is not read: a folder, or a file with another ending.
    Other,
}

fn kind(folder: &Path, entry: &DirEntry) -> Kind {
    let (path, is_link) = (entry.path(), entry.path_is_symlink());
    if entry.file_type().is_dir() {
        return Kind::Other;
    }
    if is_link && path.is_dir() {
        return Kind::LinkToFolder;
    }
    if !is_read_in_folders(path) {
        return Kind::Other;
    }
    if is_link && leads_out(folder, path) {
        return Kind::LinkOut;
    }
    let is_file = if is_link {
        // One that leads nowhere is named when it is read.
        fs::metadata(path).map_or(true, |target| target.is_file())
    } else {
        entry.file_type().is_file()
    };
    if !is_file {
        Kind::NoFile
    } else if rendered::is_kustomization(path) {
        Kind::Kustomization
    } else if rendered::is_chart(path) {
        Kind::Chart
    } else {
        Kind::Manifest
    }
}

/// Whether a link in a folder leads out of it, be there a file or not. The author of a change must not learn by it what
/// this machine has.
fn leads_out(folder: &Path, link: &Path) -> bool {
    let is_inside = || {
        let root = folder.canonicalize().ok()?;
        // The folders between are no links, since those are not followed.
        let mut named = root.join(link.parent()?.strip_prefix(folder).ok()?);
        for part in fs::read_link(link).ok()?.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(named.pop()),
                part => named.push(part),
            }
        }
        // What the link names can be a link itself, or be missing.
        Some(link.canonicalize().unwrap_or(named).starts_with(&root))
    };
    is_inside() != Some(true)
}

/// Whether a file is read in a folder, by its name.
pub(crate) fn is_read_in_folders(path: &Path) -> bool {
    has_ending(path) || rendered::is_kustomization(path)
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn read_file(path: &Path, visited: &mut Visited, visit: &mut dyn FnMut(Event) -> bool) -> bool {
    let file = path.display().to_string();
    if let Ok(real) = path.canonicalize() {
        match visited.entry(real) {
            Entry::Occupied(_) => return true,
            Entry::Vacant(place) => drop(place.insert(file.clone())),
        }
    }
    visit(match read_text(path) {
        Ok(text) => Event::Text { file, text },
        Err(fault) => error(&file, &fault.message()),
    })
}

fn read_text(path: &Path) -> Result<String, Fault> {
    text(&mut File::open(path).map_err(Fault::Io)?)
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
