//! Distinguishes an object from a later one of the same name.

use std::fmt;

use kube::ResourceExt;

/// The uid of an object. It stays while the object lives, and an object that is created again gets another one.
///
/// It is a type of its own, so that a name cannot take its place by mistake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uid(Box<str>);

impl Uid {
    /// The uid of an object. Empty for an object that the API server has not stored yet.
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        Self(object.meta().uid.as_deref().unwrap_or_default().into())
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
impl From<&str> for Uid {
    fn from(uid: &str) -> Self {
        Self(uid.into())
    }
}
