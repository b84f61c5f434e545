//! Whether the controller has dealt with an edit, by the conditions of the object. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{ReadyReason, ReconcilingReason, TenantPricing, reconcile_now},
    cli::status::{document::ObjectState, fleet::telling},
};

/// How an edit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// Everything that the spec asks for is done.
    Done,
    /// The switch waits for its day.
    Scheduled,
    /// The switch waits for something that can take hours: room in the budget, or a clock that is corrected.
    HeldBack,
    /// A person must act.
    Stalled,
}

/// The reasons for which a switch can wait for hours.
const HELD_BACK: [ReconcilingReason; 2] =
    [ReconcilingReason::SwitchBudgetExhausted, ReconcilingReason::ClockSkew];

/// The condition that says how the object is doing, and what it means. `None`: the controller is still at work, or its
/// status describes an earlier edit.
pub(super) fn settled(object: &TenantPricing) -> Option<(Settled, &Condition)> {
    let status = object.status.as_ref().filter(|_| is_seen(object))?;
    let (state, condition) = telling(&status.conditions)?;
    let settled = match state {
        ObjectState::Stalled => Settled::Stalled,
        ObjectState::Ready if condition.reason == ReadyReason::SwitchScheduled.as_str() => Settled::Scheduled,
        ObjectState::Ready => Settled::Done,
        ObjectState::Reconciling if HELD_BACK.iter().any(|reason| condition.reason == reason.as_str()) => {
            Settled::HeldBack
        }
        ObjectState::Reconciling | ObjectState::NotSeen => return None,
    };
    Some((settled, condition))
}

/// Whether the status describes the last edit of the spec.
pub(super) fn is_seen(object: &TenantPricing) -> bool {
    let observed = object.status.as_ref().map(|status| status.observed_generation);
    observed.is_some() && observed == object.metadata.generation
}

/// Whether the controller has read the tenant for the present value of the annotation `reconcile-now`.
pub(super) fn is_reconciled(object: &TenantPricing) -> bool {
    let handled = object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    handled.is_some() && handled == reconcile_now(&object.metadata)
}

#[cfg(test)]
mod tests;
