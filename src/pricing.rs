//! The reconcile of a `TenantPricing`: observe, decide, switch, report.
//!
//! [`reconcile`] calls the steps in this order:
//! 1. [`observe`] reads the connection, and through it the tenant (client required);
//! 2. [`decide`] says what is to be done (pure);
//! 3. [`switch`] sends the one request, if that was decided (client required, and the only caller of the `PUT`);
//! 4. [`status`] makes the status and its events (pure), and publishes the events (client required).
//!
//! Between reconciles, [`expectations`] remembers what the caches and the platform do not show yet.

mod action;
pub mod budget;
mod context;
pub mod decide;
pub(crate) mod expectations;
pub mod facts;
pub(crate) mod journal;
pub(crate) mod observe;
mod poll;
#[cfg(test)]
mod properties;
mod reconcile;
pub mod schedule;
pub(crate) mod status;
pub(crate) mod switch;

pub use action::{
    Action, Limits, NextPoll, ReconcileRequest, TimedRead,
    permit::{PermitIssuer, SwitchPermit},
};
pub use context::{Context, Dependencies};
pub use expectations::{Foreign, ReconcileState};
pub use facts::{QueueState, Target, TenantRead, target};
#[cfg(feature = "cli")]
pub use observe::with_lock_owner;
pub use observe::{classify_tenant, only_match, says_refused, stored_connection};
pub use poll::{PeriodicCheck, check_periodic};
pub use reconcile::{reconcile, restore_attempt, retry_after_failure};
pub use status::EventPublisher;
pub use switch::protocol::account;
