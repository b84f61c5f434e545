//! The files of a revision, from git. It only reads what the repository has: it fetches nothing, runs no program of the
//! configuration, and asks for no password.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, Write},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use crate::cli::manifests::{self, MAX_FILE_BYTES};

/// The most paths that one call of git gets. Each may be long, and a command line has an end.
const PATHS_OF_A_CALL: usize = 500;

/// The most bytes of a link's target. No file system has longer paths.
const MAX_LINK_BYTES: u64 = 4096;

/// Why git gives no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// There is no git, or no repository here.
    #[error("{0}")]
    Absent(String),
    /// Git refuses, or its answer cannot be used.
    #[error("{0}")]
    Failed(String),
}

impl From<io::Error> for GitError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Finds the commit of a revision. `None`: there is no such revision.
///
/// # Errors
/// There is no repository, or the revision can mean two commits.
pub(super) fn commit(revision: &str) -> Result<Option<String>, GitError> {
    // Without this question, a repository that git does not trust looks as one without the revision.
    git(&["rev-parse", "--git-dir"])?;
    let wanted = format!("{revision}^{{commit}}");
    let Ok(found) = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]) else {
        return Ok(None);
    };
    let meanings = meanings(revision)?;
    let commits: BTreeSet<&String> = meanings.values().collect();
    if commits.len() > 1 {
        let names = meanings.keys().cloned().collect::<Vec<_>>().join(" and ");
        return Err(GitError::Failed(format!(
            "{names} are different commits: write one of these, or a commit"
        )));
    }
    Ok(Some(String::from_utf8_lossy(&found).trim().to_owned()))
}

/// The refs that the name in a revision can mean (gitrevisions(7)), each with its commit.
fn meanings(revision: &str) -> Result<BTreeMap<String, String>, GitError> {
    let end = revision.find(['~', '^']).into_iter().chain(revision.find("@{")).min();
    let name = &revision[..end.unwrap_or(revision.len())];
    let is_commit = matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Git takes these for themselves, whatever else has their name.
    if is_commit || matches!(name, "" | "@" | "HEAD") {
        return Ok(BTreeMap::new());
    }
    let prefixes = ["refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
    let mut candidates: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}{name}")).collect();
    candidates.extend([name.to_owned(), format!("refs/remotes/{name}/HEAD")]);
    let mut call = vec!["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "--"];
    call.extend(candidates.iter().map(String::as_str));
    let listed = git(&call)?;
    let listed = String::from_utf8_lossy(&listed);
    let refs = listed.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (name, id) = (fields.next()?, fields.next()?);
        // An annotated tag has an object of its own, which names the commit.
        let commit = fields.next().filter(|commit| !commit.is_empty()).unwrap_or(id);
        // A pattern also finds the refs below it.
        candidates.iter().any(|candidate| candidate == name).then(|| (name.to_owned(), commit.to_owned()))
    });
    Ok(refs.collect())
}

/// The path inside the repository, of a path that counts from the current folder. `None`: it is outside.
///
/// # Errors
/// There is no repository.
pub(super) fn inside_repository(path: &Path) -> Result<Option<PathBuf>, GitError> {
    let prefix = git(&["rev-parse", "--show-prefix"])?;
    let prefix = String::from_utf8_lossy(&prefix).trim_end_matches('\n').to_owned();
    Ok(inside(Path::new(&prefix), path))
}

/// A path that counts from a folder of the repository, from its root.
fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    let mut inside = folder.to_owned();
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

/// A file or link in a commit.
struct Entry {
    id: String,
    path: PathBuf,
    is_link: bool,
}

/// Writes the manifests of a commit at these paths into a folder: a file, or those in a folder, and with `recursive` in
/// the folders inside it. A link inside the repository is written with its target. Returns the paths that the commit
/// has.
///
/// # Errors
/// Git does not have all of it, or the folder cannot be written.
pub(super) fn check_out(
    commit: &str,
    paths: &BTreeSet<PathBuf>,
    recursive: bool,
    folder: &Path,
) -> Result<BTreeSet<PathBuf>, GitError> {
    let mut listed = BTreeSet::new();
    let mut found = BTreeSet::new();
    let mut links = BTreeMap::new();
    let mut wanted = paths.clone();
    while !wanted.is_empty() {
        let entries = list(commit, &wanted, recursive, &mut found)?;
        listed.append(&mut wanted);
        let (new_links, files): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.is_link);
        write(&files, folder)?;
        for (link, target) in targets(new_links)? {
            // What a link outside of the repository leads to is no part of the commit.
            let Some(inside) = inside(parent(&link), &target) else { continue };
            links.insert(link, target);
            if !listed.contains(&inside) {
                wanted.insert(inside);
            }
        }
    }
    // The links come last, so that no file is written through one.
    for (link, target) in links {
        let link = folder.join(link);
        fs::create_dir_all(parent(&link))?;
        create_link(&target, &link)?;
    }
    found.retain(|path| paths.contains(path));
    Ok(found)
}

/// The entries of a commit at these paths that are read as manifests. Adds the paths that it has to `found`.
fn list(
    commit: &str,
    paths: &BTreeSet<PathBuf>,
    recursive: bool,
    found: &mut BTreeSet<PathBuf>,
) -> Result<Vec<Entry>, GitError> {
    let texts: Vec<&str> = paths.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
    let mut entries = Vec::new();
    for some in texts.chunks(PATHS_OF_A_CALL) {
        let mut call = vec!["ls-tree", "-r", "-z", "--full-tree", commit, "--"];
        // The root has no name, and without a path git lists all of it.
        if !some.contains(&"") {
            call.extend(some);
        }
        let listed = git(&call)?;
        for entry in listed.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            let Some((head, name)) = entry.split_once('\t') else { continue };
            let path = inside(Path::new(""), Path::new(name))
                .ok_or_else(|| GitError::Failed(format!("the path {name:?} leaves the repository")))?;
            found.extend(path.ancestors().filter(|path| paths.contains(*path)).map(Path::to_owned));
            let mut fields = head.split(' ');
            let (Some(mode), Some("blob"), Some(id)) = (fields.next(), fields.next(), fields.next()) else {
                // A submodule is another repository.
                continue;
            };
            if is_read(&path, paths, recursive) {
                entries.push(Entry { id: id.to_owned(), path, is_link: mode == "120000" });
            }
        }
    }
    Ok(entries)
}

/// Whether a file is one of the paths, or a manifest in a folder that is one of them.
fn is_read(file: &Path, paths: &BTreeSet<PathBuf>, recursive: bool) -> bool {
    let mut folders = file.ancestors().skip(1);
    let is_in_a_folder = match (recursive, folders.next()) {
        (_, None) => false,
        (false, Some(folder)) => paths.contains(folder),
        (true, Some(folder)) => paths.contains(folder) || folders.any(|folder| paths.contains(folder)),
    };
    paths.contains(file) || is_in_a_folder && manifests::is_read_in_folders(file)
}

/// Writes files into a folder.
fn write(files: &[Entry], folder: &Path) -> Result<(), GitError> {
    each_blob(files, &mut |entry, content| {
        let file = folder.join(&entry.path);
        fs::create_dir_all(parent(&file))?;
        // One byte more than is read shows that the file is too large.
        io::copy(&mut content.take(MAX_FILE_BYTES + 1), &mut File::create(file)?)?;
        Ok(())
    })
}

/// Where links lead to.
fn targets(links: Vec<Entry>) -> Result<Vec<(PathBuf, PathBuf)>, GitError> {
    let mut targets = Vec::with_capacity(links.len());
    each_blob(&links, &mut |_, content| {
        let mut target = Vec::new();
        content.take(MAX_LINK_BYTES).read_to_end(&mut target)?;
        targets.push(PathBuf::from(String::from_utf8_lossy(&target).into_owned()));
        Ok(())
    })?;
    Ok(links.into_iter().map(|link| link.path).zip(targets).collect())
}

#[cfg(unix)]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Elsewhere, git writes the target of a link into a file.
#[cfg(not(unix))]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    fs::write(link, target.to_string_lossy().as_bytes())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Hands the content of each entry on. One process of git reads them all, and none is held as a whole.
fn each_blob(
    entries: &[Entry],
    visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<(), GitError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut wanted = tempfile::tempfile()?;
    entries.iter().try_for_each(|entry| writeln!(wanted, "{}", entry.id))?;
    wanted.rewind()?;
    let mut said = tempfile::tempfile()?;
    let mut child = command(&["cat-file", "--batch"])
        .stdin(wanted)
        .stdout(Stdio::piped())
        .stderr(said.try_clone()?)
        .spawn()
        .map_err(|error| not_run(&error))?;
    let read = match child.stdout.take() {
        Some(output) => read_batch(entries, &mut BufReader::new(output), visit),
        None => Err(GitError::Failed("git has no output".to_owned())),
    };
    // The output is closed here, so git ends in any case.
    child.wait()?;
    let mut why = String::new();
    said.rewind()?;
    said.read_to_string(&mut why)?;
    read.map_err(|error| match why.trim() {
        "" => error,
        why => GitError::Failed(format!("{error}. Git says: {why}")),
    })
}

/// Reads the answer of `git cat-file --batch`: for each entry `ID blob SIZE`, a line break, the content, a line break.
fn read_batch(
    entries: &[Entry],
    output: &mut impl BufRead,
    visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<(), GitError> {
    for entry in entries {
        let mut head = String::new();
        output.read_line(&mut head)?;
        // Git ends without an answer where it would have to fetch the file.
        if head.is_empty() || head.trim_end().ends_with(" missing") {
            return Err(GitError::Failed(format!(
                "this clone does not have {}, and nothing is fetched here: fetch the files of the revision first",
                entry.path.display()
            )));
        }
        let size =
            head.strip_prefix(&format!("{} blob ", entry.id)).and_then(|size| size.trim_end().parse().ok());
        let Some(size) = size else {
            return Err(GitError::Failed("the answer of git cat-file cannot be understood".to_owned()));
        };
        let mut content = output.by_ref().take(size);
        visit(entry, &mut content)?;
        // What is left of it, and the line break.
        io::copy(&mut content, &mut io::sink())?;
        output.read_exact(&mut [0])?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str, GitError> {
    path.to_str().ok_or_else(|| GitError::Failed(format!("the path {} is no text", path.display())))
}

/// A call of git.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    // A bare repository among the files of a checkout has a configuration that its author chose.
    command.args(["-c", "safe.bareRepository=explicit"]).args(arguments).stdin(Stdio::null());
    // A partial clone fetches what it lacks, by the programs of its configuration. Git before 2.45 does not know the
    // first variable.
    command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none").env("GIT_TERMINAL_PROMPT", "0");
    // The texts of errors are compared.
    command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    command
}

/// Runs git, and returns its output.
fn git(arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    let output = command(arguments).output().map_err(|error| not_run(&error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if why.contains("not a git repository") { GitError::Absent(why) } else { GitError::Failed(why) })
}

fn not_run(error: &io::Error) -> GitError {
    if error.kind() == io::ErrorKind::NotFound {
        GitError::Absent("git is not installed; name a folder instead".to_owned())
    } else {
        GitError::Failed(format!("git cannot be run: {error}"))
    }
}
