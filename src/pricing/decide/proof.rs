//! Rules about the proof of a name. A search is enough to find a tenant to observe. Before a switch, a listing of all
//! tenants must show that exactly one customer has the name.

use super::{JournalStep, Requeue, Ruling, access, errors, switching};
use crate::{
    api::{ReconcilingReason, StalledReason},
    pricing::facts::{Facts, Proof},
};

/// No tenant is switched by a name that is not proved.
pub(super) fn name_unproved(facts: &Facts<'_>) -> Option<Ruling> {
    let name = facts.object.spec.tenant.name.as_ref()?;
    match &facts.circumstances.proof {
        Proof::Customers(_) => None,
        Proof::Missing => Some(Ruling::unchanged().requeue(Requeue::WhenProved)),
        Proof::Awaited => {
            let message = format!(
                "The switch is due. The controller first lists all tenants below the connection's own, to prove that \
                 no other customer is named {name:?}. That takes one request for every 100 tenants. Until then the \
                 tenant stays in trial. With spec.tenant.id nothing has to be proved."
            );
            let ruling = Ruling::reconciling(ReconcilingReason::TenantNameUnproved, message);
            let planned = switching::planned(facts)?;
            Some(ruling.with_journal(JournalStep::Schedule(planned)).requeue(Requeue::WhenProved))
        }
        Proof::Failed(error) => Some(errors::failed(facts, error)),
    }
}

/// No tenant is switched by a name that another customer has.
pub(super) fn belongs_to_another(facts: &Facts<'_>) -> Option<Ruling> {
    let name = facts.object.spec.tenant.name.as_ref()?;
    let Proof::Customers(ids) = &facts.circumstances.proof else { return None };
    let id = &facts.seen()?.tenant.id;
    match ids.as_slice() {
        [only] if only == id => None,
        [] => {
            let message = format!(
                "Tenant {id} was found by the name {name:?}, but the list of all tenants below the connection's own \
                 shows no customer of that name. It is not switched. Name the tenant that is meant by \
                 spec.tenant.id in a new object."
            );
            Some(Ruling::stalled(StalledReason::TenantNotFound, message))
        }
        [other] => {
            let message = format!(
                "This object stands for tenant {id}, but the list of all tenants shows that tenant {other} has the \
                 name {name:?}. Neither is switched. Name the one that is meant by spec.tenant.id in a new object."
            );
            Some(Ruling::stalled(StalledReason::TenantChanged, message))
        }
        several => Some(access::ambiguous(facts, several)),
    }
}
