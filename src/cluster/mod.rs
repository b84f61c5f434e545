//! The Kubernetes side: what is cached of it, and how a status is written to it.

mod stores;
mod write;

pub use stores::{Cache, Filling, Stores};
pub use write::{CATCH_UP, FIELD_MANAGER, Written, write_status};
