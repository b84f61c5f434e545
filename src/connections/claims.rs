//! Which connections give their objects a claim on their tenants.

use crate::api::{ConditionStatus, ConditionType, ConnectionReason, PlatformConnection, conditions};

/// Whether only a person can repair a connection, as its status last said. Such a connection gives no claim. One that
/// is suspended, throttled or unreachable keeps the claims that it gave.
///
/// The status may be of an earlier spec. The claims return when the platform accepts the new one. An edit alone would
/// return them, and cancel the plan of another object, whatever the new credentials are.
#[must_use]
pub fn needs_a_person(connection: &PlatformConnection) -> bool {
    let status = connection.status.as_ref();
    let ready = status.and_then(|status| conditions::find(&status.conditions, ConditionType::Ready));
    ready.is_some_and(|ready| is_for_a_person(&ready.status, &ready.reason))
}

/// The same for a Ready condition with this status and reason.
#[must_use]
pub fn is_for_a_person(status: &str, reason: &str) -> bool {
    let known = ConnectionReason::ALL.iter().find(|known| known.as_str() == reason);
    status != ConditionStatus::True.as_str() && known.is_some_and(|known| known.is_stalled())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connection(generation: i64, observed: i64, status: &str, reason: &str) -> PlatformConnection {
        serde_json::from_value(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
            "metadata": {"namespace": "platform", "name": "eu2", "uid": "1", "generation": generation},
            "spec": {"url": "https://eu2-cloud.acronis.com", "credentialsSecretRef": {"name": "eu2"}},
            "status": {"observedGeneration": observed, "conditions": [{
                "type": "Ready", "status": status, "reason": reason, "message": "It is so.",
                "lastTransitionTime": "2026-11-23T10:00:00Z",
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn only_a_failure_that_a_person_must_repair_ends_the_claims() {
        for reason in ConnectionReason::ALL {
            let expected = reason.is_stalled();
            assert_eq!(needs_a_person(&connection(1, 1, "False", reason.as_str())), expected, "{reason:?}");
        }
        let kept = ["CredentialsAccepted", "PlatformUnavailable", "RateLimited", "Suspended"];
        for reason in kept {
            assert!(!needs_a_person(&connection(1, 1, "False", reason)), "{reason}");
        }
    }

    #[test]
    fn the_last_status_counts_until_there_is_another() {
        assert!(
            needs_a_person(&connection(2, 1, "False", "SecretNotFound")),
            "the new spec is not tried yet"
        );
        assert!(!needs_a_person(&connection(1, 1, "True", "SecretNotFound")));
        let mut untried = connection(1, 1, "False", "SecretNotFound");
        untried.status = None;
        assert!(!needs_a_person(&untried));
    }
}
