//! The connections to the platform: who may use them, their credentials, and the state they are in.

#[cfg(test)]
mod api_server;
mod batch;
mod counters;
mod credentials;
mod names;
mod namespaces;
mod reconcile;
mod registry;
mod report;
mod tries;

pub use batch::Together;
pub use counters::Counters;
pub use names::Names;
pub use namespaces::{Admission, Namespaces};
pub use reconcile::{ConnectionContext, CountTenants, Error, reconcile};
pub use registry::{Handle, Registry, Settings, Unusable, interval};
pub use tries::Tries;
