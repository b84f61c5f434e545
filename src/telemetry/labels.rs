//! The words that labels may hold. All of them are counted on one hand or two: a label never holds a name of an
//! object or a tenant, an address, or the text of an error.

use crate::{
    api::{ConditionType, Journal, Phase, ProductionReason, SwitchedBy, TenantPricingStatus, conditions},
    platform::PutOutcome,
    string_enum::string_enum,
};

string_enum! {
    /// What became of a switch.
    SwitchOutcome {
        /// Proven by reading: this controller switched the tenant.
        Completed = "completed",
        /// The tenant was found switched, by the platform or by somebody else there.
        FoundSwitchedByPlatform = "found_switched_by_platform",
        /// An attempt was definitely refused by the platform.
        Refused = "refused",
        /// An attempt was announced, and no request left.
        NotSent = "not_sent",
        /// An attempt was sent, and its answer does not say what became of it. It is read afterwards.
        Unknown = "unknown",
    }
}

impl SwitchOutcome {
    /// What an attempt came to by its answer alone. `None` for one that was accepted: only what is read
    /// afterwards completes it.
    #[must_use]
    pub fn of_attempt(outcome: &PutOutcome) -> Option<Self> {
        match outcome {
            PutOutcome::Accepted => None,
            PutOutcome::NotSent(_) => Some(Self::NotSent),
            PutOutcome::Refused(_) => Some(Self::Refused),
            PutOutcome::Unknown(_) => Some(Self::Unknown),
        }
    }

    /// What the change from one stored status of an object to the next says of its tenant: that it was switched
    /// meanwhile, by whom. `None` for any other change.
    #[must_use]
    pub fn of_change(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Option<Self> {
        let done = |status: &TenantPricingStatus| {
            let done = |journal: &&Journal| journal.phase == Phase::Completed;
            status.switch.as_ref().filter(done).map(|journal| journal.by)
        };
        // A tenant that was only watched has no journal.
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
    /// What a pass over one object came to.
    ReconcileOutcome {
        /// The stored status was right already.
        Unchanged = "unchanged",
        /// A new status was stored.
        Written = "written",
        /// The object had changed meanwhile, or it is not its turn: it is looked at again soon.
        Stale = "stale",
        /// The API server refused, or gave no certain answer.
        Failed = "failed",
        /// The pass broke off, which is a fault of this program.
        BrokenOff = "broken_off",
    }
}

string_enum! {
    /// The status of the condition `Ready`, as Kubernetes writes it.
    ReadyStatus {
        /// All that is asked for by now is done.
        True = "True",
        /// It is not.
        False = "False",
        /// Nobody has looked yet.
        Unknown = "Unknown",
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

    /// The change from a scene's stored status to the one after its tenant was found in production.
    fn found_in_production(scene: Scene) -> Option<SwitchOutcome> {
        let before = scene.status().clone();
        let after = scene.mode("production").stored();
        assert_eq!(SwitchOutcome::of_change(after.status(), after.status()), None, "told once");
        SwitchOutcome::of_change(&before, after.status())
    }

    #[test]
    fn who_switched_a_tenant_is_told_once() {
        assert_eq!(found_in_production(Scene::new().announced("ours")), Some(SwitchOutcome::Completed));
        let waiting = Scene::new().not_before(DECEMBER).stored();
        assert_eq!(found_in_production(waiting), Some(SwitchOutcome::FoundSwitchedByPlatform));
        let only_watched = Scene::new().desired(None).stored();
        assert_eq!(found_in_production(only_watched), Some(SwitchOutcome::FoundSwitchedByPlatform));
        assert_eq!(found_in_production(Scene::new()), None, "who knows when that was");
    }
}
