//! Step 4: the status that says what was decided and done, and the events that go with it.

pub mod conditions;
pub mod events;
mod recorder;
pub mod report;

pub use recorder::EventPublisher;
