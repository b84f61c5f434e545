//! The process: how it starts and ends, leads and stands by, shares a fleet, and reports about itself.

mod replicas;
mod shards;
mod startup;
mod telemetry;
