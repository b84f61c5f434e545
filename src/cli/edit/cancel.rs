//! `cancel`: takes back the request for a switch, before it is carried out.

use clap::Args;
use jiff::Timestamp;

use super::{
    EditArguments, EditError,
    change::{Change, Set},
    spec_edit::{Obstacle, SpecEdit},
};
use crate::{
    api::{DesiredMode, Phase, TenantPricing, conditions},
    cli::{cluster::ClusterArguments, plugin::exit::Exit, status::story::past::bill},
    cluster::Key,
};

/// The flags of `cancel`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # Cancel the switch of acme, which is then only observed\n  \
    kubectl-tenantpricing cancel acme\n\n  \
    # Cancel it although Flux applies the object; cancel it in Git, too\n  \
    kubectl-tenantpricing cancel acme --force\n\n\
    EXIT CODES:\n  \
    0    cancelled, or nothing to do\n  \
    1    nothing was edited, or the outcome is not known\n  \
    3    stalled: a person must act\n  \
    130  you pressed Ctrl-C: the waiting ended, and the request is taken back")]
pub(crate) struct CancelArguments {
    #[command(flatten)]
    edit: EditArguments,
}

impl CancelArguments {
    /// Takes back the request and prints the outcome.
    ///
    /// # Errors
    /// Nothing was edited, or the outcome is not known.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        let edit = SpecEdit {
            arguments: &self.edit,
            // Not `trial`: that would report a stall when the platform ends the trial.
            change: Change { mode: Set::Remove, ..Change::default() },
            obstacle,
            confirmation: None,
            goes_on: "the switch is no longer asked for.",
        };
        edit.run(cluster).await
    }
}

/// Only a switch that is asked for and not sent can be cancelled.
fn obstacle(object: &TenantPricing, now: Timestamp) -> Option<Obstacle> {
    if object.spec.mode != Some(DesiredMode::Production) {
        return Some(Obstacle::NothingToDo("no switch is asked for".to_owned()));
    }
    let status = object.status.as_ref()?;
    let (bill, _) = bill(object, now);
    let key = Key::of(object);
    let in_flight = status.switch.as_ref().is_some_and(|journal| journal.phase == Phase::InFlight);
    if in_flight {
        return Some(Obstacle::Impossible(format!(
            "the switch of {key} cannot be cancelled now: an attempt is open (status.switch.phase is InFlight). {bill} \
             Try again when its outcome is known, and see: kubectl-tenantpricing status {}",
            key.name()
        )));
    }
    conditions::was_proven_past_trial(status).then(|| {
        Obstacle::Impossible(format!(
            "the switch of {key} cannot be cancelled: the tenant is past trial, and there is no way back. {bill} To only \
             observe the tenant from now on, remove spec.mode"
        ))
    })
}

#[cfg(test)]
mod tests;
