//! A connection's status, from the result of its check and its tenant counts. Pure.

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{
        ConditionStatus, ConditionType, ConnectionReason, PlatformConnection, PlatformConnectionStatus,
        TenantCounts,
        conditions::{self, find},
    },
    platform::{ErrorClass, PlatformError, TenantId},
};

/// The result of a check.
#[derive(Clone, Debug)]
pub(super) enum CheckResult {
    /// The platform accepted the credentials, which belong to this tenant.
    Accepted(TenantId),
    /// `spec.suspend` is true.
    Suspended,
    /// The spec cannot be used.
    Unusable(ConnectionReason, String),
    /// The platform refused, or the Secret cannot be used.
    Failed(PlatformError),
    /// The platform asked for a pause, until this time.
    Paused(PlatformError, Timestamp),
}

impl CheckResult {
    /// The result of a check that failed at this time.
    pub(super) fn failed(error: PlatformError, now: Timestamp) -> Self {
        let until = error
            .retry_after()
            .filter(|_| error.class() == ErrorClass::Throttled)
            .and_then(|left| now.checked_add(left).ok())
            .and_then(|until| {
                until.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil)).ok()
            });
        match until {
            Some(until) => Self::Paused(error, until),
            None => Self::Failed(error),
        }
    }
}

/// Two ends of a pause this close belong to the same pause.
const SAME_PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// The text before the end of a pause. [`end_of_pause`] reads the time back from a stored message.
const UNTIL_PREFIX: &str = "The pause lasts until ";

/// The status for a result. Without `counts` the counters stay as they are.
pub(super) fn status(
    connection: &PlatformConnection,
    tried: &CheckResult,
    counts: Option<TenantCounts>,
    now: Timestamp,
) -> PlatformConnectionStatus {
    let mut status = connection.status.clone().unwrap_or_default();
    status.observed_generation = connection.metadata.generation.unwrap_or_default();
    if let CheckResult::Accepted(tenant) = tried {
        status.tenant_id = Some(tenant.to_string());
    }
    status.tenants = counts.or(status.tenants);
    let (reason, message) = explain(tried);
    let before = std::mem::take(&mut status.conditions);
    let message = said_already(&before, reason, &message).unwrap_or(message);
    let other = match (reason.is_ready(), reason.is_stalled()) {
        (true, _) => None,
        (false, true) => Some(ConditionType::Stalled),
        (false, false) => Some(ConditionType::Reconciling),
    };
    let truth = if other.is_none() { ConditionStatus::True } else { ConditionStatus::False };
    let generation = status.observed_generation;
    let set = |kind: ConditionType, truth: ConditionStatus| {
        conditions::next(&before, kind, truth, reason.as_str(), &message, generation, now)
    };
    status.conditions.push(set(ConditionType::Ready, truth));
    status.conditions.extend(other.map(|kind| set(kind, ConditionStatus::True)));
    let own = |condition: &Condition| {
        ConditionType::OF_CONNECTION.iter().any(|kind| kind.as_str() == condition.type_)
    };
    status.conditions.extend(before.into_iter().filter(|condition| !own(condition)));
    status
}

/// The stored message, if it says the same. Each check measures the end of a pause again, and a difference of a second
/// is not worth a write.
fn said_already(before: &[Condition], reason: ConnectionReason, message: &str) -> Option<String> {
    let said = find(before, ConditionType::Ready).filter(|said| said.reason == reason.as_str())?;
    let (then, now) = (end_of_pause(&said.message)?, end_of_pause(message)?);
    (then.duration_since(now).abs() <= SAME_PAUSE).then(|| said.message.clone())
}

/// The end of the pause in a message.
fn end_of_pause(message: &str) -> Option<Timestamp> {
    message.split_once(UNTIL_PREFIX)?.1.split_once(';')?.0.parse().ok()
}

fn explain(tried: &CheckResult) -> (ConnectionReason, String) {
    match tried {
        CheckResult::Accepted(tenant) => (
            ConnectionReason::CredentialsAccepted,
            format!("The platform accepted the credentials; they act in tenant {tenant}."),
        ),
        CheckResult::Suspended => (
            ConnectionReason::Suspended,
            "spec.suspend is true: no call at all is made through this connection. Set it to false to go on."
                .to_owned(),
        ),
        CheckResult::Paused(error, until) => (
            ConnectionReason::RateLimited,
            format!(
                "{error}. {UNTIL_PREFIX}{until}; nothing is sent before, and then the controller retries."
            ),
        ),
        CheckResult::Unusable(reason, message) => (*reason, message.clone()),
        CheckResult::Failed(error) => {
            let (reason, advice) = match error.class() {
                ErrorClass::Credentials | ErrorClass::AccessDenied | ErrorClass::NotFound => (
                    ConnectionReason::CredentialsRejected,
                    "Put a valid API client into the Secret; it is re-read within 30 s.",
                ),
                ErrorClass::SecretNotFound => {
                    (ConnectionReason::SecretNotFound, "The controller looks for it every 30 s.")
                }
                ErrorClass::SecretInvalid => (ConnectionReason::SecretInvalid, "It is re-read every 30 s."),
                ErrorClass::HostNotAllowed => (
                    ConnectionReason::HostNotAllowed,
                    "Correct spec.url, or have the controller's --allowed-hosts extended.",
                ),
                ErrorClass::Throttled => {
                    (ConnectionReason::RateLimited, "The controller retries after the pause.")
                }
                ErrorClass::InvalidConfiguration => (
                    ConnectionReason::ConfigurationInvalid,
                    "Correct spec.caBundle, or the controller's own configuration if that is what is named.",
                ),
                _ => (
                    ConnectionReason::PlatformUnavailable,
                    "The controller retries automatically. If the error persists, check spec.url and the network path.",
                ),
            };
            (reason, format!("{error}. {advice}"))
        }
    }
}

#[cfg(test)]
mod tests;
