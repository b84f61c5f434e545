//! Reads the sources of the crate: files, modules, and the paths that a source uses.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The folder `src` of the package.
pub(super) fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files in a folder and its subfolders, or the file itself.
pub(super) fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files_below(&entry)).collect()
}

/// A source without its comments, and without the items that are compiled only for tests.
pub(super) fn production_code(source: &str) -> String {
    let mut code = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            let indentation = line.len() - line.trim_start().len();
            // The item ends with its closing brace, or with a semicolon.
            for line in lines.by_ref() {
                let is_outermost = line.len() - line.trim_start().len() == indentation;
                if is_outermost && (line.ends_with(';') || line.ends_with('}')) {
                    break;
                }
            }
            continue;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// The module path of a file: `pricing/decide/queue.rs` is `["pricing", "decide", "queue"]`.
pub(super) fn module_path(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source_folder()).unwrap().with_extension("");
    let mut path: Vec<String> =
        relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|name| name == "mod") {
        path.pop();
    }
    path
}

/// Whether a file is compiled only for tests, because its module or a parent of it is declared so.
fn is_test_code(file: &Path) -> bool {
    let path = module_path(file);
    (1..=path.len()).any(|length| {
        let (parents, name) = (&path[..length - 1], &path[length - 1]);
        let parent = if parents.is_empty() {
            source_folder().join("lib.rs")
        } else {
            let folder = source_folder().join(parents.join("/"));
            let beside = folder.with_extension("rs");
            if beside.is_file() { beside } else { folder.join("mod.rs") }
        };
        let Ok(source) = fs::read_to_string(parent) else { return false };
        let lines: Vec<_> = source.lines().collect();
        lines.windows(2).any(|pair| {
            let is_test =
                pair[0].starts_with("#[cfg(test)]") || pair[0].contains("feature = \"test-support\"");
            is_test && pair[1].ends_with(&format!("mod {name};"))
        })
    })
}

/// The production files of the controller. The simulator is another program.
pub(super) fn production_files() -> Vec<PathBuf> {
    let root = source_folder();
    let is_other = |file: &PathBuf| {
        let relative = file.strip_prefix(&root).unwrap();
        ["simulator", "simulator.rs", "bin", "main.rs", "lib.rs"]
            .iter()
            .any(|other| relative.starts_with(other))
    };
    let mut files = files_below(&root);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.retain(|file| !is_other(file) && !is_test_code(file));
    files.sort();
    files
}

/// All paths that a source uses, as absolute paths without `crate`.
pub(super) fn used_paths(code: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    for root in ["crate", "super", "self"] {
        let word = format!("{root}::");
        let starts = code.match_indices(&word).map(|(at, _)| at);
        for at in starts.filter(|at| {
            !code[..*at].ends_with(|before: char| before.is_alphanumeric() || ":_".contains(before))
        }) {
            tree(&code[at..], &mut Vec::new(), &mut |path| paths.insert(absolute(path, module)));
        }
    }
    paths
}

/// Resolves `crate`, `super` and `self` at the beginning of a path.
fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = path;
    match path[0].as_str() {
        "crate" => (base, rest) = (Vec::new(), &path[1..]),
        "self" => rest = &path[1..],
        _ => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
    }
    base.extend(rest.iter().cloned());
    base
}

/// Passes each path of a `use` tree to `found`. Returns the rest of the text.
fn tree<'a>(
    mut text: &'a str,
    prefix: &mut Vec<String>,
    found: &mut impl FnMut(&[String]) -> bool,
) -> &'a str {
    let depth = prefix.len();
    loop {
        text = text.trim_start();
        if let Some(mut branches) = text.strip_prefix('{') {
            loop {
                branches = branches.trim_start().trim_start_matches(',').trim_start();
                if let Some(rest) = branches.strip_prefix('}') {
                    prefix.truncate(depth);
                    return rest;
                }
                let before = branches.len();
                branches = tree(branches, prefix, found);
                if branches.len() == before || branches.is_empty() {
                    prefix.truncate(depth);
                    return "";
                }
            }
        }
        let end = text.find(|end: char| !end.is_alphanumeric() && end != '_').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.is_empty() && name != "self" || prefix.is_empty() {
            prefix.push(name.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(further) if !name.is_empty() => text = further,
            _ => {
                found(prefix);
                prefix.truncate(depth);
                let rest = rest.strip_prefix('*').unwrap_or(rest);
                return rest.trim_start().strip_prefix("as ").map_or(rest, |alias| {
                    alias.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_')
                });
            }
        }
    }
}

#[test]
fn a_use_tree_is_resolved_to_its_paths() {
    let code = "use crate::{api::{Phase, conditions::{self, find as search}}, cluster};\nfn f() { super::decide::x(); }\n";
    let module = ["pricing".to_owned(), "facts".to_owned()];
    let found: Vec<String> = used_paths(code, &module).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        ["api::Phase", "api::conditions", "api::conditions::find", "cluster", "pricing::decide::x"]
    );
    let code = production_code(
        "use crate::a;\n#[cfg(test)]\nmod tests {\n    use crate::b;\n}\nuse crate::c; // crate::d\n",
    );
    assert_eq!(used_paths(&code, &module).into_iter().flatten().collect::<Vec<_>>(), ["a", "c"]);
}
