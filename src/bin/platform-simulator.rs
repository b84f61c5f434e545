//! Runs the platform simulator until SIGTERM or SIGINT.
#![allow(clippy::print_stdout, clippy::print_stderr)] // it is a command line program

use std::process::ExitCode;

use clap::Parser;
use tenant_pricing_controller::simulator::cli::Arguments;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let port_file = arguments.port_file.clone();
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("platform-simulator: cannot listen for signals: {error}");
                return ExitCode::FAILURE;
            }
        };
    let simulator = match arguments.start().await {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("platform-simulator: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "platform simulator at {url} with clientId {id} and clientSecret {secret}; {url}/simulator says more",
        url = simulator.url(),
        id = simulator.client_id(),
        secret = simulator.client_secret(),
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.shutdown().await;
    if let Some(file) = port_file {
        let _ = std::fs::remove_file(file); // it may be gone already
    }
    ExitCode::SUCCESS
}
