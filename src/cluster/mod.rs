//! The Kubernetes side: what is cached of it, and how a status is written to it.

pub mod access;
mod authorship;
mod explain;
mod key;
pub mod lease;
mod listed;
mod objects;
mod stores;
mod uid;
mod watcher;
mod write;

pub use authorship::Authorship;
pub use explain::explain;
pub use key::Key;
pub use listed::{Listed, Unreadable};
pub use objects::{Before, Objects, Shown};
pub use stores::{Cache, Filled, Filling, Stores};
pub use uid::Uid;
pub use watcher::{Collection, Interrupted, Watcher};
pub use write::{CATCH_UP, FIELD_MANAGER, OwnConditions, Written, own_digest, write_fields, write_status};

/// A read from the API server that takes longer is given up.
pub const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
