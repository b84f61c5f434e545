//! What the condition `Ready` of a `PlatformConnection` says, as a metric shows it.

use crate::api::{ConditionStatus, ConditionType, ConnectionReason, PlatformConnectionStatus, conditions};

/// The state of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionState {
    /// Whether the condition `Ready` is True.
    pub is_ready: bool,
    /// The reason of the condition. `Unknown` if there is none yet, or one that this version does not know: a label
    /// holds words of the program only.
    pub reason: &'static str,
}

impl ConnectionState {
    /// The state of a connection that this version cannot read. Its status may not say so yet.
    pub const UNREADABLE: Self = Self { is_ready: false, reason: ConnectionReason::Unreadable.as_str() };

    /// The state by a stored status.
    #[must_use]
    pub fn of(status: Option<&PlatformConnectionStatus>) -> Self {
        let ready = status.and_then(|status| conditions::find(&status.conditions, ConditionType::Ready));
        let known = |reason: &&ConnectionReason| ready.is_some_and(|ready| ready.reason == reason.as_str());
        Self {
            is_ready: ready.is_some_and(|ready| ready.status == ConditionStatus::True.as_str()),
            reason: ConnectionReason::ALL.iter().find(known).map_or("Unknown", |reason| reason.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

    use super::*;
    use crate::testing::fixtures::{NOW, time};

    fn with_ready(status: &str, reason: &str) -> PlatformConnectionStatus {
        let ready = Condition {
            type_: "Ready".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            last_transition_time: time(NOW),
            observed_generation: None,
        };
        PlatformConnectionStatus { conditions: vec![ready], ..PlatformConnectionStatus::default() }
    }

    #[test]
    fn a_connection_is_ready_as_its_condition_says() {
        for (status, reason, is_ready, word) in [
            ("True", "CredentialsAccepted", true, "CredentialsAccepted"),
            ("True", "Suspended", true, "Suspended"),
            ("False", "SecretNotFound", false, "SecretNotFound"),
            ("False", "from a newer version", false, "Unknown"),
        ] {
            let state = ConnectionState::of(Some(&with_ready(status, reason)));
            assert_eq!(state, ConnectionState { is_ready, reason: word });
        }
        let unknown = ConnectionState { is_ready: false, reason: "Unknown" };
        assert_eq!(ConnectionState::of(None), unknown);
        assert_eq!(ConnectionState::of(Some(&PlatformConnectionStatus::default())), unknown);
    }
}
