//! The connections to the platform: who may use them, their credentials, and the state they are in.

mod batch;
mod claims;
mod counters;
mod credentials;
mod duration;
mod names;
mod namespaces;
#[cfg(test)]
mod properties;
mod reconcile;
mod registry;
mod report;
mod statuses;
mod tries;

pub use batch::Together;
pub use claims::{is_for_a_person, needs_a_person};
pub use counters::Counters;
pub use duration::interval;
pub use names::Names;
pub use namespaces::{Admission, Confirm, Namespaces};
pub use reconcile::{ConnectionContext, CountTenants, Error, reconcile};
pub use registry::{Handle, Registry, Settings, Unusable};
pub use statuses::Statuses;
pub use tries::Tries;
