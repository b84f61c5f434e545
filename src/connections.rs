//! The connections to the platform: who may use them, their credentials, and their state.

mod batch;
mod check_cache;
mod claims;
mod credentials;
mod duration;
mod name_resolver;
mod namespaces;
#[cfg(test)]
mod properties;
mod reconcile;
mod registry;
mod spec_revision;
mod status;
mod statuses;
mod tenant_counts;

pub use check_cache::CheckCache;
pub use claims::{is_for_a_person, needs_a_person};
#[cfg(feature = "cli")]
pub use credentials::{credentials_of, secret_credentials};
pub use duration::interval;
#[cfg(feature = "cli")]
pub use namespaces::admission_by_labels;
pub use namespaces::{Admission, Confirm, Namespaces};
pub use reconcile::{CheckSlots, ConnectionContext, CountTenants, Error, MAX_CHECK_SLOTS, reconcile};
pub use registry::{ConnectionHandle, ConnectionProblem, Registry, Settings};
pub use spec_revision::SpecRevision;
pub use statuses::Statuses;
pub use tenant_counts::CountUpdates;
