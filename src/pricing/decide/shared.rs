//! What rules of several files need.

use super::{Requeue, Ruling};
use crate::{
    api::{DesiredMode, Phase, ReadyReason, conditions, reconcile_now},
    pricing::facts::Facts,
};

/// The state of an object that is suspended and has no open entry.
pub(super) fn suspended() -> Ruling {
    let message = "spec.suspend is true: the tenant is neither read nor switched. Set it to false to go on.";
    Ruling::ready(ReadyReason::Suspended, message).requeue(Requeue::OnChange)
}

/// Whether this object has to report a problem of the platform.
///
/// It has to if it needs the platform now: its tenant was never seen, or a switch is due or open. An edit and a
/// requested reconcile count, too. It also has to if it reports such a problem already. An object in sync stays as it
/// is, and the connection reports the problem: an outage must not cause ten thousand status writes.
pub(super) fn needs_platform(facts: &Facts<'_>) -> bool {
    let Some(status) = &facts.object.status else { return true };
    let asked_now = reconcile_now(&facts.object.metadata);
    let switch_due = status.switch.as_ref().is_some_and(|journal| {
        let due = journal.scheduled_for.as_ref().is_none_or(|time| time.0 <= facts.now);
        let wanted = facts.object.spec.mode == Some(DesiredMode::Production);
        journal.phase == Phase::InFlight || (journal.phase == Phase::Scheduled && due && wanted)
    });
    status.observed.is_none()
        || Some(status.observed_generation) != facts.object.metadata.generation
        || asked_now.is_some_and(|value| status.last_handled_reconcile_at.as_deref() != Some(value))
        || switch_due
        || conditions::mention_connection(&status.conditions)
}
