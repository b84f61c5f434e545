//! What is cached of the cluster: objects as a watch delivers them, and how far each cache is synced.

mod fingerprint;
mod objects;
mod packed;
mod relist;
mod stores;
mod sync;
mod trimmed;
mod unreadable;

pub(crate) use fingerprint::fingerprint;
pub use objects::{ObjectCache, Upserted};
pub(crate) use relist::deliver_after_list;
pub use stores::{Cache, Caches, SyncState, Synced};
pub(crate) use sync::{SyncTracker, missing_right};
pub use trimmed::{TrimmedTenantPricing, Unreadable};
pub(crate) use unreadable::unreadable_field;
