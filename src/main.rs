//! The controller's command line: arguments only, everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use tenant_pricing_controller::cli::Arguments;

fn main() -> ExitCode {
    // Two TLS libraries are linked by what we build on; this one is used for everything.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Nobody else installs one, so it is there already.
        return ExitCode::FAILURE;
    }
    match Arguments::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
