//! The command line.

pub mod crds;
mod run;

use clap::{Parser, Subcommand};

/// Kubernetes controller that switches tenants of Acronis Cyber Protect Cloud from trial to production, once,
/// because a manifest says so.
#[derive(Debug, Parser)]
#[command(name = "tenant-pricing-controller", version, about, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller.
    Run(Box<run::RunArguments>),
    /// Print the custom resource definitions as YAML.
    Crds,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `run` failed.
    #[error(transparent)]
    Run(#[from] run::RunError),
    /// `crds` failed.
    #[error(transparent)]
    Crds(#[from] crds::CrdsError),
}

impl Arguments {
    /// Does what the arguments ask for.
    ///
    /// # Errors
    /// A sentence for the person who typed them.
    pub fn execute(self) -> Result<(), Error> {
        match self.command {
            Command::Run(arguments) => Ok(run::run(&arguments)?),
            Command::Crds => Ok(crds::print_crds()?),
        }
    }
}
