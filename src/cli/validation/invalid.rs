//! What is invalid in an object.

use std::fmt;

use serde_json::Value;

use super::{go, path::Path};

/// Why a field is invalid. All but the first and the last are the types of `field.Error` in Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The object cannot be decoded: a field is unknown, or metadata has another type.
    Undecodable,
    /// A required field is missing.
    Required,
    /// The value is not one of those that are supported.
    NotSupported,
    /// The value is malformed.
    Invalid,
    /// The value has another type.
    TypeInvalid,
    /// The value is not allowed here, or not any more.
    Forbidden,
    /// The text is too long.
    TooLong,
    /// There are too many items.
    TooMany,
    /// The rules were not checked, because the structure is wrong. There may be more errors once it is right.
    RulesNotChecked,
}

impl Reason {
    /// The beginning of a message in Kubernetes.
    fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::NotSupported => "Unsupported value",
            Self::Undecodable | Self::Invalid | Self::TypeInvalid | Self::RulesNotChecked => "Invalid value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    /// Whether the API server checks no rule then (`hasBlockingErr` in `registry/customresource/strategy.go`).
    pub(super) fn blocks_rules(self) -> bool {
        matches!(
            self,
            Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::TypeInvalid
        )
    }
}

/// One fault of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid {
    /// The field as Kubernetes writes it, such as `spec.tenant.id`. It is empty if the fault belongs to no field.
    pub field: String,
    /// The field as a JSON pointer (RFC 6901), such as `/spec/tenant/id`. The field itself may be missing.
    pub pointer: String,
    /// Why it is invalid.
    pub reason: Reason,
    /// The value, if the API server repeats it. It does not where the value may be secret or long.
    pub value: Option<Value>,
    /// The API server's message, such as `Invalid value: "acme": not a tenant id: …`. The field is not in it.
    pub message: String,
    /// What to do, if that can be said and the message does not say it.
    pub hint: Option<String>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() && self.reason != Reason::Undecodable {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

impl Invalid {
    /// A fault whose value the API server repeats.
    pub(super) fn with_value(path: &Path, reason: Reason, value: Value, detail: &str) -> Self {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let message = format!("{}: {}{detail}", reason.text(), go::bad_value(&value));
        Self { value: Some(value), ..Self::with_message(path, reason, message) }
    }

    /// A fault whose value the API server does not repeat.
    pub(super) fn without_value(path: &Path, reason: Reason, detail: &str) -> Self {
        let message =
            if detail.is_empty() { reason.text().to_owned() } else { format!("{}: {detail}", reason.text()) };
        Self::with_message(path, reason, message)
    }

    /// A fault with a message of its own.
    pub(super) fn with_message(path: &Path, reason: Reason, message: String) -> Self {
        Self {
            field: path.field().to_owned(),
            pointer: path.pointer().to_owned(),
            reason,
            value: None,
            message,
            hint: None,
        }
    }

    pub(super) fn rules_not_checked() -> Self {
        let message = "Invalid value: null: some validation rules were not checked because the object was invalid; \
                       correct the existing errors to complete validation";
        Self::with_message(&Path::default(), Reason::RulesNotChecked, message.to_owned())
    }
}
