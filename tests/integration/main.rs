//! Integration tests: the real binary against a real API server and the platform simulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate)]

mod admission;
mod chaos;
mod chart;
mod connections;
mod crashes;
mod documents;
mod fleet;
mod foreign;
mod harness;
mod harness_itself;
mod holding_back;
mod hostile;
mod looks;
mod months;
mod names;
mod neighbours;
mod outcomes;
mod replicas;
mod shards;
mod startup;
mod story;
mod telemetry;
mod watches;
