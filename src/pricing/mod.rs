//! One reconcile of a `TenantPricing`: observe, decide, act, report.
//!
//! [`observe`] reads, [`decide`] says what is to be done, [`act`] does it (the only place from which a switch
//! is sent), [`report`] makes the status of what was done. What decides and what reports is pure: it sees no
//! client, no request and no clock.

mod act;
pub mod budget;
pub mod conditions;
mod context;
pub mod decide;
pub mod facts;
pub mod index;
pub mod line;
mod memory;
pub mod notes;
mod observe;
mod pace;
mod publish;
#[cfg(test)]
mod purity;
mod reconcile;
pub mod report;
#[cfg(test)]
pub(crate) mod scenes;
pub mod schedule;

pub use context::{Context, Error};
pub use facts::connection_of;
pub use index::Index;
pub use memory::Memories;
pub use reconcile::{Request, reconcile, retry};
