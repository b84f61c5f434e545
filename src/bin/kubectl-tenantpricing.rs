//! The command line tool `kubectl-tenantpricing`. Everything but the exit code is in the library.

use std::process::ExitCode;

use tenant_pricing_controller::{cli::plugin, install_tls_provider};

fn main() -> ExitCode {
    install_tls_provider();
    plugin::run(std::env::args_os()).into()
}
