//! One reconcile of a `TenantPricing`: observe, decide, act, report.
//!
//! [`observe`] reads, [`decide`] says what is to be done, [`act`] does it (the only place from which a switch
//! is sent), [`report`] makes the status of what was done. What decides and what reports is pure: it sees no
//! client, no request and no clock.

mod act;
mod audit;
pub mod budget;
pub mod conditions;
mod context;
pub mod decide;
pub mod facts;
mod glance;
pub(crate) mod memory;
mod next;
pub mod notes;
mod observe;
mod pace;
mod permit;
#[cfg(test)]
mod properties;
pub(crate) mod protocol;
mod publish;
mod reconcile;
pub mod report;
pub mod schedule;
mod unreadable;

pub use context::{Context, Dependencies, Error};
pub use decide::Again;
pub use facts::{Look, Turn};
pub use glance::{Glance, glance};
pub use memory::{Foreign, Memories};
pub use next::{Brought, Limits, Next, Rest, Taken};
pub use observe::{NoConnection, Target, found, says_refused, seen, stored_connection, target};
pub use pace::pause;
pub use permit::{PermitIssuer, SwitchPermit};
pub use protocol::account;
pub use publish::EventPublisher;
pub use reconcile::{broken_off, reconcile, restore_attempt};
