//! `switch`, `cancel`, `suspend`, `resume`, `reconcile`: what a person would edit by hand, with the bill in view.
//!
//! No command sends anything to the platform. Each edits the object, and the controller does the rest: so a switch by
//! hand keeps every promise of a switch by manifest.

mod cancel;
mod change;
mod confirm;
mod forecast;
mod owner;
mod reconcile;
mod settled;
mod spec_edit;
mod store;
mod suspend;
mod switch;
mod text;
mod wait;

use clap::{Args, ValueEnum};

use self::wait::WaitArguments;
pub(crate) use self::{
    cancel::CancelArguments,
    reconcile::ReconcileArguments,
    suspend::{ResumeArguments, SuspendArguments},
    switch::SwitchArguments,
};
use crate::cluster::access::AccessError;

/// The flags of each command that edits a spec.
#[derive(Debug, Args)]
struct EditArguments {
    /// The name of the TenantPricing.
    #[arg(value_name = "NAME")]
    name: String,

    /// Edit the object although a tool such as Flux, Argo CD or Helm keeps it as Git has it.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    dry_run: DryRunArguments,

    #[command(flatten)]
    wait: WaitArguments,
}

/// The flag for a try.
#[derive(Clone, Copy, Debug, Args)]
struct DryRunArguments {
    /// Show what would happen, and store nothing. server: the API server checks the edit. client: nothing is sent.
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "none",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "server"
    )]
    dry_run: DryRun,
}

/// Whether an edit is only tried, as for `kubectl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// The edit is stored.
    None,
    /// The API server checks the edit and stores nothing.
    Server,
    /// Nothing is sent.
    Client,
}

/// The flag that stands in for the confirmation.
#[derive(Clone, Copy, Debug, Args)]
struct ConfirmArguments {
    /// Do not ask for the name of the tenant. The switch starts billing and cannot be undone.
    #[arg(short, long)]
    yes: bool,
}

/// Why an edit was not made, or why its outcome is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// The cluster was not found.
    #[error("failed to find the cluster: {0}")]
    Cluster(#[from] AccessError),
    /// The object cannot be read.
    #[error("{0}")]
    Unread(String),
    /// The object cannot be edited so. The text says why, and what it means for the bill.
    #[error("{0}")]
    Impossible(String),
    /// A tool keeps the object as Git has it.
    #[error(
        "nothing was edited: TenantPricing {object} belongs to {owner}, which would put back what Git says. {way_out}. To \
         edit the object anyway, give --force"
    )]
    Owned {
        /// The namespace and the name of the object.
        object: String,
        /// The tool.
        owner: String,
        /// What to do instead.
        way_out: String,
    },
    /// The edit must be confirmed, and there is no person to ask.
    #[error(
        "nothing was edited: this lets a switch happen, which starts billing and cannot be undone, and standard input is \
         no terminal on which to confirm it. Run it in a terminal, or give --yes"
    )]
    NoTerminal,
    /// The tenant has neither an id nor a name that can be typed.
    #[error("nothing was edited: the tenant has neither an id yet nor a name that can be typed. Give --yes")]
    Unnamed,
    /// Something else than the name of the tenant was typed.
    #[error("nothing was edited: {0:?} is not the name of the tenant. Run the command again, or give --yes")]
    NotConfirmed(String),
    /// What was shown no longer holds.
    #[error(
        "nothing was edited: TenantPricing {0} or its bill changed while you were asked. Run the command again, and see \
         what happens now"
    )]
    Changed(String),
    /// Another client edited the object.
    #[error(
        "nothing was edited: TenantPricing {0} changed after it was read. Run the command again, and see what happens now"
    )]
    Conflict(String),
    /// There is no such object, or no longer.
    #[error("nothing was edited: there is no TenantPricing {0}")]
    Gone(String),
    /// The API server refuses the edit.
    #[error("nothing was edited, as the API server refuses it: {0}")]
    Refused(String),
    /// There is no certain answer.
    #[error(
        "it is not known whether the edit of TenantPricing {0} is stored: {1}. See what is there with: \
         kubectl-tenantpricing status {name}",
        name = name_of(.0)
    )]
    Unknown(String, String),
    /// The edit is stored, and its outcome cannot be watched.
    #[error(
        "the edit is stored, and its outcome cannot be watched: {0}. Give --no-wait to leave out the wait"
    )]
    NoWatch(String),
    /// The outcome was not there in time.
    #[error("{0}")]
    TimedOut(String),
    /// The object was deleted while its outcome was waited for.
    #[error("the edit was stored, and then TenantPricing {0} was deleted. That cancels a switch that waited")]
    Deleted(String),
    /// Some objects of several were not edited.
    #[error("{0}")]
    Partly(String),
    /// The terminal or the output cannot be used.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The name in `namespace/name`.
fn name_of(object: &str) -> &str {
    object.split_once('/').map_or(object, |(_, name)| name)
}
