//! Library of the tenant-pricing-controller.

pub mod api;
pub(crate) mod backoff;
pub(crate) mod calendar;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod connections;
pub mod controller;
pub mod failpoints;
pub(crate) mod index;
#[cfg(test)]
mod model;
pub mod platform;
pub mod pricing;
#[cfg(feature = "simulator")]
pub mod simulator;
mod string_enum;
pub mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
