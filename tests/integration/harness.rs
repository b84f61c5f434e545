//! What every integration test stands on: one control plane for the whole process, and for each test a
//! namespace, a simulator and controllers of its own.
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn a_tenant_is_switched_once() {
//!     let test = Test::new("switched-once").await;
//!     let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
//!     test.connection("default", json!({})).await;
//!     test.controller().await;
//!     test.production("acme", &tenant, json!({})).await;
//!     test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
//!     assert_eq!(test.simulator.puts(&tenant), 1);
//!     test.finish().await;
//! }
//! ```
//!
//! At its end each test gets the verdict (`test/verdict.rs`). The controllers end cleanly, and every status ever stored
//! is sound. No tenant got more PUTs than expected, and none at the same time. No secret leaked. The rights that the
//! chart grants were enough.
//! Whatever fails prints the objects, their events, the requests and the logs.
#![allow(dead_code, unused_imports)] // a helper stays when the test that used it goes

mod api_proxy;
mod command;
mod controller;
mod environment;
mod gateway;
mod least_rights;
mod objects;
mod recorder;
mod rights;
#[path = "../../src/testing/schemas.rs"]
pub mod schemas;
mod terminal;
mod test;
#[cfg(test)]
mod tests;
mod user;
mod writes;

use std::time::Duration;

pub use api_proxy::{ApiProxy, RecordedWrite, RequestFault, WriteFault};
pub use command::{Output, run};
pub use controller::{BINARY, Controller, ControllerOptions, PLUGIN, metrics::metrics};
pub use environment::{Environment, HELM_3, Server};
pub use gateway::Gateway;
pub use objects::{
    condition,
    connections::{until_connection, until_connection_within},
    has, reason,
};
pub use recorder::Recorder;
pub use rights::{give_lease, give_rights};
pub use terminal::{Terminal, on_a_terminal};
pub use test::{
    Test,
    verdict::{body_fault, encoded},
};
pub use user::User;
pub use writes::{Write, status_writes};

/// The chart, for Helm.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/tenant-pricing-controller");

/// How long a condition may take to come about on a busy machine before the test fails. A controller that could not
/// renew its Lease in time needs up to half a minute to lead again.
pub const PATIENCE: Duration = Duration::from_secs(60);
