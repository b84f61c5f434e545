//! What every integration test stands on: one control plane for the whole process, and for each test a
//! namespace, a simulator and controllers of its own.
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn a_tenant_is_switched_once() {
//!     let test = Test::new("switched-once").await;
//!     …
//!     test.finish().await;
//! }
//! ```

#![allow(dead_code)] // a helper stays when the test that used it goes

mod command;
mod environment;
mod test;

pub use command::Output;
pub use environment::Environment;
pub use test::Test;
