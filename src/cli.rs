//! The command line.

#[cfg(feature = "cli")]
pub(crate) mod check;
#[cfg(feature = "cli")]
mod cluster;
pub mod crds;
#[cfg(feature = "cli")]
mod edit;
#[cfg(feature = "cli")]
mod events;
#[cfg(feature = "cli")]
mod history;
#[cfg(feature = "cli")]
mod import;
#[cfg(feature = "cli")]
pub mod manifests;
#[cfg(feature = "cli")]
mod output;
#[cfg(feature = "cli")]
mod plan;
#[cfg(feature = "cli")]
mod platform;
#[cfg(feature = "cli")]
pub mod plugin;
mod run;
#[cfg(feature = "cli")]
mod status;
#[cfg(feature = "cli")]
pub mod validation;
#[cfg(feature = "cli")]
mod version;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Kubernetes controller that switches tenants of Acronis Cyber Protect Cloud from trial to production, once, because a
/// manifest says so.
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

/// The failure of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `run` failed.
    #[error(transparent)]
    Run(#[from] run::RunError),
    /// `crds` failed.
    #[error(transparent)]
    Crds(#[from] crds::CrdsError),
}

impl Error {
    /// The exit code: 2 for an invalid command line, as in clap, and 1 for every other error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Run(run::RunError::Settings(_) | run::RunError::LogLevel(_)) => 2,
            Self::Run(_) | Self::Crds(_) => 1,
        }
    }
}

impl Arguments {
    /// Reads the command line and the environment variables.
    ///
    /// # Errors
    /// An invalid command line, or a request for help.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(line)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        if let (Command::Run(run), Some(matches)) =
            (&mut arguments.command, matches.subcommand_matches("run"))
        {
            run.record_sources(matches);
        }
        Ok(arguments)
    }

    /// Runs the command.
    ///
    /// # Errors
    /// A sentence for the person who ran it.
    pub fn execute(self) -> Result<(), Error> {
        match self.command {
            Command::Run(arguments) => Ok(run::run(&arguments)?),
            Command::Crds => Ok(crds::print_crds()?),
        }
    }
}
