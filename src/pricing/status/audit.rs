//! The audit lines: who requested a switch, for which tenant, when, what was sent, what was answered, and which month
//! is billed. Under the log target `audit`, at level info.
//!
//! Their content comes from the stored journal and the outcome of the request only. None of these types can hold a
//! secret, a token, or a byte of an answer's body.

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    api::{TenantPricing, TenantPricingStatus},
    calendar::month_name,
    platform::{PlatformError, PricingVersion, PutOutcome},
    telemetry::SwitchOutcome,
};

/// Logs that a request was sent, or was announced and not sent.
///
/// `object` is the object that was stored with the announcement, and `version` the one in the request. `outcome` is
/// `None` if it was too late to send the request. `answered_at` is when the outcome was known. The billed month is not
/// known before the tenant is read, so the line of [`log_outcome`] has it.
pub fn log_request(
    object: &TenantPricing,
    version: PricingVersion,
    outcome: Option<&PutOutcome>,
    answered_at: Timestamp,
) {
    let Some(status) = &object.status else { return };
    let Some(journal) = &status.switch else { return };
    let (answer, error) = match outcome {
        None => ("too_late", None),
        Some(PutOutcome::Accepted) => ("accepted", None),
        Some(PutOutcome::Refused(error)) => ("refused", Some(error)),
        Some(PutOutcome::Unknown(error)) => ("unknown", Some(error)),
        Some(PutOutcome::NotSent(error)) => ("not_sent", Some(error)),
    };
    let was_sent = !matches!(answer, "too_late" | "not_sent");
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
        "{}",
        if was_sent {
            "the platform was asked to switch a tenant to production"
        } else {
            "a switch to production was announced and not sent"
        }
    );
}

/// Logs that a tenant is switched, or that an announced switch did not take effect.
///
/// Compares `object`'s stored status with the one `before` it. Logs nothing if they agree about the switch.
pub fn log_outcome(object: &TenantPricing, before: &TenantPricingStatus) {
    let Some(after) = &object.status else { return };
    let (was, is) = (before.switch.as_ref(), after.switch.as_ref());
    let outcome = SwitchOutcome::of_change(before, after);
    let text = match outcome {
        Some(SwitchOutcome::Completed) => "a tenant is switched to production",
        Some(_) => "a tenant was found switched to production, not by this controller",
        None if before.is_in_flight() && !after.is_in_flight() => {
            "an announced switch to production did not take effect"
        }
        None => return,
    };
    // A closed or deleted entry no longer says who requested the switch.
    let reported = if outcome.is_some() { is } else { was };
    let completed_at = reported.and_then(|journal| journal.completed_at.as_ref());
    let dated = after.observed.as_ref().and_then(|observed| observed.production_start_date.as_ref());
    let completed_at = completed_at.or(dated.filter(|_| outcome.is_some())).map(|at| at.0);
    tracing::info!(
        target: "audit",
        namespace = object.namespace(),
        name = object.name_any(),
        uid = object.uid(),
        generation = reported.and_then(|journal| journal.intent_generation),
        tenant = after.tenant_id,
        connection = reported.and_then(|journal| journal.connection.as_deref()),
        platform = reported.and_then(|journal| journal.platform.as_deref()),
        attempt = reported.and_then(|journal| journal.attempt_id.as_deref()),
        attempts = reported.map(|journal| journal.attempts),
        requested_by = reported.and_then(|journal| journal.requested_by.as_deref()),
        announced_at = reported.and_then(|journal| journal.intent_at.as_ref()).map(|at| at.0.to_string()),
        completed_at = completed_at.map(|at| at.to_string()),
        bills = completed_at.map(month_name),
        "{text}"
    );
}

#[cfg(test)]
mod tests;
