//! Folders that a tool renders before they are applied: those of Kustomize and of Helm. Pure.
//!
//! What such a tool applies can differ from the files that it reads. It is the same only where a folder has nothing but
//! a list of its own files. Everything else is a problem, since a switch could be hidden in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use super::{
    Position, Problem, Severity, documents,
    yaml::{self, Content, Node, Place},
};

/// The names of Kustomize's file.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The name of the file that makes a folder a chart of Helm.
const CHART: &str = "Chart.yaml";

/// The fields of a kustomization that change nothing in its resources.
const PLAIN_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", RESOURCES];

const RESOURCES: &str = "resources";

/// Whether a file is one of Kustomize's own.
pub(super) fn is_kustomization(path: &Path) -> bool {
    path.file_name().is_some_and(|name| KUSTOMIZATIONS.iter().any(|known| name == *known))
}

/// Whether a file makes its folder a chart of Helm.
pub(super) fn is_chart(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == CHART)
}

/// What is wrong with a kustomization that is named as a manifest.
pub(super) fn no_manifest(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    format!("it is no manifest, but a list for Kustomize: {}", render(folder))
}

fn render(folder: &Path) -> String {
    format!("render the folder first, such as with kubectl kustomize {} | …", folder.display())
}

/// The files of a folder that may differ from what is applied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The file.
    pub(super) file: PathBuf,
    /// What is wrong, if an object is in the file. `None`: another problem says it.
    pub(super) why: Option<String>,
}

/// What the tools have in a folder, and in the folders inside it.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// The lists of Kustomize, by their folder.
    lists: BTreeMap<PathBuf, List>,
    /// The folders whose files are no manifests yet.
    sources: Vec<PathBuf>,
    problems: Vec<Problem>,
}

/// A kustomization that is a list and nothing else.
#[derive(Debug)]
struct List {
    file: PathBuf,
    resources: Vec<(PathBuf, Place)>,
}

impl Rendered {
    /// Adds a chart, by the path of its file.
    pub(super) fn chart(&mut self, file: &Path) {
        let folder = folder_of(file);
        let message = format!(
            "it makes the folder a Helm chart, whose files are no manifests yet: render it first, such as with helm \
             template {} | …",
            folder.display()
        );
        self.problem(file, Place::default(), message);
        self.sources.push(folder.to_owned());
    }

    /// Adds a kustomization. `text` is `None` if it cannot be read, which is another problem.
    pub(super) fn kustomization(&mut self, file: &Path, text: Option<&str>) {
        let folder = folder_of(file);
        match text.map(plain_list) {
            Some(Ok(resources)) => {
                let list = List { file: file.to_owned(), resources };
                if let Some(other) = self.lists.insert(folder.to_owned(), list) {
                    let other = other.file.display();
                    let message =
                        format!("Kustomize refuses a folder that has {other} as well: remove one of them");
                    self.problem(file, Place::default(), message);
                }
            }
            Some(Err((place, why))) => {
                self.problem(file, place, format!("{why}: {}", render(folder)));
                self.sources.push(folder.to_owned());
            }
            None => self.sources.push(folder.to_owned()),
        }
    }

    fn problem(&mut self, file: &Path, place: Place, message: String) {
        let position = Position {
            file: file.display().to_string(),
            line: place.line,
            column: place.column,
            rendered_from: None,
        };
        self.problems.push(Problem { severity: Severity::Error, position, message });
    }

    /// Compares the lists with the files that were read. Returns what is wrong, and the files that it concerns.
    pub(super) fn check<'a>(
        mut self,
        read: impl Iterator<Item = &'a Path> + Clone,
    ) -> (Vec<Problem>, Vec<Doubt>) {
        let files: BTreeSet<&Path> = read.clone().collect();
        let mut lists_of: BTreeMap<PathBuf, &Path> = BTreeMap::new();
        let mut missing = Vec::new();
        for (folder, list) in &self.lists {
            for (resource, place) in &list.resources {
                let path = folder.join(resource);
                if !files.contains(path.as_path()) && !self.lists.contains_key(&path) {
                    missing.push((list.file.clone(), *place, resource.clone()));
                }
                lists_of.entry(path).or_insert(folder);
            }
        }
        let is_source = |file: &Path| self.sources.iter().any(|folder| file.starts_with(folder));
        let doubt = |file: &Path| {
            let why = if is_source(file) { None } else { Some(self.left_out(file, &lists_of)?) };
            Some(Doubt { file: file.to_owned(), why })
        };
        let doubts = read.filter_map(doubt).collect();
        for (file, place, resource) in missing {
            let message = format!(
                "it lists {}, and that is not read here: name it as well, read with --recursive, or {}",
                resource.display(),
                render(folder_of(&file))
            );
            self.problem(&file, place, message);
        }
        (self.problems, doubts)
    }

    /// Why Kustomize leaves out a file. `None`: it does not, or there is no list.
    fn left_out(&self, file: &Path, lists_of: &BTreeMap<PathBuf, &Path>) -> Option<String> {
        let mut path = file;
        loop {
            let around = path.ancestors().skip(1).find_map(|folder| self.lists.get(folder))?;
            let Some(folder) = lists_of.get(path).copied() else {
                return Some(format!(
                    "{} is not among the resources of {}, so Kustomize leaves it out: add it there, move it, or {}",
                    path.display(),
                    around.file.display(),
                    render(folder_of(&around.file))
                ));
            };
            // The list may be left out itself. It is nearer to the root than what it lists.
            path = folder;
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The resources of a kustomization that has nothing else.
///
/// # Errors
/// What else it has, with its place.
fn plain_list(text: &str) -> Result<Vec<(PathBuf, Place)>, (Place, String)> {
    let found = documents::split(text, 2);
    let [document] = found.as_slice() else {
        return Err((Place::default(), format!("it has {} documents in place of one", found.len())));
    };
    let moved = |place: Place| Place { line: place.line + document.lines_before, column: place.column };
    let nodes = yaml::parse(document.text).map_err(|fault| (moved(fault.place), fault.message))?;
    let [Node { content: Content::Mapping(fields), .. }] = nodes.as_slice() else {
        return Err((Place::default(), "it is no mapping".to_owned()));
    };
    let mut resources = Vec::new();
    for (name, place, node) in fields {
        let place = moved(*place);
        if !PLAIN_FIELDS.contains(&name.as_str()) {
            return Err((
                place,
                format!("with {name:?}, Kustomize may apply something else than the files show"),
            ));
        }
        match (name.as_str(), &node.content) {
            ("kind", Content::Scalar(kind)) if *kind != "Kustomization" => {
                return Err((place, format!("the kind is {kind}, which another folder uses")));
            }
            (RESOURCES, Content::Sequence(items)) => {
                for item in items {
                    let place = moved(item.place);
                    let resource = match &item.content {
                        Content::Scalar(Value::String(resource)) => inside(resource),
                        _ => None,
                    };
                    let why = || (place, "a resource is no file or folder inside this one".to_owned());
                    resources.push((resource.ok_or_else(why)?, place));
                }
            }
            (RESOURCES, Content::Scalar(Value::Null)) => {}
            (RESOURCES, _) => return Err((place, "its resources are no list".to_owned())),
            _ => {}
        }
    }
    Ok(resources)
}

/// A path that stays below its folder.
fn inside(resource: &str) -> Option<PathBuf> {
    let path = Path::new(resource);
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let parts: Option<PathBuf> =
        parts.map(|part| matches!(part, Component::Normal(_)).then_some(part)).collect();
    // Kustomize takes a text with a scheme for an address.
    parts.filter(|path| !path.as_os_str().is_empty() && !resource.contains("://"))
}
