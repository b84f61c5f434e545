//! The path of a field, in both notations. Pure.

/// The path from the root of an object to a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    field: String,
    pointer: String,
}

impl Path {
    /// As Kubernetes writes it: `spec.items[0].name`.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    /// As a JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    pub(super) fn child(&self, key: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self { field: format!("{}{dot}{key}", self.field), pointer: format!("{}/{escaped}", self.pointer) }
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self { field: format!("{}[{index}]", self.field), pointer: format!("{}/{index}", self.pointer) }
    }

    /// The path without the notation for messages, for a fault that the API server assigns to no field.
    pub(super) fn unnamed(&self) -> Self {
        Self { field: String::new(), pointer: self.pointer.clone() }
    }

    /// Reads the notation of Kubernetes. A key with a dot cannot be distinguished from two keys.
    pub(super) fn parse(field: &str) -> Self {
        let mut path = Self::default();
        for part in field.split('.').filter(|part| !part.is_empty()) {
            let (key, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
            path = path.child(key);
            for index in indices.split(['[', ']']).filter_map(|index| index.parse().ok()) {
                path = path.index(index);
            }
        }
        path
    }
}
