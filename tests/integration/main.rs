//! Integration tests: the real binary against a real API server and the platform simulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate)]

mod admission;
mod adversarial;
mod chaos;
mod cli;
mod connections;
mod crashes;
mod delivery;
mod fleet;
mod foreign;
mod harness;
mod limits;
mod outcomes;
mod process;
mod switching;
