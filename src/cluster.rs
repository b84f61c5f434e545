//! The Kubernetes side: what is cached of it, and how a status is written to it.

pub mod access;
mod authorship;
mod cache;
mod explain;
mod key;
pub mod lease;
mod uid;
mod watcher;
mod write;

pub use authorship::Authorship;
pub use cache::{
    Before, Cache, Caches, ObjectCache, SyncState, Synced, TrimmedTenantPricing, Unreadable, Upserted,
};
pub(crate) use cache::{SyncTracker, deliver_after_list, missing_right};
pub use explain::explain;
pub use key::Key;
pub use uid::Uid;
pub use watcher::{Collection, Interrupted, Watcher};
pub use write::{CATCH_UP, FIELD_MANAGER, OwnConditions, Written, own_digest, write_fields, write_status};

/// A read from the API server that takes longer is given up.
pub const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
