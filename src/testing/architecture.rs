//! What decides and what reports is pure: it can be replayed, and tested without a cluster or a platform.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The files that stay pure, and the folders of which every file does.
const PURE: &[&str] = &[
    "budget.rs",
    "conditions.rs",
    "decide",
    "decide.rs",
    "facts.rs",
    "notes",
    "notes.rs",
    "report",
    "report.rs",
    "schedule.rs",
];

/// What has no place there, each as one word or path of the source.
const FORBIDDEN: &[&str] = &[
    "async fn",
    ".await",
    "Api<",
    "axum",
    "Clock",
    "Instant",
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
    "std::time::Instant",
    "SystemTime",
    "tokio",
    "use kube",
];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| sources(&entry)).collect()
}

/// The forbidden words in a source. Comments may speak of anything.
fn impurities(source: &str) -> BTreeSet<&'static str> {
    let code: Vec<_> = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let runs_on = |before: &str, after: &str| before.ends_with(is_word) && after.starts_with(is_word);
    let occurs = |word: &str| {
        code.iter().any(|line| {
            let mut places = line.match_indices(word);
            places.any(|(at, _)| {
                let (before, after) = (&line[..at], &line[at + word.len()..]);
                !runs_on(before, word) && !runs_on(word, after)
            })
        })
    };
    FORBIDDEN.iter().copied().filter(|word| occurs(word)).collect()
}

#[test]
fn what_decides_and_what_reports_is_pure() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pricing");
    let files: Vec<_> = PURE.iter().flat_map(|name| sources(&folder.join(name))).collect();
    assert!(files.len() > PURE.len(), "{files:?}");
    for file in files {
        let found = impurities(&fs::read_to_string(&file).unwrap());
        assert_eq!(found, BTreeSet::new(), "{} is to stay pure", file.display());
    }
}

#[test]
fn each_way_out_of_purity_is_noticed() {
    for (line, word) in [
        ("use kube::Client;", "kube::Client"),
        ("use kube::{Api, Client};", "use kube"),
        ("fn read(api: &kube::Api<Secret>) {}", "kube::Api"),
        ("fn read(api: &Api<Secret>) {}", "Api<"),
        ("let answer = reqwest::get(url);", "reqwest"),
        ("tokio::spawn(work);", "tokio"),
        ("let at = Instant::now();", "Instant"),
        ("let at = std::time::Instant::now();", "std::time::Instant"),
        ("let at = SystemTime::now();", "SystemTime"),
        ("let at = Timestamp::now();", "now()"),
        ("fn at(clock: &crate::clock::Clock) {}", "Clock"),
        ("let pause = rand::rng();", "rand::"),
        ("look().await", ".await"),
        ("pub async fn look() {}", "async fn"),
    ] {
        assert!(impurities(line).contains(word), "{line}");
    }
    for line in [
        "/// Not even the clock of tokio.",
        "let due = facts.now;",
        "fn operand::x() {}",
        "let clocks = Clocks {};",
    ] {
        assert_eq!(impurities(line), BTreeSet::new(), "{line}");
    }
}
