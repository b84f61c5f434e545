//! The Kubernetes side: the caches, the reads, the status writes and the Lease.

pub mod access;
mod authorship;
mod cache;
mod explain;
mod key;
pub mod lease;
mod raw_status;
mod read;
mod uid;
mod version;
mod watcher;
mod write;

pub use authorship::{Authorship, ON_THEIR_WAY};
pub use cache::{Cache, Caches, ObjectCache, SyncState, Synced, TrimmedTenantPricing, Unreadable, Upserted};
pub(crate) use cache::{SyncTracker, deliver_after_list, fingerprint, missing_right, unreadable_field};
pub use explain::explain;
pub use key::Key;
pub(crate) use raw_status::RawStatus;
pub use read::{READ_TIMEOUT, ReadError, in_time, read, with_timeout};
pub use uid::Uid;
pub use version::is_older_version;
pub use watcher::{Collection, Interrupted, Watcher};
pub use write::{
    CACHE_CATCH_UP, FIELD_MANAGER, OwnedStatus, WriteError, Written, is_invalid, own_digest, shows_at_least,
    write_fields, write_status,
};
