//! The words that labels may hold. There are few of them. A label never holds the name of an object or a tenant, an
//! address, or the text of an error.

use crate::{
    api::{
        ConditionType, DesiredMode, Journal, Phase, ProductionReason, SwitchedBy, TenantPricingStatus,
        conditions,
    },
    platform::PutOutcome,
    string_enum::string_enum,
};

/// The labels of a series. Names and values are words of the program.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];

string_enum! {
    /// The outcome of a switch.
    SwitchOutcome {
        /// A read proved that this controller switched the tenant.
        Completed = "completed",
        /// The tenant was found switched, by the platform or by somebody in its console.
        FoundSwitchedByPlatform = "found_switched_by_platform",
        /// The platform certainly refused an attempt.
        Refused = "refused",
        /// An attempt was announced, and no request was sent.
        NotSent = "not_sent",
        /// An attempt was sent, and its answer does not say its outcome. A read follows.
        Unknown = "unknown",
    }
}

impl SwitchOutcome {
    /// The outcome of an attempt by its answer alone. `None` for an accepted attempt, since only a later read completes
    /// it.
    #[must_use]
    pub fn of_attempt(outcome: &PutOutcome) -> Option<Self> {
        match outcome {
            PutOutcome::Accepted => None,
            PutOutcome::NotSent(_) => Some(Self::NotSent),
            PutOutcome::Refused(_) => Some(Self::Refused),
            PutOutcome::Unknown(_) => Some(Self::Unknown),
        }
    }

    /// The switch that a change from one stored status to the next reports. `None` for any other change.
    #[must_use]
    pub fn of_change(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Option<Self> {
        let done = |status: &TenantPricingStatus| {
            let done = |journal: &&Journal| journal.phase == Phase::Completed;
            status.switch.as_ref().filter(done).map(|journal| journal.by)
        };
        // A tenant that was only observed has no journal.
        let found = |status: &TenantPricingStatus| {
            conditions::find(&status.conditions, ConditionType::Production)
                .is_some_and(|condition| condition.reason == ProductionReason::SwitchedByPlatform.as_str())
        };
        match (done(before), done(after)) {
            (None, Some(Some(SwitchedBy::Controller))) => Some(Self::Completed),
            (None, Some(_)) => Some(Self::FoundSwitchedByPlatform),
            _ => (found(after) && !found(before)).then_some(Self::FoundSwitchedByPlatform),
        }
    }
}

string_enum! {
    /// The outcome of a reconcile of one object.
    ReconcileOutcome {
        /// The stored status was already right.
        Unchanged = "unchanged",
        /// A new status was stored.
        Written = "written",
        /// The object had changed meanwhile, or was not admitted. It is reconciled again soon.
        Stale = "stale",
        /// The API server refused, or gave no certain answer.
        Failed = "failed",
        /// The reconcile panicked, which is a bug of this program.
        Panicked = "panicked",
    }
}

string_enum! {
    /// The status of the condition `Ready`, as Kubernetes writes it.
    ReadyStatus {
        /// Everything that is requested by now is done.
        True = "True",
        /// Something that is requested is not done.
        False = "False",
        /// The object has not been reconciled yet.
        Unknown = "Unknown",
    }
}

string_enum! {
    /// The desired mode of a tenant, as the label of a metric.
    DesiredModeLabel {
        /// Trial.
        Trial = "trial",
        /// Production.
        Production = "production",
        /// The object only observes the tenant.
        None = "none",
    }
}

impl From<Option<DesiredMode>> for DesiredModeLabel {
    fn from(desired: Option<DesiredMode>) -> Self {
        match desired {
            Some(DesiredMode::Trial) => Self::Trial,
            Some(DesiredMode::Production) => Self::Production,
            None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platform::{ErrorClass, PlatformError},
        testing::fixtures::{DECEMBER, Scene},
    };

    #[test]
    fn an_accepted_attempt_is_not_counted_until_it_was_read() {
        assert_eq!(SwitchOutcome::of_attempt(&PutOutcome::Accepted), None);
        let error = PlatformError::of_class(ErrorClass::Refused);
        let refused = SwitchOutcome::of_attempt(&PutOutcome::Refused(error));
        assert_eq!(refused, Some(SwitchOutcome::Refused));
    }

    /// The change from the stored status of a scene to the status after its tenant was found in production.
    fn found_in_production(scene: Scene) -> Option<SwitchOutcome> {
        let before = scene.status().clone();
        let after = scene.mode("production").stored();
        assert_eq!(SwitchOutcome::of_change(after.status(), after.status()), None, "reported once");
        SwitchOutcome::of_change(&before, after.status())
    }

    #[test]
    fn who_switched_a_tenant_is_counted_once() {
        assert_eq!(found_in_production(Scene::new().announced("ours")), Some(SwitchOutcome::Completed));
        let waiting = Scene::new().not_before(DECEMBER).stored();
        assert_eq!(found_in_production(waiting), Some(SwitchOutcome::FoundSwitchedByPlatform));
        let only_watched = Scene::new().desired(None).stored();
        assert_eq!(found_in_production(only_watched), Some(SwitchOutcome::FoundSwitchedByPlatform));
        assert_eq!(found_in_production(Scene::new()), None, "the time of the switch is unknown");
    }
}
