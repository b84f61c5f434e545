//! Rules that apply before the tenant is read: suspension, the connection, the name of the tenant.

use super::{Requeue, Ruling, open_entry, shared};
use crate::{
    api::{ReconcilingReason, StalledReason},
    platform::{SimilarName, Tenant, TenantId, TenantKind},
    pricing::facts::{Access, Facts, TenantRead},
};

pub(super) fn suspended(facts: &Facts<'_>) -> Option<Ruling> {
    let applies = facts.object.spec.suspend && !facts.in_flight();
    applies.then(shared::suspended)
}

pub(super) fn connection_missing(facts: &Facts<'_>) -> Option<Ruling> {
    let key = || facts.object.connection_key();
    let message = match facts.access {
        Access::NotFound => {
            format!("There is no PlatformConnection {}. Create it, or correct spec.connectionRef.", key())
        }
        Access::Forbidden => format!(
            "The controller may not read PlatformConnection {}: it lacks the right to get platformconnections in \
             that namespace (403). Have the right granted, or correct spec.connectionRef.",
            key()
        ),
        _ => return None,
    };
    Some(Ruling::stalled(StalledReason::ConnectionNotFound, message).requeue(Requeue::Backoff))
}

pub(super) fn connection_not_allowed(facts: &Facts<'_>) -> Option<Ruling> {
    matches!(facts.access, Access::NotAllowed).then(|| {
        let message = format!(
            "PlatformConnection {} does not admit objects of namespace {}. Have its owner extend \
             spec.allowedNamespaces, or use another connection.",
            facts.object.connection_key(),
            facts.object.metadata.namespace.as_deref().unwrap_or_default(),
        );
        Ruling::stalled(StalledReason::ConnectionNotAllowed, message).requeue(Requeue::Recheck)
    })
}

pub(super) fn connection_unusable(facts: &Facts<'_>) -> Option<Ruling> {
    match facts.access {
        Access::Unusable(_) | Access::Undecided if !shared::needs_platform(facts) => {
            Some(Ruling::unchanged())
        }
        Access::Unusable(problem) => {
            let message = format!(
                "PlatformConnection {} cannot be used: {problem} Nothing is sent meanwhile.{}",
                facts.object.connection_key(),
                if facts.in_flight() { format!(" {}", open_entry::still_open(facts)) } else { String::new() }
            );
            Some(Ruling::stalled(StalledReason::ConnectionNotReady, message))
        }
        Access::Undecided => {
            let message = format!(
                "Whether PlatformConnection {} admits this namespace cannot be read from the API server now. \
                 The controller retries automatically.",
                facts.object.connection_key()
            );
            Some(Ruling::reconciling(ReconcilingReason::ConnectionNotReady, message))
        }
        _ => None,
    }
}

pub(super) fn name_not_found(facts: &Facts<'_>) -> Option<Ruling> {
    let TenantRead::NoSuchName(similar) = facts.read else { return None };
    let name = facts.object.spec.tenant.name.as_deref().unwrap_or_default();
    let advice = similar.as_ref().map_or_else(
        || "Correct the name in a new object (spec.tenant cannot be changed), or create the tenant.".to_owned(),
        |SimilarName { id, name, differs_in }| {
            format!(
                "There is {name:?} (id {id}), which differs in {differs_in}. If you mean that one, name it in a new \
                 object (spec.tenant cannot be changed), preferably by spec.tenant.id."
            )
        },
    );
    let message =
        format!("No customer tenant below the connection's own tenant is named exactly {name:?}. {advice}");
    Some(Ruling::stalled(StalledReason::TenantNotFound, message))
}

pub(super) fn name_ambiguous(facts: &Facts<'_>) -> Option<Ruling> {
    let TenantRead::AmbiguousName(ids) = facts.read else { return None };
    Some(ambiguous(facts, ids))
}

/// The maximum number of ids that a message lists for customers of one name.
const MAX_LISTED_IDS: usize = 20;

/// The ruling if several customers have the name.
pub(super) fn ambiguous(facts: &Facts<'_>, ids: &[TenantId]) -> Ruling {
    let mut some = ids.iter().take(MAX_LISTED_IDS).map(TenantId::as_str).collect::<Vec<_>>().join(", ");
    if ids.len() > MAX_LISTED_IDS {
        some.push_str(", …");
    }
    let message = format!(
        "{} customer tenants are named {:?} ({some}). None of them is switched. Name one of them by spec.tenant.id in \
         a new object.",
        ids.len(),
        facts.object.spec.tenant.name.as_deref().unwrap_or_default()
    );
    Ruling::stalled(StalledReason::TenantNameAmbiguous, message)
}

/// The search by name found a tenant that this object may not stand for. Its id is not stored, and the name is looked
/// up again.
pub(super) fn name_misleads(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen().filter(|_| facts.own().is_none())?;
    let Tenant { id, name, kind, deleted, .. } = &seen.tenant;
    let is = if *deleted {
        "is deleted".to_owned()
    } else if *kind == TenantKind::Customer {
        format!("is named {name:?}")
    } else {
        format!("is of kind {kind}")
    };
    let message = format!(
        "The platform's search for the name {:?} found tenant {id}, which {is}. It is not switched, and the name is \
         looked up again every spec.pollInterval of the connection. If you mean another tenant, name it by \
         spec.tenant.id in a new object.",
        facts.object.spec.tenant.name.as_deref().unwrap_or_default()
    );
    Some(Ruling::stalled(StalledReason::TenantNotFound, message))
}

pub(super) fn tenant_deleted(facts: &Facts<'_>) -> Option<Ruling> {
    facts.seen().filter(|seen| seen.tenant.deleted).map(|_| {
        let message = "The tenant is deleted on the platform. Restore it there, or delete this object.";
        Ruling::stalled(StalledReason::TenantNotFound, message)
    })
}

/// The ruling if no rule applies: the tenant was not read, and no rule says why. Then nothing changes.
pub(super) fn not_read() -> Ruling {
    Ruling::unchanged()
}
