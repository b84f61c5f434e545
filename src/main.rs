//! The controller's binary. Everything but the exit code is in the library.

use std::process::ExitCode;

use tenant_pricing_controller::{cli::Arguments, install_tls_provider};

fn main() -> ExitCode {
    // The dependencies could use two TLS providers. This one is used everywhere.
    install_tls_provider();
    #[cfg(feature = "test-support")]
    let _failpoints = tenant_pricing_controller::failpoints::init_from_env();
    let arguments = Arguments::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match arguments.execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
