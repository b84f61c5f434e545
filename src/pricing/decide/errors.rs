//! What an error of the platform means for an object. The class alone decides condition, reason and retry interval.

use std::time::Duration;

use super::{Requeue, Ruling, Verdict, shared};
use crate::{
    api::{ConditionType, ReconcilingReason as Wait, StalledReason as Stall, conditions},
    backoff::Backoff,
    platform::{ErrorClass, PlatformError},
    pricing::facts::{Facts, TenantRead},
};

pub(super) fn read_failed(facts: &Facts<'_>) -> Option<Ruling> {
    let TenantRead::Failed(error) = facts.read else { return None };
    Some(failed(facts, error))
}

/// The ruling if this error kept the tenant from being read.
pub(super) fn failed(facts: &Facts<'_>, error: &PlatformError) -> Ruling {
    if error.class().concerns_connection() && !shared::needs_platform(facts) {
        return Ruling::unchanged().requeue(requeue_after(error));
    }
    let ruling = explain(error);
    let message = said_already(facts, error, &ruling).map_or_else(|| ruling.message.clone(), str::to_owned);
    Ruling { message, ..ruling }
}

/// The message in the status, if it reports this problem already.
///
/// During an outage the text differs from one failed request to the next: a status, a code, no connection. Without this
/// check every retry would write the status.
fn said_already<'a>(facts: &Facts<'a>, error: &PlatformError, ruling: &Ruling) -> Option<&'a str> {
    let Verdict::Reconciling(reason) = ruling.verdict else { return None };
    let status = facts.object.status.as_ref()?;
    let said = conditions::find(&status.conditions, ConditionType::Reconciling)?;
    let advice = ruling.message.strip_prefix(&error.to_string())?;
    let is_said = error.class().concerns_connection()
        && said.observed_generation == facts.object.metadata.generation
        && said.reason == reason.as_str()
        && said.message.ends_with(advice);
    is_said.then_some(&said.message)
}

/// The state of an object after this error of a read or of a switch attempt.
pub(super) fn explain(error: &PlatformError) -> Ruling {
    let wait = |reason, advice: &str| Ruling::reconciling(reason, format!("{error}. {advice}"));
    let stall = |reason, advice: &str| Ruling::stalled(reason, format!("{error}. {advice}"));
    let ruling = match error.class() {
        _ if error.is_lasting() => stall(
            Stall::PlatformRefused,
            "Therefore the list of all tenants below the connection's own cannot prove a name, and nothing is switched \
             by name. The list is read again ten minutes later. Correct this on the platform, or name the tenant by \
             spec.tenant.id in a new object.",
        ),
        ErrorClass::Unavailable | ErrorClass::Malformed => wait(
            Wait::PlatformUnavailable,
            "The controller retries automatically; nothing is lost and nothing is sent twice.",
        ),
        ErrorClass::Throttled => {
            // The message omits the remaining time, which would change with every read.
            wait(
                Wait::RateLimited,
                "The platform asked for a pause. The controller retries after it; the PlatformConnection says when.",
            )
        }
        ErrorClass::VersionMismatch => wait(
            Wait::VersionConflict,
            "The pricing settings changed while the switch was requested. The controller reads them again and retries.",
        ),
        ErrorClass::Deprovisioning => wait(
            Wait::TenantBusy,
            "The platform is removing services of the tenant. The controller retries until that is done.",
        ),
        ErrorClass::AccessDenied => stall(
            Stall::AccessDenied,
            "Give the API client the role tenant_admin on the tenant (tenant_viewer is enough to observe).",
        ),
        ErrorClass::NotFound => stall(
            Stall::TenantNotFound,
            "The tenant does not exist or the API client cannot see it. Correct the id in a new object, or \
             give the client access.",
        ),
        ErrorClass::Locked => stall(
            Stall::TenantLocked,
            "The tenant is locked against changes through the API. Have the owner of the lock release it.",
        ),
        ErrorClass::ParentDisabled => {
            stall(Stall::PlatformRefused, "A parent of the tenant is disabled. Enable it on the platform.")
        }
        ErrorClass::BusinessRules => stall(
            Stall::PlatformRefused,
            "The platform's business rules forbid it. Ask the platform's support which rule applies.",
        ),
        ErrorClass::Redirected => stall(
            Stall::PlatformRefused,
            "Redirects are not followed. Put the data centre's own URL into the connection.",
        ),
        ErrorClass::Refused => stall(
            Stall::PlatformRefused,
            "The controller retries slowly. Ask the platform's support for the cause.",
        ),
        ErrorClass::Credentials => stall(
            Stall::ConnectionNotReady,
            "Correct the Secret that the connection names; it is re-read within 30 s.",
        ),
        ErrorClass::SecretNotFound | ErrorClass::SecretInvalid => {
            stall(Stall::ConnectionNotReady, "It is re-read within 30 s of being corrected.")
        }
        ErrorClass::HostNotAllowed | ErrorClass::InvalidConfiguration => {
            stall(Stall::ConnectionNotReady, "Correct the connection.")
        }
    };
    ruling.requeue(requeue_after(error))
}

/// When to reconcile again after this error.
fn requeue_after(error: &PlatformError) -> Requeue {
    match (error.class(), error.retry_after()) {
        _ if error.is_lasting() => Requeue::AtPollInterval,
        (ErrorClass::Throttled, Some(pause)) => Requeue::After(pause),
        (
            ErrorClass::Unavailable
            | ErrorClass::Malformed
            | ErrorClass::Throttled
            | ErrorClass::VersionMismatch
            | ErrorClass::Deprovisioning,
            _,
        ) => Requeue::Backoff,
        _ => Requeue::AtPollInterval,
    }
}

/// The number of quick retries after a definite version conflict. Later ones wait for the longest pause.
const QUICK_VERSION_RETRIES: u32 = 5;

/// How long the next attempt waits after `failures` failed ones in a row. `slow` is the longest pause.
#[must_use]
pub fn pause_after(error: &PlatformError, failures: u32, slow: Duration) -> Duration {
    // No jitter: a decision is pure.
    let growing = Backoff::new(Duration::ZERO, Duration::from_secs(1), slow).limit(failures);
    match error.class() {
        ErrorClass::Throttled => error.retry_after().unwrap_or(growing),
        ErrorClass::VersionMismatch if failures > QUICK_VERSION_RETRIES => slow,
        class if matches!(requeue_after(error), Requeue::Backoff) || class.concerns_connection() => growing,
        _ => slow,
    }
}
