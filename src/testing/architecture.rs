//! The architecture as a test: which module may use which, that no cycle arises, and that pure files stay pure.
//!
//! `cargo test --all-features architecture -- --nocapture` prints the graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The top-level modules, each with the modules that it may use. A module stands above all that it uses.
const MODULES: &[(&str, &[&str])] = &[
    ("api", &["string_enum"]),
    ("backoff", &[]),
    ("calendar", &[]),
    ("cli", &["api", "clock", "cluster", "connections", "controller", "platform", "telemetry"]),
    ("clock", &[]),
    ("cluster", &["api", "clock", "failpoints"]),
    ("connections", &["api", "clock", "cluster", "failpoints", "platform", "telemetry"]),
    ("controller", &["api", "clock", "cluster", "connections", "index", "platform", "pricing", "telemetry"]),
    ("failpoints", &["string_enum"]),
    ("index", &["api", "cluster", "platform"]),
    ("platform", &["backoff", "clock", "failpoints"]),
    (
        "pricing",
        &[
            "api",
            "backoff",
            "calendar",
            "clock",
            "cluster",
            "connections",
            "failpoints",
            "index",
            "platform",
            "telemetry",
        ],
    ),
    ("string_enum", &[]),
    ("telemetry", &["api", "cluster", "failpoints", "index", "platform", "string_enum"]),
];

/// The rooms of `pricing`: a file or a folder with its file is one room.
const PRICING: &[(&str, &[&str])] = &[
    ("action", &["budget", "decide", "facts"]),
    ("budget", &["schedule"]),
    ("context", &["expectations", "schedule", "status"]),
    ("decide", &["budget", "facts", "schedule"]),
    ("expectations", &["decide", "facts", "journal"]),
    ("facts", &["budget"]),
    ("journal", &["facts"]),
    ("observe", &["context", "decide", "expectations", "facts", "journal"]),
    ("poll", &["action", "context", "decide", "facts", "journal", "observe", "reconcile"]),
    (
        "reconcile",
        &["action", "context", "decide", "expectations", "facts", "journal", "observe", "status", "switch"],
    ),
    ("schedule", &[]),
    ("status", &["decide", "facts"]),
    (
        "switch",
        &[
            "action",
            "budget",
            "context",
            "decide",
            "expectations",
            "facts",
            "journal",
            "observe",
            "schedule",
            "status",
        ],
    ),
];

/// The rooms of `controller`.
const CONTROLLER: &[(&str, &[&str])] = &[
    ("election", &[]),
    ("existence", &[]),
    ("fleet_metrics", &["work_queue", "workers"]),
    ("informer", &["work_queue", "workers"]),
    ("leadership", &["fleet_metrics", "informer", "upcoming", "workers"]),
    ("poller", &["work_queue"]),
    ("probes", &[]),
    ("shutdown", &[]),
    ("switch_queue", &["work_queue"]),
    ("upcoming", &[]),
    ("wiring", &["election", "existence", "informer", "leadership", "probes"]),
    ("work_queue", &[]),
    ("workers", &["poller", "switch_queue", "work_queue"]),
];

/// More files than this side by side are a folder in which nobody finds anything.
const MAX_FILES: usize = 14;

/// The folders that have more, each with the reason.
const LARGE_FOLDERS: &[&str] = &[
    // One model in many small parts, which all share its state.
    "model", // Each file is a top-level module beside its folder.
    "src",
];

/// The files that say they are pure and read the clock all the same. The list may only become shorter.
const NOT_PURE_YET: &[&str] = &["cluster/lease/record.rs"];

/// What no pure file may use: no client, no request, no runtime, no clock.
const IMPURE: &[&str] = &[
    "async fn",
    ".await",
    "Api<",
    "axum",
    "Clock",
    "kube::api",
    "kube::client",
    "kube::Api",
    "kube::Client",
    "kube::runtime",
    "now()",
    "PlatformClient",
    "rand::",
    "reqwest",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "tokio::spawn",
    "tokio::sync",
    "tokio::task",
    "use kube",
];

/// What decides and what reports may not even hold an instant of the monotonic clock.
const STRICTLY_PURE: &[&str] = &[
    "budget.rs",
    "decide.rs",
    "decide",
    "facts.rs",
    "schedule.rs",
    "status/conditions.rs",
    "status/events.rs",
    "status/report.rs",
];

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files_below(&entry)).collect()
}

/// A source without its comments, and without what is compiled for tests alone.
fn production_code(source: &str) -> String {
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

/// The module path of a file: `pricing/decide/turn.rs` is `["pricing", "decide", "turn"]`.
fn module_path(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source_folder()).unwrap().with_extension("");
    let mut path: Vec<String> =
        relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|name| name == "mod") {
        path.pop();
    }
    path
}

/// Whether a file is compiled for tests alone: its own module, or one above it, is declared so.
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
fn production_files() -> Vec<PathBuf> {
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

/// All paths that a source uses, absolute, without `crate`.
fn used_paths(code: &str, module: &[String]) -> BTreeSet<Vec<String>> {
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

/// Goes through one path, and through the branches of a `use` tree. Returns what is left of the text.
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

/// Who uses whom, and in which file.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The graph of the modules directly below `parent`; of the top-level modules if that is empty.
fn graph(parent: &str) -> Graph {
    let depth = usize::from(!parent.is_empty());
    let mut graph = Graph::new();
    let files = production_files();
    let modules: BTreeSet<String> = files
        .iter()
        .map(|file| module_path(file))
        .filter(|path| path.len() > depth && (depth == 0 || path[0] == parent))
        .map(|path| path[depth].clone())
        .collect();
    for file in &files {
        let path = module_path(file);
        if path.len() <= depth || (depth == 1 && path[0] != parent) {
            continue;
        }
        let from = &path[depth];
        let edges = graph.entry(from.clone()).or_default();
        for used in used_paths(&production_code(&fs::read_to_string(file).unwrap()), &path) {
            let Some(to) = used.get(depth).filter(|_| depth == 0 || used[0] == parent) else { continue };
            if to != from && modules.contains(to) {
                let file = file.strip_prefix(source_folder()).unwrap().display().to_string();
                edges.entry(to.clone()).or_default().insert(file);
            }
        }
    }
    graph
}

/// Compares a graph with the edges that are allowed, and looks for a cycle.
fn check(of: &str, graph: &Graph, allowed: &[(&str, &[&str])]) {
    println!("{of}:");
    let mut faults = Vec::new();
    for (from, edges) in graph {
        println!("  {from} -> {}", edges.keys().cloned().collect::<Vec<_>>().join(", "));
        let known = allowed.iter().find(|(module, _)| module == from).map(|(_, uses)| *uses);
        if known.is_none() {
            faults.push(format!("{from} is not in the list of {of}: add it, with what it may use"));
        }
        for (to, files) in edges {
            if !known.unwrap_or_default().contains(&to.as_str()) {
                let files = files.iter().cloned().collect::<Vec<_>>().join(", ");
                let above = reaches(graph, to, from);
                let why = if above {
                    format!("{to} uses {from} already, so this closes a cycle")
                } else {
                    format!(
                        "the list of {of} does not allow it; if it is meant, add it there and say why in the commit"
                    )
                };
                faults.push(format!("{from} -> {to} (in {files}): {why}"));
            }
        }
    }
    for (from, uses) in allowed {
        for to in *uses {
            if !graph.get(*from).is_some_and(|edges| edges.contains_key(*to)) {
                faults.push(format!(
                    "{from} -> {to} is allowed and does not exist any more: remove it from the list"
                ));
            }
            if reaches(graph, to, from) {
                faults.push(format!("{from} -> {to} is part of a cycle"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Whether a module uses another one, directly or through others.
fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let (mut open, mut seen) = (vec![from.to_owned()], BTreeSet::new());
    while let Some(module) = open.pop() {
        for next in graph.get(&module).into_iter().flat_map(BTreeMap::keys) {
            if next == to {
                return true;
            }
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    false
}

#[test]
fn top_level_modules_use_only_what_stands_below_them() {
    check("the top-level modules", &graph(""), MODULES);
}

#[test]
fn rooms_of_pricing_use_only_what_stands_below_them() {
    check("the rooms of pricing", &graph("pricing"), PRICING);
}

#[test]
fn rooms_of_the_controller_use_only_what_stands_below_them() {
    check("the rooms of the controller", &graph("controller"), CONTROLLER);
}

#[test]
fn a_folder_has_at_most_fourteen_files_side_by_side() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for file in files_below(&source_folder()) {
        *folders.entry(file.parent().unwrap().to_owned()).or_default() += 1;
    }
    for (folder, count) in folders {
        if LARGE_FOLDERS.iter().any(|large| folder.ends_with(large)) {
            continue;
        }
        assert!(
            count <= MAX_FILES,
            "{} has {count} files side by side: sort them into folders",
            folder.display()
        );
    }
}

/// The forbidden words in a source. Comments may speak of anything.
fn impurities(code: &str, forbidden: &[&'static str]) -> BTreeSet<&'static str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let runs_on = |before: &str, after: &str| before.ends_with(is_word) && after.starts_with(is_word);
    let occurs = |word: &str| {
        code.match_indices(word).any(|(at, _)| {
            let (before, after) = (&code[..at], &code[at + word.len()..]);
            !runs_on(before, word) && !runs_on(word, after)
        })
    };
    forbidden.iter().copied().filter(|word| occurs(word)).collect()
}

#[test]
fn every_file_that_calls_itself_pure_is_pure() {
    let mut pure = 0;
    for file in production_files() {
        let source = fs::read_to_string(&file).unwrap();
        let says_so =
            source.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("Pure"));
        if says_so && !NOT_PURE_YET.iter().any(|name| file.ends_with(name)) {
            pure += 1;
            let found = impurities(&production_code(&source), IMPURE);
            assert_eq!(found, BTreeSet::new(), "{} says that it is pure", file.display());
        }
    }
    assert!(pure >= 10, "{pure} files say that they are pure");
}

#[test]
fn what_decides_and_what_reports_knows_no_clock_at_all() {
    let folder = source_folder().join("pricing");
    let strictly: Vec<_> = [IMPURE, &["Instant", "tokio"]].concat();
    for file in STRICTLY_PURE.iter().flat_map(|name| files_below(&folder.join(name))) {
        let source = fs::read_to_string(&file).unwrap();
        let found = impurities(&production_code(&source), &strictly);
        assert_eq!(found, BTreeSet::new(), "{} is to stay pure", file.display());
    }
}

#[test]
fn each_way_out_of_purity_is_noticed() {
    for (line, word) in [
        ("use kube::{Api, Client};", "use kube"),
        ("fn read(api: &kube::Api<Secret>) {}", "kube::Api"),
        ("fn read(api: &Api<Secret>) {}", "Api<"),
        ("let answer = reqwest::get(url);", "reqwest"),
        ("tokio::spawn(work);", "tokio::spawn"),
        ("let at = Instant::now();", "now()"),
        ("let at = SystemTime::now();", "SystemTime"),
        ("fn at(clock: &crate::clock::Clock) {}", "Clock"),
        ("let pause = rand::rng();", "rand::"),
        ("read().await", ".await"),
        ("pub async fn read() {}", "async fn"),
    ] {
        assert!(impurities(&production_code(line), IMPURE).contains(word), "{line}");
    }
    for line in [
        "/// Not even the clock of tokio.",
        "let due = facts.now;",
        "fn operand::x() {}",
        "let clocks = Clocks {};",
    ] {
        assert_eq!(impurities(&production_code(line), IMPURE), BTreeSet::new(), "{line}");
    }
}

#[test]
fn a_use_tree_is_resolved_to_its_paths() {
    let code = "use crate::{api::{Phase, conditions::{self, find as look}}, cluster};\nfn f() { super::decide::x(); }\n";
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
