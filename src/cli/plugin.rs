//! The command line of `kubectl-tenantpricing`, alone or as `kubectl tenantpricing`.
//!
//! Nothing here writes to the platform: the commands have no client that could.

pub(crate) mod completion;
#[cfg(test)]
mod examples;
pub(crate) mod exit;
mod help;
mod man;
#[cfg(test)]
mod reference;

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use anstream::ColorChoice as StreamColor;
use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use self::exit::Exit;
use super::{check, cluster::ClusterArguments, edit, events, history, import, output, plan, status, version};
use crate::telemetry::{LogFormat, start_logging};

/// The name of the program, when kubectl does not call it.
const PROGRAM: &str = "kubectl-tenantpricing";

/// Shows what a TenantPricing will do before it does it, and what all of them have done.
///
/// A switch to production starts billing and cannot be undone. No command here sends one: only the controller does,
/// when an object asks for it.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, about, propagate_version = true, max_term_width = 100)]
#[command(after_help = "EXAMPLES:\n  \
    # What a manifest changes in the cluster of the current context, and what that puts on the bill\n  \
    kubectl-tenantpricing plan -f acme.yaml\n\n  \
    # What is scheduled, in flight and stuck, in all namespaces\n  \
    kubectl-tenantpricing status -A")]
pub(crate) struct PluginArguments {
    #[command(flatten)]
    cluster: ClusterArguments,

    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,

    /// What to log on standard error: error, warn, info, debug, trace or off.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "off")]
    log_level: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what the controller will do if manifests are applied. Nothing is written anywhere.
    Plan(Box<plan::PlanArguments>),
    /// Show what is scheduled, in flight and stalled, and what the platform will switch on its own.
    Status(Box<status::StatusArguments>),
    /// Show every switch on record, by whom it was asked for, and the month on the bill.
    History(history::HistoryArguments),
    /// Show the events about TenantPricings.
    Events(events::EventsArguments),
    /// Write manifests for the tenants that exist. Nothing is written to the platform or to a cluster.
    Import(Box<import::ImportArguments>),
    /// Ask for the switch of a tenant to production, and wait for the outcome.
    Switch(edit::SwitchArguments),
    /// Take back the request for a switch that is not sent yet.
    Cancel(edit::CancelArguments),
    /// Hold a TenantPricing: its tenant is neither read nor switched.
    Suspend(edit::SuspendArguments),
    /// Let a suspended TenantPricing go on.
    Resume(edit::ResumeArguments),
    /// Have the controller read tenants now, and wait until it has.
    Reconcile(edit::ReconcileArguments),
    /// Check an installation: the cluster, CRDs, rights, the controller, connections and objects. Nothing is written.
    Check(check::CheckArguments),
    /// Print the versions of this program, of the CRDs and of the controller, and whether they fit.
    Version(version::VersionArguments),
    /// Print the script by which a shell completes this command line.
    Completion(completion::CompletionArguments),
    /// Write the manual pages.
    #[command(hide = true)]
    Man(man::ManArguments),
}

/// The failure of a command: a sentence for the person who ran it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The log level is invalid.
    #[error("--log-level: {0}")]
    LogLevel(#[from] crate::telemetry::InvalidLogLevel),
    /// The runtime could not start, or the output could not be written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// `plan` failed.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// `status` failed.
    #[error(transparent)]
    Status(#[from] status::StatusError),
    /// `history` failed.
    #[error(transparent)]
    History(#[from] history::HistoryError),
    /// `events` failed.
    #[error(transparent)]
    Events(#[from] events::EventsError),
    /// `check` failed.
    #[error(transparent)]
    Check(#[from] check::CheckError),
    /// `version` failed.
    #[error(transparent)]
    Version(#[from] version::VersionError),
    /// `import` failed.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// `switch`, `cancel`, `suspend`, `resume` or `reconcile` failed.
    #[error(transparent)]
    Edit(#[from] edit::EditError),
    /// The cluster was not found.
    #[error("failed to find the cluster: {0}")]
    Cluster(#[from] crate::cluster::access::AccessError),
}

/// Runs the command line, and returns its exit code.
#[must_use]
pub fn run(line: impl IntoIterator<Item = OsString>) -> Exit {
    let mut line: Vec<OsString> = line.into_iter().collect();
    if let Some(exit) = completion::answer(&line) {
        return exit;
    }
    let name = called_as(line.first());
    if let Some(first) = line.first_mut() {
        *first = name.into();
    }
    let arguments = match read(&line, name) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if is_answer { Exit::Success } else { Exit::Error };
        }
    };
    match arguments.execute() {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&error);
            Exit::Error
        }
    }
}

/// How the program was called, for help and errors: kubectl starts it by its file name, as it does every plugin.
fn called_as(first: Option<&OsString>) -> &'static str {
    let file = first.map(Path::new).and_then(Path::file_stem).unwrap_or_default();
    // kubectl sets no variable that tells a plugin so. A plugin on the path is nearly always called through it.
    if file.to_string_lossy().starts_with("kubectl-")
        && std::env::var_os("_").is_some_and(|program| is_kubectl(&program))
    {
        "kubectl tenantpricing"
    } else {
        PROGRAM
    }
}

/// Whether the shell's variable `_` names kubectl: then the shell started kubectl, and kubectl started this program.
fn is_kubectl(program: &OsStr) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == "kubectl" || name == "k")
}

fn read(line: &[OsString], name: &'static str) -> Result<PluginArguments, clap::Error> {
    PluginArguments::from_arg_matches(&command(name).try_get_matches_from(line)?)
}

/// The command line, whose help and examples call the program by this name.
fn command(name: &str) -> clap::Command {
    help::called(PluginArguments::command().bin_name(name), name)
}

impl PluginArguments {
    fn execute(self) -> Result<Exit, CommandError> {
        match self.color {
            ColorChoice::Always => StreamColor::Always,
            ColorChoice::Never => StreamColor::Never,
            ColorChoice::Auto => StreamColor::Auto,
        }
        .write_global();
        start_logging(LogFormat::Text, &self.log_level.parse()?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let exit = runtime.block_on(self.command.execute(&self.cluster.without_empty()));
        runtime.shutdown_background();
        exit
    }
}

impl Command {
    async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        match self {
            Self::Plan(arguments) => arguments.execute(cluster).await,
            Self::Status(arguments) => arguments.execute(cluster).await,
            Self::History(arguments) => arguments.execute(cluster).await,
            Self::Events(arguments) => arguments.execute(cluster).await,
            Self::Import(arguments) => arguments.execute(cluster).await,
            Self::Switch(arguments) => Ok(arguments.execute(cluster).await?),
            Self::Cancel(arguments) => Ok(arguments.execute(cluster).await?),
            Self::Suspend(arguments) => Ok(arguments.execute(cluster).await?),
            Self::Resume(arguments) => Ok(arguments.execute(cluster).await?),
            Self::Reconcile(arguments) => Ok(arguments.execute(cluster).await?),
            Self::Check(arguments) => arguments.execute(cluster).await,
            Self::Version(arguments) => arguments.execute(cluster).await,
            Self::Completion(arguments) => arguments.execute(),
            Self::Man(arguments) => arguments.execute(),
        }
    }
}
