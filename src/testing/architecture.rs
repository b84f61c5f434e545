//! Tests of the architecture: which module may use which, that there is no cycle, and that pure files stay pure.
//!
//! `cargo test --all-features architecture -- --nocapture` prints the graph.

mod imports;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use imports::{files_below, module_path, production_code, production_files, source_folder, used_paths};

/// The top-level modules, each with the modules that it may use. A module stands above every module that it uses.
const MODULES: &[(&str, &[&str])] = &[
    ("api", &["string_enum"]),
    ("backoff", &[]),
    ("calendar", &[]),
    (
        "cli",
        // The commands decide, count and word with the functions of the controller.
        &[
            "api",
            "calendar",
            "clock",
            "cluster",
            "connections",
            "controller",
            "index",
            "platform",
            "pricing",
            "string_enum",
            "telemetry",
        ],
    ),
    ("clock", &[]),
    ("cluster", &["api", "backoff", "clock", "failpoints"]),
    ("connections", &["api", "backoff", "clock", "cluster", "failpoints", "platform", "telemetry"]),
    (
        "controller",
        &[
            "api",
            "backoff",
            "clock",
            "cluster",
            "connections",
            "index",
            "platform",
            "pricing",
            "string_enum",
            "telemetry",
        ],
    ),
    ("failpoints", &["string_enum"]),
    ("index", &["api", "cluster", "platform"]),
    ("platform", &["backoff", "clock", "failpoints", "string_enum"]),
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

/// The parts of `pricing`, each with the parts that it may use. A part is a file with the folder of the same name.
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

/// The parts of `controller`.
const CONTROLLER: &[(&str, &[&str])] = &[
    ("election", &[]),
    ("fleet_metrics", &["work_queue", "workers"]),
    ("informer", &["work_queue", "workers"]),
    ("leadership", &["fleet_metrics", "informer", "upcoming", "workers"]),
    ("namespace_check", &[]),
    ("poller", &["work_queue"]),
    ("probes", &[]),
    ("shutdown", &[]),
    ("switch_queue", &["work_queue"]),
    ("upcoming", &[]),
    ("wiring", &["election", "informer", "leadership", "namespace_check", "probes"]),
    ("work_queue", &[]),
    ("workers", &["poller", "switch_queue", "work_queue"]),
];

/// The maximum number of files in a folder. In a larger one it is hard to find anything.
const MAX_FILES: usize = 14;

/// The folders that may have more files, each with the reason.
const LARGE_FOLDERS: &[&str] = &[
    // Each file is a command beside its folder, or what the commands share.
    "cli", // Each file is a top-level module beside its folder.
    "src",
];

/// What a pure file must not use: clients, requests, the runtime, clocks.
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

/// The files that decide and report. They must not even hold an instant of the monotonic clock.
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

/// The edges from a module to the modules that it uses, with the files of each edge.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The graph of the modules directly below `parent`, or of the top-level modules if `parent` is empty.
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

/// Compares a graph with the allowed edges, and searches for a cycle.
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
                        "the list of {of} does not allow it; if it is intended, add it there and say why in the commit"
                    )
                };
                faults.push(format!("{from} -> {to} (in {files}): {why}"));
            }
        }
    }
    for (from, uses) in allowed {
        for to in *uses {
            if !graph.get(*from).is_some_and(|edges| edges.contains_key(*to)) {
                faults.push(format!("{from} -> {to} is allowed and does not exist: remove it from the list"));
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
fn top_level_modules_use_only_modules_below_them() {
    check("the top-level modules", &graph(""), MODULES);
}

#[test]
fn parts_of_pricing_use_only_parts_below_them() {
    check("the parts of pricing", &graph("pricing"), PRICING);
}

#[test]
fn parts_of_the_controller_use_only_parts_below_them() {
    check("the parts of the controller", &graph("controller"), CONTROLLER);
}

#[test]
fn a_folder_has_at_most_fourteen_files() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for file in files_below(&source_folder()) {
        *folders.entry(file.parent().unwrap().to_owned()).or_default() += 1;
    }
    for (folder, count) in folders {
        if LARGE_FOLDERS.iter().any(|large| folder.ends_with(large)) {
            continue;
        }
        assert!(count <= MAX_FILES, "{} has {count} files: sort them into folders", folder.display());
    }
}

/// The forbidden words in a source. Comments may contain any word.
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
        if says_so {
            pure += 1;
            let found = impurities(&production_code(&source), IMPURE);
            assert_eq!(found, BTreeSet::new(), "{} says that it is pure", file.display());
        }
    }
    assert!(pure >= 10, "{pure} files say that they are pure");
}

#[test]
fn files_that_decide_and_report_use_no_clock_at_all() {
    let folder = source_folder().join("pricing");
    let strictly: Vec<_> = [IMPURE, &["Instant", "tokio"]].concat();
    for file in STRICTLY_PURE.iter().flat_map(|name| files_below(&folder.join(name))) {
        let source = fs::read_to_string(&file).unwrap();
        let found = impurities(&production_code(&source), &strictly);
        assert_eq!(found, BTreeSet::new(), "{} must stay pure", file.display());
    }
}

#[test]
fn pauses_grow_by_the_one_backoff() {
    let own: Vec<_> = production_files()
        .into_iter()
        .filter(|file| !file.ends_with("backoff.rs"))
        .filter(|file| {
            let code = production_code(&fs::read_to_string(file).unwrap());
            ["mul(1 <<", "mul(2_u32", "_pow("].iter().any(|doubling| code.contains(doubling))
        })
        .collect();
    assert!(own.is_empty(), "{own:?} double a pause by hand: use backoff::Backoff");
}

#[test]
fn each_impurity_is_found() {
    for (line, word) in [
        ("use kube::{Api, Client};", "use kube"),
        ("fn read(api: &kube::Api<Secret>) {}", "kube::Api"),
        ("fn read(api: &Api<Secret>) {}", "Api<"),
        ("let url = reqwest::Url::parse(text);", "reqwest"),
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
