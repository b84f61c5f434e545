//! What is cached of the cluster: objects as a watch delivers them, and how far each cache is synced.

mod objects;
mod relist;
mod stores;
mod sync;
mod trimmed;

pub use objects::{Before, Objects, Shown};
pub(crate) use relist::whole_lists;
pub use stores::{Cache, Filled, Filling, Stores};
pub(crate) use sync::{Progress, missing_right};
pub use trimmed::{Listed, Unreadable};
