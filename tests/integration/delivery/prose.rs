//! Texts follow the rules of CONTRIBUTING.md: plain words, short sentences, short test names, and no stale names.

use std::{collections::BTreeSet, fs, path::Path};

use super::documents::{ROOT, collect, documents, read, table};

/// Words that make a reader stumble, or that are private to this project.
const BANNED: &[&str] = &[
    "a look",
    "agenda",
    "all the same",
    "anew",
    "are told",
    "befall",
    "by itself",
    "came to nothing",
    "comes to",
    "contends",
    "elder",
    "glance",
    "hasten",
    "heed",
    "is told",
    "lane",
    "last look",
    "mishap",
    "nobody",
    "of which",
    "so many",
    "the look",
    "whoever",
    "wish",
];
/// Folders whose code and comments contain none of them, besides all documents.
const PLAIN: &[&str] =
    &["benches", "charts", "crds", "examples", "hack", "src", "tests/controlplane", "tests/integration"];
/// Folders whose names are checked.
const NAMED: &[&str] = &["benches", "src", "tests"];

/// The most characters of a function's name.
const MAX_NAME: usize = 60;
/// The most words of a sentence. A colon and a semicolon end one, too.
const MAX_WORDS: usize = 25;

/// All files below a folder with one of these extensions, by their paths from the root of the repository.
fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(folder), &mut |path| {
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        if extensions.contains(&extension.unwrap_or_default().as_str()) {
            found.push(path.strip_prefix(ROOT).unwrap().display().to_string());
        }
    });
    found.sort();
    found
}

/// A function of the sources, by the path under which a test is run. Modules called `tests` are left out.
struct Function {
    path: Vec<String>,
    file: String,
}

fn functions(folder: &str) -> Vec<Function> {
    let mut all = Vec::new();
    for file in files(folder, &["rs"]) {
        let modules = modules(&file);
        for line in read(&file).lines() {
            let Some((_, rest)) = line.trim_start().split_once("fn ") else { continue };
            let name: String = rest.chars().take_while(|letter| is_of_a_name(*letter)).collect();
            if !name.is_empty() {
                all.push(Function { path: [modules.clone(), vec![name]].concat(), file: file.clone() });
            }
        }
    }
    all
}

/// The modules of a file, but for those called `tests`.
fn modules(file: &str) -> Vec<String> {
    let path = ["src/", "tests/integration/"].iter().find_map(|root| file.strip_prefix(root));
    let path = path.unwrap_or(file).trim_end_matches(".rs");
    let parts = path.split('/').filter(|part| !["tests", "mod", "main", "lib"].contains(part));
    parts.map(str::to_owned).collect()
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether a text has these words, not as a part of a longer word.
fn has_words(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        ![before, after].iter().flatten().any(|letter| letter.is_alphanumeric() || *letter == '_')
    })
}

/// What stands in backticks.
fn code_in(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn test_names_have_at_most_sixty_characters() {
    let all = NAMED.iter().flat_map(|folder| functions(folder));
    let long: Vec<String> = all
        .filter(|function| function.path.last().unwrap().len() > MAX_NAME)
        .map(|function| format!("{}: {}", function.file, function.path.last().unwrap()))
        .collect();
    assert!(
        long.is_empty(),
        "state the fact in at most {MAX_NAME} characters, and the story in a `///` line:\n{}",
        long.join("\n")
    );
}

#[test]
fn texts_use_no_banned_word() {
    let code = PLAIN.iter().flat_map(|folder| files(folder, &["rs", "sh", "yaml", "tpl", "txt", ""]));
    let mut found = Vec::new();
    for file in code.chain(documents()).filter(|file| file != "tests/integration/delivery/prose.rs") {
        let Ok(text) = fs::read_to_string(Path::new(ROOT).join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for words in BANNED.iter().filter(|words| has_words(&line, words)) {
                found.push(format!("{file}:{}: {words}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "use a plain word, or the field's:\n{}", found.join("\n"));
}

/// The texts of a page: its paragraphs, list items and cells, each with the number of its line.
fn texts(document: &str) -> Vec<(usize, String)> {
    let (mut texts, mut is_code, mut goes_on) = (Vec::<(usize, String)>::new(), false, false);
    for (number, line) in (1..).zip(read(document).lines()) {
        let line = line.trim();
        if line.starts_with("```") || is_code {
            is_code ^= line.starts_with("```");
            goes_on = false;
        } else if line.starts_with('|') {
            texts.extend(line.trim_matches('|').split(" | ").map(|cell| (number, cell.to_owned())));
            goes_on = false;
        } else if line.is_empty() || line.starts_with('#') {
            goes_on = false;
        } else if goes_on && !line.starts_with("- ") {
            let text = &mut texts.last_mut().unwrap().1;
            text.push(' ');
            text.push_str(line);
        } else {
            texts.push((number, line.to_owned()));
            goes_on = true;
        }
    }
    texts
}

/// A text without the targets of its links, and with a word in place of each piece of code.
fn as_read(text: &str) -> String {
    let without_code: String =
        text.split('`').enumerate().map(|(place, part)| if place % 2 == 0 { part } else { "code" }).collect();
    let mut parts = without_code.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |read, rest| read + "]" + rest.split_once(')').map_or("", |(_, rest)| rest))
}

#[test]
fn sentences_have_at_most_twenty_five_words() {
    let mut long = Vec::new();
    for document in documents() {
        for (line, text) in texts(&document) {
            let text = as_read(&text);
            let mut words = 0;
            for word in text.split_whitespace() {
                words += usize::from(word.contains(char::is_alphanumeric));
                if words == MAX_WORDS + 1 {
                    long.push(format!("{document}:{line}: … {word} …"));
                }
                if word.trim_end_matches([')', '*', ']', '"']).ends_with(['.', '!', '?', ':', ';', '·']) {
                    words = 0;
                }
            }
        }
    }
    assert!(long.is_empty(), "make two sentences, of {MAX_WORDS} words at most:\n{}", long.join("\n"));
}

#[test]
fn paths_in_documents_exist() {
    const FOLDERS: &[&str] = &[
        "src/",
        "tests/",
        "benches/",
        "hack/",
        "charts/",
        "crds/",
        "docs/",
        "examples/",
        ".github/",
        ".ci/",
    ];
    let mut missing = BTreeSet::new();
    for document in documents() {
        let text = read(&document);
        for code in text.lines().flat_map(code_in) {
            for path in code.split_whitespace().filter(|word| FOLDERS.iter().any(|it| word.starts_with(it))) {
                let path = path.split("::").next().unwrap_or_default().trim_matches('\'');
                if !path.contains(['*', '…', '{']) && !Path::new(ROOT).join(path).exists() {
                    missing.insert(format!("{document}: {path}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "these paths do not exist:\n{}", Vec::from_iter(missing).join("\n"));
}

/// Whether a test or a module of tests has this name; `…` at its end stands for any rest.
fn is_a_test(name: &str, functions: &[Function], all_modules: &[Vec<String>]) -> bool {
    let cited: Vec<&str> = name
        .trim_start_matches('…')
        .split("::")
        .filter(|part| !part.is_empty() && *part != "tests")
        .collect();
    let Some((last, before)) = cited.split_last() else { return true };
    let matches = |found: &str| match last.strip_suffix('…') {
        Some(beginning) => found.starts_with(beginning),
        None => found == *last,
    };
    let is_function = functions.iter().any(|function| {
        let (name, modules) = function.path.split_last().unwrap();
        matches(name) && modules.ends_with(&before.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>())
    });
    let cited: Vec<String> = cited.iter().map(|part| (*part).to_owned()).collect();
    is_function || all_modules.iter().any(|modules| modules.ends_with(&cited))
}

#[test]
fn tests_named_in_the_safety_page_exist() {
    let functions: Vec<Function> = ["src", "tests/integration"].iter().flat_map(|it| functions(it)).collect();
    let sources = ["src", "tests/integration"].iter().flat_map(|folder| files(folder, &["rs"]));
    let all_modules: Vec<Vec<String>> = sources.map(|file| modules(&file)).collect();
    let mut missing = BTreeSet::new();
    let mut checked = 0;
    for text in texts("docs/safety.md").into_iter().map(|(_, text)| text) {
        for code in code_in(&text) {
            let is_path = code.split("::").all(|part| {
                part.chars()
                    .all(|letter| letter.is_lowercase() || letter.is_numeric() || "_…".contains(letter))
            });
            let is_name = code.contains('…') || code.matches('_').count() > 3 || code.contains("tests::");
            if is_path && is_name && code != "…" {
                checked += 1;
                if !is_a_test(code, &functions, &all_modules) {
                    missing.insert(code.to_owned());
                }
            }
        }
    }
    assert!(missing.is_empty(), "docs/safety.md names tests that do not exist: {missing:#?}");
    assert!(checked > 200, "only {checked} names were found");
}

#[test]
fn places_named_in_the_table_of_guards_exist() {
    let files: Vec<String> =
        ["src", "charts"].iter().flat_map(|folder| files(folder, &["rs", "tpl"])).collect();
    let sources: String = files.iter().map(|file| read(file)).collect();
    let mut missing = BTreeSet::new();
    for row in table("docs/safety.md", "## Which test guards which rule") {
        for code in code_in(&row[1])
            .into_iter()
            .filter(|code| !code.contains(['"', '=']) && !code.ends_with("(true)"))
        {
            let (file, name) = match code.split_once(".rs::") {
                Some((file, name)) => (Some(format!("{file}.rs")), Some(name)),
                None if [Some("rs"), Some("tpl")].contains(&code.rsplit('.').next()) => {
                    (Some(code.to_owned()), None)
                }
                None => (None, Some(code)),
            };
            if let Some(file) = file
                && !files.iter().any(|path| format!("/{path}").ends_with(&format!("/{file}")))
            {
                missing.insert(file);
            }
            let name = name.map(|name| name.trim_end_matches("()"));
            let name = name.and_then(|name| name.rsplit([':', '.']).next());
            if let Some(name) = name
                && !has_words(&sources, name)
            {
                missing.insert(code.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "the table in docs/safety.md names what does not exist: {missing:#?}");
}

#[test]
fn log_messages_in_the_manual_are_those_of_the_sources() {
    let sources: String = files("src", &["rs"]).iter().map(|file| read(file)).collect();
    // A string may go on in the next line.
    let mut pieces = sources.split("\\\n");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    pieces.for_each(|piece| text.push_str(piece.trim_start()));
    for heading in ["## What the log says", "### The audit lines"] {
        for row in table("docs/operations.md", heading) {
            for part in row[0].trim_matches('`').split('…').map(str::trim) {
                assert!(
                    text.contains(part),
                    "docs/operations.md, below {heading:?}: no message has {part:?}"
                );
            }
        }
    }
}
