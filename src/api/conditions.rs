//! Condition types, their reasons, and how conditions are read.
//!
//! For readers of the API, the list of reasons is open. Inside the program it is closed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Phase, TenantPricingStatus};
use crate::string_enum::string_enum;

string_enum! {
    /// The status of a condition.
    ConditionStatus {
        /// The condition holds.
        True,
        /// The condition does not hold.
        False,
        /// The controller does not know yet.
        Unknown,
    }
}

string_enum! {
    /// The condition types.
    ConditionType {
        /// Everything that the spec asks for by now is done.
        Ready,
        /// The platform reports production.
        Production,
        /// Present while the controller works, or waits to retry.
        Reconciling,
        /// Present while a person must act.
        Stalled,
    }
}

impl ConditionType {
    /// The condition types of a connection.
    pub const OF_CONNECTION: &'static [Self] = &[Self::Ready, Self::Reconciling, Self::Stalled];
}

string_enum! {
    /// Reasons of `Ready` while it is True.
    ReadyReason {
        /// The tenant has the requested mode.
        InSync,
        /// No mode is requested, so the tenant is only observed.
        Observed,
        /// The switch waits for its time.
        SwitchScheduled,
        /// `spec.suspend` is true, so nothing is done.
        Suspended,
    }
}

string_enum! {
    /// Reasons of `Production`.
    ProductionReason {
        /// True: this controller switched the tenant.
        SwitchedByController,
        /// True: the tenant was in trial when last seen, and was then found switched.
        SwitchedByPlatform,
        /// True: the tenant was in production when first seen.
        AlreadyProduction,
        /// False: the tenant is in trial.
        Trial,
        /// False: the platform has suspended the tenant, which is past production.
        SuspendedOnPlatform,
        /// Unknown: the tenant has not been seen yet.
        NotSeen,
        /// Unknown: the platform reports a mode that this version does not know.
        UnknownMode,
    }
}

string_enum! {
    /// Reasons of `Reconciling` (and then of `Ready` False).
    ReconcilingReason {
        /// The switch is being carried out.
        Progressing,
        /// The platform asked for a pause, or the switch waits for admission under the rate limit of the connection.
        RateLimited,
        /// The platform cannot be reached, or gives no valid answer.
        PlatformUnavailable,
        /// Whether the connection admits this namespace cannot be read now.
        ConnectionNotReady,
        /// The platform is busy with the tenant (1011, 1029).
        TenantBusy,
        /// The switch budget is used up. The switch waits for admission.
        SwitchBudgetExhausted,
        /// It is not proven yet that exactly one customer has the name.
        TenantNameUnproved,
        /// A request was sent, and its outcome is unknown.
        OutcomeUnknown,
        /// The pricing settings changed while the request was made (1001).
        VersionConflict,
        /// The controller's clock and the platform's differ too much, or the platform's time is unknown.
        ClockSkew,
    }
}

string_enum! {
    /// Reasons of `Stalled` (and then of `Ready` False).
    StalledReason {
        /// The switch to production cannot be reversed.
        ReversalRefused,
        /// The platform reports a mode that this version does not know.
        UnknownMode,
        /// The tenant does not exist, or is not visible.
        TenantNotFound,
        /// Several customers have the name.
        TenantNameAmbiguous,
        /// The pinned tenant no longer has the name, or the name leads to another tenant.
        TenantChanged,
        /// Only customer tenants can be switched.
        NotACustomerTenant,
        /// Another tenant holds the update lock.
        TenantLocked,
        /// The tenant is disabled.
        TenantDisabled,
        /// The platform has suspended the tenant.
        TenantSuspendedOnPlatform,
        /// The tenant was in production and is in trial again.
        UnexpectedTrial,
        /// An older object claims the same tenant.
        DuplicateTenant,
        /// The credentials do not permit this.
        AccessDenied,
        /// The connection does not exist.
        ConnectionNotFound,
        /// The connection does not admit this namespace.
        ConnectionNotAllowed,
        /// The connection is not ready, and only a person can fix it.
        ConnectionNotReady,
        /// The outcome of an attempt is unknown, and a person must act before it can be read.
        OutcomeUnknown,
        /// The platform refused (1003, 1013, 1027, 3xx, other 4xx).
        PlatformRefused,
        /// This version of the controller cannot read the object.
        Unreadable,
    }
}

string_enum! {
    /// Reasons of `Ready` of a connection, and of its `Reconciling` or `Stalled` if one of them is present.
    ConnectionReason {
        /// True: the platform accepted the credentials.
        CredentialsAccepted,
        /// The platform rejected the credentials.
        CredentialsRejected,
        /// The Secret does not exist.
        SecretNotFound,
        /// The Secret lacks a key, or a value is empty or no text.
        SecretInvalid,
        /// The platform cannot be reached, or gives no valid answer.
        PlatformUnavailable,
        /// The platform asked for a pause.
        RateLimited,
        /// The host is not on the controller's allow-list.
        HostNotAllowed,
        /// The selector of `spec.allowedNamespaces` is invalid, so no namespace is admitted.
        SelectorInvalid,
        /// `spec.caBundle`, or another setting of the connection to the platform, cannot be used.
        ConfigurationInvalid,
        /// This version of the controller cannot read the connection.
        Unreadable,
        /// True: `spec.suspend` is true, and nothing is sent.
        Suspended,
    }
}

impl ConnectionReason {
    /// Whether everything that the spec asks for is done.
    #[must_use]
    pub fn is_ready(self) -> bool {
        matches!(self, Self::CredentialsAccepted | Self::Suspended)
    }

    /// Whether only a person can help. Otherwise the controller retries until the connection is ready.
    #[must_use]
    pub fn is_stalled(self) -> bool {
        match self {
            Self::CredentialsRejected
            | Self::SecretNotFound
            | Self::SecretInvalid
            | Self::HostNotAllowed
            | Self::SelectorInvalid
            | Self::ConfigurationInvalid
            | Self::Unreadable => true,
            Self::CredentialsAccepted | Self::PlatformUnavailable | Self::RateLimited | Self::Suspended => {
                false
            }
        }
    }
}

/// The stalls that a change of the connection may end.
const OF_THE_CONNECTION: [StalledReason; 4] = [
    StalledReason::ConnectionNotFound,
    StalledReason::ConnectionNotAllowed,
    StalledReason::ConnectionNotReady,
    StalledReason::OutcomeUnknown,
];

/// The condition of a type, if it is present.
#[must_use]
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// The condition of a type that follows the `previous` ones. `lastTransitionTime` changes only with the status.
#[must_use]
pub fn next(
    previous: &[Condition],
    kind: ConditionType,
    status: ConditionStatus,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let same = find(previous, kind).filter(|before| before.status == status.as_str());
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(generation),
        last_transition_time: same.map_or(Time(now), |before| before.last_transition_time.clone()),
    }
}

/// Whether a change of the connection may end a stall of this reason.
#[must_use]
pub fn concerns_connection(reason: StalledReason) -> bool {
    OF_THE_CONNECTION.contains(&reason)
}

/// Whether conditions report trouble with the connection or the platform.
///
/// Such an object is reconciled whenever that trouble changes, so that its conditions stay true.
#[must_use]
pub fn mention_connection(conditions: &[Condition]) -> bool {
    let stalled = find(conditions, ConditionType::Stalled)
        .is_some_and(|stalled| OF_THE_CONNECTION.iter().any(|reason| stalled.reason == reason.as_str()));
    stalled || find(conditions, ConditionType::Reconciling).is_some()
}

/// Whether the tenant was once proven to be past trial: switched by this controller, or seen in production or
/// suspended.
#[must_use]
pub fn was_proven_past_trial(status: &TenantPricingStatus) -> bool {
    let completed = status.switch.as_ref().is_some_and(|journal| journal.phase == Phase::Completed);
    let seen = status
        .observed
        .as_ref()
        .is_some_and(|observed| matches!(observed.mode.as_str(), "production" | "suspended"));
    let condition = find(&status.conditions, ConditionType::Production).is_some_and(|production| {
        production.status == ConditionStatus::True.as_str()
            || production.reason == ProductionReason::SuspendedOnPlatform.as_str()
    });
    completed || seen || condition
}
