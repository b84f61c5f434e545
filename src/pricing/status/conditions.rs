//! The conditions: set in one place, from one verdict, so that `Ready`, `Reconciling` and `Stalled` cannot
//! contradict each other.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{
        ConditionStatus, ConditionType, Phase, ProductionReason, ReconcilingReason, SwitchedBy,
        TenantPricingStatus, conditions,
    },
    platform::Mode,
    pricing::decide::Verdict,
};

/// The conditions for a verdict, and what is known of production.
///
/// Conditions of other types, set by other programs, are kept. `lastTransitionTime` changes only with the status of its
/// condition.
#[must_use]
pub fn conditions(
    previous: &[Condition],
    generation: i64,
    verdict: Verdict,
    message: &str,
    production: (ConditionStatus, String, String),
    now: Timestamp,
) -> Vec<Condition> {
    let set = |kind: ConditionType, truth: ConditionStatus, reason: &str, message: &str| {
        let status = truth.as_str();
        let since = conditions::find(previous, kind)
            .filter(|was| was.status == status)
            .map(|was| was.last_transition_time.clone());
        Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: Some(generation),
            last_transition_time: since.unwrap_or(Time(now)),
        }
    };
    let (ready, reason, other) = match verdict {
        Verdict::Ready(reason) => (ConditionStatus::True, reason.as_str(), None),
        Verdict::Reconciling(reason) => {
            (ConditionStatus::False, reason.as_str(), Some(ConditionType::Reconciling))
        }
        Verdict::Stalled(reason) => (ConditionStatus::False, reason.as_str(), Some(ConditionType::Stalled)),
        Verdict::Switch { .. } | Verdict::Unchanged => (
            ConditionStatus::False,
            ReconcilingReason::Progressing.as_str(),
            Some(ConditionType::Reconciling),
        ),
    };
    let (truth, production_reason, production_message) = production;
    let mut all = vec![
        set(ConditionType::Ready, ready, reason, message),
        set(ConditionType::Production, truth, &production_reason, &production_message),
    ];
    all.extend(other.map(|kind| set(kind, ConditionStatus::True, reason, message)));
    let ours =
        |condition: &&Condition| ConditionType::ALL.iter().any(|kind| kind.as_str() == condition.type_);
    all.extend(previous.iter().filter(|condition| !ours(condition)).cloned());
    all
}

/// The condition `Production`, from the last read and from what was proven before.
#[must_use]
pub fn production(
    previous: &TenantPricingStatus,
    next: &TenantPricingStatus,
    mode: Option<&Mode>,
) -> (ConditionStatus, String, String) {
    let before = conditions::find(&previous.conditions, ConditionType::Production);
    let was_true = before.filter(|condition| condition.status == ConditionStatus::True.as_str());
    let by = next
        .switch
        .as_ref()
        .filter(|journal| journal.phase == Phase::Completed)
        .and_then(|journal| journal.by);
    let seen_in_trial =
        previous.observed.as_ref().is_some_and(|observed| observed.mode == Mode::Trial.to_string());
    let kept = || before.and_then(parsed).unwrap_or_else(never_seen);
    match mode {
        Some(Mode::Production) => {
            let reason = match (by, was_true) {
                (Some(SwitchedBy::Controller), _) => ProductionReason::SwitchedByController,
                (Some(SwitchedBy::Platform), _) => ProductionReason::SwitchedByPlatform,
                (None, Some(_)) => return kept(),
                (None, None) if seen_in_trial => ProductionReason::SwitchedByPlatform,
                (None, None) => ProductionReason::AlreadyProduction,
            };
            let message = match reason {
                ProductionReason::SwitchedByController => {
                    "This controller switched the tenant to production."
                }
                ProductionReason::SwitchedByPlatform => {
                    "The tenant was in trial and was found switched to production on the platform."
                }
                _ => "The tenant was in production when it was first read.",
            };
            (ConditionStatus::True, reason.to_string(), message.to_owned())
        }
        Some(Mode::Suspended) => (
            ConditionStatus::False,
            ProductionReason::SuspendedOnPlatform.to_string(),
            "The platform has suspended the tenant, which is past production.".to_owned(),
        ),
        // A proof stays: a switch cannot be undone, even if an answer says so.
        Some(Mode::Trial | Mode::Other(_)) if conditions::was_proven_past_trial(previous) => kept(),
        Some(Mode::Trial) => (
            ConditionStatus::False,
            ProductionReason::Trial.to_string(),
            if next.switch.as_ref().is_some_and(|journal| journal.accepted_at.is_some()) {
                "The tenant shows trial, but the platform accepted its switch: it is billed.".to_owned()
            } else {
                "The tenant is in trial; nothing is billed.".to_owned()
            },
        ),
        Some(Mode::Other(word)) => (
            ConditionStatus::Unknown,
            ProductionReason::UnknownMode.to_string(),
            format!("The platform reports mode {word:?}."),
        ),
        None => kept(),
    }
}

fn parsed(condition: &Condition) -> Option<(ConditionStatus, String, String)> {
    let truth = ConditionStatus::ALL.iter().copied().find(|truth| truth.as_str() == condition.status)?;
    // A reason from a newer version is kept unchanged. The status of the condition is enough as a proof.
    Some((truth, condition.reason.clone(), condition.message.clone()))
}

fn never_seen() -> (ConditionStatus, String, String) {
    (
        ConditionStatus::Unknown,
        ProductionReason::NotSeen.to_string(),
        "The tenant has not been seen yet.".to_owned(),
    )
}
