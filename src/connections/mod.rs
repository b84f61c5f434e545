//! The connections to the platform: who may use them, their credentials, and the state they are in.

#[cfg(test)]
mod api_server;
mod batch;
mod credentials;
mod names;
mod namespaces;
mod reconcile;
mod registry;
mod report;

pub use batch::Together;
pub use names::Names;
pub use namespaces::{Admission, admits};
pub use reconcile::{ConnectionContext, Error, reconcile};
pub use registry::{Handle, Registry, Settings, Unusable, interval};
