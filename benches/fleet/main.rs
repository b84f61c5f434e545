//! What a fleet of N tenants costs: how many requests, and how much time, memory and processor time the released
//! controller and `kubectl-tenantpricing` need. They run against a real API server and the platform simulator.
//!
//! It measures and compares. A missed target is no failure. The exit code differs from 0 only if something could not
//! be measured. `docs/benchmarks.md` explains each line.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command line program speaks to its user

// The control plane is that of the integration tests.
#[path = "../../tests/integration/harness/command.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::panic)]
mod command;
#[path = "../../tests/integration/harness/environment.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::panic)]
mod environment;
#[path = "../../tests/integration/harness/least_rights.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod least_rights;

mod accounts;
mod api_server;
mod bench;
mod controller;
mod fleet;
mod floors;
mod manifests;
mod measurements;
mod platform;
mod plugin;
mod report;
mod scenarios;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use bench::{Bench, Programs};
use clap::Parser;
use report::Report;

/// Why something could not be measured.
type Trouble = Box<dyn std::error::Error + Send + Sync>;
type Measured<T> = Result<T, Trouble>;

/// Measures what a fleet costs.
#[derive(Clone, Debug, Parser)]
#[command(name = "fleet")]
struct Arguments {
    /// How many tenants.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    tenants: u32,

    /// Smaller fleets that are measured first, in brief, to show how cost grows.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    growth: Vec<u32>,

    /// The scenarios to measure besides the cold start; all of them if left out.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    only: Vec<scenarios::Scenario>,

    /// Measures polls at ten minutes as well, and not only at shorter intervals: 22 minutes more.
    #[arg(long)]
    true_polls: bool,

    /// The kind of patch that the floor is made of: that which the controller writes.
    #[arg(long, value_enum, default_value_t)]
    floor_patch: floors::Kind,

    /// The controller that is measured.
    #[arg(long, value_name = "FILE", default_value = "target/release/tenant-pricing-controller")]
    controller: PathBuf,

    /// The `kubectl-tenantpricing` that is measured.
    #[arg(long, value_name = "FILE", default_value = "target/release/kubectl-tenantpricing")]
    plugin: PathBuf,

    /// The commit they were built from, for the record.
    #[arg(long, value_name = "COMMIT", default_value = "unknown")]
    commit: String,

    /// The folder for the results as JSON and Markdown, and for the logs of what failed.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    results: PathBuf,

    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("bench: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything. Returns whether nothing was left unmeasured.
fn run(arguments: &Arguments) -> Measured<bool> {
    // Two TLS libraries are within reach; the one of the controller is used for everything.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let programs = Programs {
        controller: built(&arguments.controller, "cargo build --release")?,
        plugin: built(&arguments.plugin, "cargo build --release --features cli --bin kubectl-tenantpricing")?,
    };
    // The simulator has threads of its own, so that it answers on time whatever the bench is at.
    let platform = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let bench = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let mut report = Report::new(arguments.tenants, &arguments.commit);
    bench.block_on(async {
        let smaller = arguments.growth.iter().filter(|size| **size < arguments.tenants);
        for &size in smaller {
            let bench = Bench::new(size, &programs, arguments, platform.handle()).await?;
            report.add(size, scenarios::measure_briefly(bench).await);
        }
        let bench = Bench::new(arguments.tenants, &programs, arguments, platform.handle()).await?;
        report.add(arguments.tenants, scenarios::measure_all(bench, &arguments.only).await);
        Measured::Ok(())
    })?;
    platform.shutdown_background();
    println!("{}", report.table());
    let written = report.write(&arguments.results)?;
    println!("\nWritten to {}", written.display());
    Ok(report.is_complete())
}

/// The whole path of a program, which must be there.
fn built(program: &Path, how: &str) -> Measured<PathBuf> {
    let found = program.canonicalize();
    Ok(found.map_err(|error| format!("{}: {error}; build it with: {how}", program.display()))?)
}
