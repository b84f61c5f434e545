//! `suspend` and `resume`: hold an object, and let it go on.

use clap::Args;

use super::{ConfirmArguments, EditArguments, EditError, change::Change, spec_edit::SpecEdit};
use crate::cli::{cluster::ClusterArguments, plugin::exit::Exit};

/// The flags of `suspend`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # Hold acme: its tenant is neither read nor switched\n  \
    kubectl-tenantpricing suspend acme\n\n\
    EXIT CODES:\n  \
    0    suspended, or nothing to do\n  \
    1    nothing was edited, or the outcome is not known\n  \
    3    stalled: a person must act\n  \
    130  you pressed Ctrl-C: the waiting ended, and the object is suspended")]
pub(crate) struct SuspendArguments {
    #[command(flatten)]
    edit: EditArguments,
}

/// The flags of `resume`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # Let acme go on. If that lets a switch happen, it is shown and confirmed\n  \
    kubectl-tenantpricing resume acme\n\n  \
    # Show what would be billed, and store nothing\n  \
    kubectl-tenantpricing resume acme --dry-run=server\n\n\
    EXIT CODES:\n  \
    0    resumed, with its outcome; or nothing to do\n  \
    1    nothing was edited, or the outcome is not known\n  \
    3    stalled: a person must act\n  \
    130  you pressed Ctrl-C: the waiting ended, and the object goes on")]
pub(crate) struct ResumeArguments {
    #[command(flatten)]
    edit: EditArguments,

    #[command(flatten)]
    confirm: ConfirmArguments,
}

impl SuspendArguments {
    /// Suspends the object and prints the outcome.
    ///
    /// # Errors
    /// Nothing was edited, or the outcome is not known.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        let edit = SpecEdit {
            arguments: &self.edit,
            change: Change { suspend: Some(true), ..Change::default() },
            obstacle: |_, _| None,
            confirmation: None,
            goes_on: "nothing new is sent for the tenant. The outcome of an open attempt is still read.",
        };
        edit.run(cluster).await
    }
}

impl ResumeArguments {
    /// Lets the object go on and prints the outcome.
    ///
    /// # Errors
    /// Nothing was edited, or the outcome is not known.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        let edit = SpecEdit {
            arguments: &self.edit,
            change: Change { suspend: Some(false), ..Change::default() },
            obstacle: |_, _| None,
            confirmation: Some(self.confirm),
            goes_on: "the controller does what the spec asks for. To hold it again, use: \
                      kubectl-tenantpricing suspend.",
        };
        edit.run(cluster).await
    }
}
