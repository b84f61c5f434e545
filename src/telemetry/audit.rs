//! The audit lines: who had which tenant switched, when, what was sent, what came back, and which month is
//! billed. Under the log target `audit`, at level info.
//!
//! What they say is taken from the stored journal, from the answer's outcome, and from nothing else: none of
//! these types can hold a secret, a token, or a byte of an answer's body.

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    api::{Journal, Phase, SwitchedBy, TenantPricing},
    platform::{PlatformError, PricingVersion, PutOutcome},
    pricing::schedule::month_name,
};

/// Says that a request was sent, or was announced and not sent.
///
/// `object` is the one that was stored with the announcement; `version` goes with the request; `answered_at` is
/// when its outcome was known: it decides which month is billed, if the request took effect.
pub fn asked(object: &TenantPricing, version: PricingVersion, outcome: &PutOutcome, answered_at: Timestamp) {
    let Some(status) = &object.status else { return };
    let Some(journal) = &status.switch else { return };
    let (answer, error) = match outcome {
        PutOutcome::Accepted => ("accepted", None),
        PutOutcome::Refused(error) => ("refused", Some(error)),
        PutOutcome::Unknown(error) => ("unknown", Some(error)),
        PutOutcome::NotSent(error) => ("not_sent", Some(error)),
    };
    let was_sent = !matches!(outcome, PutOutcome::NotSent(_));
    let may_bill = matches!(outcome, PutOutcome::Accepted | PutOutcome::Unknown(_));
    tracing::info!(
        target: "audit",
        namespace = object.namespace(),
        name = object.name_any(),
        uid = object.uid(),
        generation = journal.intent_generation,
        tenant = status.tenant_id,
        connection = journal.connection,
        platform = journal.platform,
        attempt = journal.attempt_id,
        attempts = journal.attempts,
        requested_by = journal.requested_by,
        announced_at = journal.intent_at.as_ref().map(|at| at.0.to_string()),
        answered_at = %answered_at,
        sent = was_sent.then(|| format!(r#"{{"version":{version},"mode":"production"}}"#)),
        answer,
        answer_status = error.and_then(PlatformError::status),
        answer_code = error.and_then(PlatformError::code),
        error = error.map(ToString::to_string),
        bills = may_bill.then(|| month_name(answered_at)),
        "{}",
        if was_sent {
            "the platform was asked to switch a tenant to production"
        } else {
            "a switch to production was announced and not sent"
        }
    );
}

/// Says that a tenant is switched, or that an announced switch did not take effect: whatever `object`'s stored
/// journal says and `before` did not. Says nothing if the two say the same.
pub fn settled(object: &TenantPricing, before: Option<&Journal>) {
    let Some(status) = &object.status else { return };
    let after = status.switch.as_ref();
    let (was, is) = (before.map(|journal| journal.phase), after.map(|journal| journal.phase));
    let text = match (was, is) {
        (Some(Phase::Completed), _) => return,
        (_, Some(Phase::Completed)) => match after.and_then(|journal| journal.by) {
            Some(SwitchedBy::Controller) => "a tenant is switched to production",
            _ => "a tenant was found switched to production, not by this controller",
        },
        (Some(Phase::InFlight), Some(Phase::Scheduled) | None) => {
            "an announced switch to production did not take effect"
        }
        _ => return,
    };
    // Once it is closed, the entry no longer says who had asked.
    let told = before.filter(|_| is != Some(Phase::Completed)).or(after);
    let completed_at = after.and_then(|journal| journal.completed_at.as_ref()).map(|at| at.0);
    tracing::info!(
        target: "audit",
        namespace = object.namespace(),
        name = object.name_any(),
        uid = object.uid(),
        generation = told.and_then(|journal| journal.intent_generation),
        tenant = status.tenant_id,
        connection = told.and_then(|journal| journal.connection.as_deref()),
        platform = told.and_then(|journal| journal.platform.as_deref()),
        attempt = told.and_then(|journal| journal.attempt_id.as_deref()),
        attempts = told.map(|journal| journal.attempts),
        requested_by = told.and_then(|journal| journal.requested_by.as_deref()),
        announced_at = told.and_then(|journal| journal.intent_at.as_ref()).map(|at| at.0.to_string()),
        completed_at = completed_at.map(|at| at.to_string()),
        bills = completed_at.map(month_name),
        "{text}"
    );
}

#[cfg(test)]
mod tests;
