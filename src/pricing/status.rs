//! Step 4: the status that reports the decision and the outcome, and the events that go with it.

pub(crate) mod audit;
mod change;
pub mod conditions;
pub mod events;
mod judged;
mod recorder;
pub mod report;

pub(super) use change::StatusChange;
pub(super) use judged::{Done, Judged};
pub use recorder::EventPublisher;
