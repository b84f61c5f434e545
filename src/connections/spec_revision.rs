//! Which spec of a connection something was made with.

use crate::api::PlatformConnection;

/// The spec of a connection: the object, and the generation of its spec. Another object of the same name has another
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecRevision {
    uid: Option<String>,
    generation: Option<i64>,
}

impl SpecRevision {
    /// The spec of this connection.
    #[must_use]
    pub fn of(connection: &PlatformConnection) -> Self {
        Self { uid: connection.metadata.uid.clone(), generation: connection.metadata.generation }
    }

    /// Whether both are of one object, and the other one is newer.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.uid == other.uid && self.generation < other.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_spec_of_the_same_object_is_older() {
        let spec =
            |uid: &str, generation| SpecRevision { uid: Some(uid.to_owned()), generation: Some(generation) };
        assert!(spec("a", 1).is_older_than(&spec("a", 2)));
        assert!(!spec("a", 2).is_older_than(&spec("a", 2)));
        assert!(!spec("a", 3).is_older_than(&spec("a", 2)));
        assert!(!spec("a", 1).is_older_than(&spec("b", 2)));
    }
}
