//! Library of the tenant-pricing-controller.

pub mod api;
pub mod cli;
pub mod clock;
pub mod connections;
pub mod controller;
pub mod platform;
pub mod pricing;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod stores;
pub mod telemetry;
