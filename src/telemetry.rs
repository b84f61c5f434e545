//! What the program reports about itself: the log, its health, its metrics, and the server for the last two.

mod admin;
mod connection_state;
mod fleet;
mod format;
mod health;
mod labels;
mod logs;
mod metrics;
mod of_connection;
mod process;
mod writes;

pub use admin::AdminServer;
pub use connection_state::ConnectionState;
pub use fleet::FleetCounts;
pub use format::Format;
pub use health::Health;
pub use labels::{ReadyStatus, ReconcileOutcome, SwitchOutcome};
pub use logs::{InvalidLogLevel, LogFormat, LogLevel, start_logging};
pub use metrics::{Candidate, Metrics};
pub use writes::CountWrites;

#[cfg(test)]
pub(crate) mod capture;
