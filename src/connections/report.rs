//! A connection's status, made from what trying it showed and from the tenants counted. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{ConditionType, ConnectionReason, PlatformConnection, PlatformConnectionStatus, TenantCounts},
    platform::{ErrorClass, PlatformError, TenantId},
};

/// What trying a connection showed.
#[derive(Clone, Debug)]
pub(super) enum Tried {
    /// The platform accepted the credentials, which act in this tenant.
    Accepted(TenantId),
    /// `spec.suspend` is true.
    Suspended,
    /// The spec cannot be used as it stands.
    Unusable(ConnectionReason, String),
    /// The platform or the Secret said no.
    Failed(PlatformError),
}

/// The status that says so. Without `counts` the counters stay where they are.
pub(super) fn status(
    connection: &PlatformConnection,
    tried: &Tried,
    counts: Option<TenantCounts>,
    now: Timestamp,
) -> PlatformConnectionStatus {
    let mut status = connection.status.clone().unwrap_or_default();
    status.observed_generation = connection.metadata.generation.unwrap_or_default();
    if let Tried::Accepted(tenant) = tried {
        status.tenant_id = Some(tenant.to_string());
    }
    status.tenants = counts.or(status.tenants);
    let (reason, message) = explain(tried);
    let truth = if reason == ConnectionReason::CredentialsAccepted { "True" } else { "False" };
    let ready = ConditionType::Ready.as_str();
    let before = status.conditions.iter().find(|condition| condition.type_ == ready);
    let since =
        before.filter(|was| was.status == truth).map_or(Time(now), |was| was.last_transition_time.clone());
    let condition = Condition {
        type_: ready.to_owned(),
        status: truth.to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: Some(status.observed_generation),
        last_transition_time: since,
    };
    status.conditions.retain(|condition| condition.type_ != ready);
    status.conditions.insert(0, condition);
    status
}

fn explain(tried: &Tried) -> (ConnectionReason, String) {
    match tried {
        Tried::Accepted(tenant) => (
            ConnectionReason::CredentialsAccepted,
            format!("The platform accepted the credentials; they act in tenant {tenant}."),
        ),
        Tried::Suspended => (
            ConnectionReason::Suspended,
            "spec.suspend is true: no call at all is made through this connection. Set it to false to go on."
                .to_owned(),
        ),
        Tried::Unusable(reason, message) => (*reason, message.clone()),
        Tried::Failed(error) => {
            let (reason, advice) = match error.class() {
                ErrorClass::Credentials | ErrorClass::AccessDenied | ErrorClass::NotFound => (
                    ConnectionReason::CredentialsRejected,
                    "Put a valid API client into the Secret; it is re-read within 30 s.",
                ),
                ErrorClass::SecretNotFound => {
                    (ConnectionReason::SecretNotFound, "It is looked for every 30 s.")
                }
                ErrorClass::SecretInvalid => (ConnectionReason::SecretInvalid, "It is re-read every 30 s."),
                ErrorClass::HostNotAllowed => (
                    ConnectionReason::HostNotAllowed,
                    "Correct spec.url, or have the controller's --allowed-hosts extended.",
                ),
                ErrorClass::Throttled => {
                    (ConnectionReason::RateLimited, "It is tried again when the pause is over.")
                }
                ErrorClass::InvalidConfiguration => {
                    (ConnectionReason::PlatformUnavailable, "Correct the spec.")
                }
                _ => (
                    ConnectionReason::PlatformUnavailable,
                    "It is tried again by itself; if it lasts, check spec.url and the way there.",
                ),
            };
            (reason, format!("{error}. {advice}"))
        }
    }
}

#[cfg(test)]
mod tests;
