//! Golden files: checked-in texts that are compared with the output of the program or the API server.
//!
//! `UPDATE_GOLDEN=1` in the environment of the tests rewrites them. Read `git diff` before the commit.

use std::{env, path::Path};

use snapbox::{
    Assert, Data,
    assert::{Action, Error},
    data::DataFormat,
};

/// The variable that rewrites the files. Snapbox itself knows the value `overwrite`.
const UPDATE: &str = "UPDATE_GOLDEN";

/// Compares `actual` with the file at `path`, relative to the package. Every character counts, but for line ends.
///
/// # Errors
/// Returns a text for the failing test: the differences, and how to accept them.
pub fn compare(path: &str, actual: &str) -> Result<(), Error> {
    let assert = Assert::new().normalize_paths(false).action_env(UPDATE);
    let assert = if env::var(UPDATE).is_ok_and(|value| value == "1") {
        assert.action(Action::Overwrite)
    } else {
        assert
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    // Without the wildcards of snapbox.
    let expected = Data::read_from(&file, Some(DataFormat::Text)).raw();
    assert.try_eq(Some(&path), Data::text(actual), expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_the_way_to_accept_it() {
        if env::var_os(UPDATE).is_some() {
            return; // would overwrite the file
        }
        for path in ["rustfmt.toml", "no-such-file.golden"] {
            let error = compare(path, "something else").unwrap_err().to_string();
            assert!(error.contains(path) && error.contains("something else"), "{error}");
            assert!(error.contains("UPDATE_GOLDEN=overwrite"), "{error}");
        }
    }

    #[test]
    fn no_character_of_a_golden_file_is_a_wildcard() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it.golden");
        // An absolute path stays as it is.
        let path = file.to_str().unwrap();
        for (expected, actual) in [("[..]\n", "some text\n"), ("...\n", "a\nb\n"), ("a/b", "a\\b")] {
            std::fs::write(&file, expected).unwrap();
            assert!(compare(path, expected).is_ok(), "{expected}");
            assert!(env::var_os(UPDATE).is_some() || compare(path, actual).is_err(), "{expected}");
        }
    }
}
