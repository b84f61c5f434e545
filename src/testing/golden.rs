//! Golden files: checked-in texts that are compared with the output of the program or the API server.
//!
//! `UPDATE_GOLDEN=1` in the environment of the tests rewrites them. Read `git diff` before the commit.

use std::path::Path;
use std::{env, fs};

/// Compares `actual` with the file at `path`, relative to the package.
///
/// # Errors
/// Returns a text for the failing test: the first difference, and how to accept it.
pub fn compare(path: &str, actual: &str) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(&file, actual).map_err(|error| format!("{path}: {error}"));
    }
    let expected = fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?;
    if expected == actual {
        return Ok(());
    }
    let (mut wanted, mut found) = (expected.lines(), actual.lines());
    let mut number = 0;
    let (wanted, found) = loop {
        number += 1;
        match (wanted.next(), found.next()) {
            (None, None) => break ("(the same lines,", "other line ends)"),
            (wanted, found) if wanted != found => {
                break (wanted.unwrap_or("(end of file)"), found.unwrap_or("(end of text)"));
            }
            _ => {}
        }
    };
    Err(format!(
        "{path} is out of date, first in line {number}:\n- {wanted}\n+ {found}\n\
         If the new text is right, accept it: UPDATE_GOLDEN=1 cargo test --all-features"
    ))
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn a_difference_is_shown_with_the_way_to_accept_it() {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            return; // would overwrite the file
        }
        let error = compare("rustfmt.toml", "something else").unwrap_err();
        assert!(error.contains("line 1") && error.contains("+ something else"), "{error}");
        assert!(error.contains("UPDATE_GOLDEN=1"), "{error}");
    }
}
