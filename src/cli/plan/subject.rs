//! The objects of a plan, before and after the change.

use super::document::{Change, Source};
use crate::{api::TenantPricing, cluster::Key};

/// One object of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The namespace and the name of the object.
    pub key: Key,
    /// The object as it is now, if there is one.
    pub before: Option<TenantPricing>,
    /// The object as it will be. `None`: it is deleted.
    pub after: Option<TenantPricing>,
    /// Where it stands in the input.
    pub source: Option<Source>,
    /// Why the API server will refuse it.
    pub rejected: Option<String>,
    /// Whether the input or the base names it. Another object is in the plan only if something happens to it.
    pub is_given: bool,
    /// Why it is not known what the cluster stores for it, and the way out.
    pub unread: Option<String>,
}

impl Subject {
    /// An object of the cluster that the input does not name.
    pub(crate) fn bystander(object: TenantPricing) -> Self {
        Self {
            key: Key::of(&object),
            before: Some(object.clone()),
            after: Some(object),
            source: None,
            rejected: None,
            is_given: false,
            unread: None,
        }
    }

    /// The object as it will be, or as it was.
    pub(crate) fn object(&self) -> Option<&TenantPricing> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Whether the input changes the object itself.
    pub(crate) fn is_changed(&self) -> bool {
        self.change() != Change::None
    }

    pub(crate) fn change(&self) -> Change {
        match (&self.before, &self.after) {
            (None, _) if self.unread.is_some() => Change::Unknown,
            (None, _) => Change::Create,
            // What is refused has no object that will be.
            (_, None) if self.rejected.is_some() => Change::Update,
            (_, None) => Change::Delete,
            (Some(before), Some(after)) if before.spec == after.spec => Change::None,
            _ => Change::Update,
        }
    }
}
