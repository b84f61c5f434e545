//! The name of an object within its kind.

use std::{fmt, sync::Arc};

use kube::ResourceExt;

use crate::api::TenantPricing;

/// Namespace and name of an object, or of an object that another one refers to. It is one shared allocation: there may
/// be ten thousand keys, each stored in several places.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// The key of `name` in `namespace`. Neither may contain a slash; the API server guarantees that.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// The key of an object.
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        Self::new(object.meta().namespace.as_deref().unwrap_or_default(), &object.name_any())
    }

    /// The namespace; empty for an object without one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// `namespace/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TenantPricing {
    /// The key of the connection that the object names.
    ///
    /// Defined here and not in `api`, which does not know keys.
    #[must_use]
    pub fn connection_key(&self) -> Key {
        let reference = &self.spec.connection_ref;
        let namespace = reference.namespace.as_deref().or(self.metadata.namespace.as_deref());
        Key::new(namespace.unwrap_or_default(), &reference.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_namespace_and_a_name() {
        let key = Key::new("team", "acme");
        assert_eq!((key.namespace(), key.name(), key.as_str()), ("team", "acme", "team/acme"));
        assert_eq!(Key::new("", "acme").namespace(), "");
    }
}
