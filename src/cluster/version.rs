//! The order of resource versions.

/// Whether a resource version is older than another one of the same kind.
///
/// Versions are numbers that grow. For any other version the answer is no.
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>)
#[must_use]
pub fn is_older_version(version: &str, other: &str) -> bool {
    match (version.parse::<u128>(), other.parse::<u128>()) {
        (Ok(version), Ok(other)) => version < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_older_version;

    #[test]
    fn versions_are_compared_as_numbers_and_others_are_not() {
        assert!(is_older_version("9", "10"));
        assert!(!is_older_version("10", "9") && !is_older_version("10", "10"));
        for (version, other) in [("", "1"), ("1", ""), ("a", "b"), ("1", "b")] {
            assert!(!is_older_version(version, other), "{version:?} and {other:?}");
        }
    }
}
