//! The code of the program, for tests that search it.

use std::{fs, path::Path};

/// A source file.
pub(crate) struct Source {
    /// The path below `src`, such as `platform/put.rs`.
    pub name: String,
    /// The code, without tests and comments.
    pub code: String,
}

/// All source files but those of tests.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    add(&root, &root, &mut found);
    assert!(found.len() > 50, "the scan has found the sources");
    found
}

fn add(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("tests") || path.ends_with("tests.rs") {
            continue;
        }
        if path.is_dir() {
            add(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push(Source { name, code: code(&fs::read_to_string(&path).unwrap()) });
        }
    }
}

/// The code of a text, without tests and comments.
fn code(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut code = Vec::new();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            code.push(line);
            continue;
        }
        // Other attributes may follow.
        let item = lines.by_ref().find(|line| !line.starts_with("#[")).unwrap_or_default();
        // Unit tests are the last module of a file. A module in a file of its own may stand before code.
        if item.starts_with("mod ") && item.ends_with('{') {
            break;
        }
        if !item.ends_with(';') {
            code.push(item);
        }
    }
    code.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_after_a_test_module_in_its_own_file_is_searched() {
        let text = "use a;\n#[cfg(test)]\nmod helper;\n// text\nfn send() {}\n#[cfg(test)]\nmod tests {\n    put();\n}";
        assert_eq!(code(text), "use a;\nfn send() {}");
        assert_eq!(code("#[cfg(test)]\n#[cfg(unix)]\nmod helper;\nput();"), "put();");
    }
}
