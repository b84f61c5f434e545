//! The conditions: set in one place, from one verdict, so that `Ready`, `Reconciling` and `Stalled` cannot
//! contradict each other.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{
        ConditionStatus, ConditionType, Phase, ProductionReason, ReconcilingReason, SwitchedBy,
        TenantPricingStatus, conditions,
    },
    platform::Mode,
    pricing::decide::Verdict,
};

/// What the condition `Production` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductionCondition {
    /// Whether the tenant is in production.
    pub status: ConditionStatus,
    /// A [`ProductionReason`], or a reason of a newer version.
    pub reason: String,
    /// What a user reads.
    pub message: String,
}

impl ProductionCondition {
    fn new(status: ConditionStatus, reason: ProductionReason, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_string(), message: message.into() }
    }
}

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
    production: &ProductionCondition,
    now: Timestamp,
) -> Vec<Condition> {
    let set = |kind: ConditionType, truth: ConditionStatus, reason: &str, message: &str| {
        conditions::next(previous, kind, truth, reason, message, generation, now)
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
    let mut all = vec![
        set(ConditionType::Ready, ready, reason, message),
        set(ConditionType::Production, production.status, &production.reason, &production.message),
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
) -> ProductionCondition {
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
            ProductionCondition::new(ConditionStatus::True, reason, message)
        }
        Some(Mode::Suspended) => ProductionCondition::new(
            ConditionStatus::False,
            ProductionReason::SuspendedOnPlatform,
            "The platform has suspended the tenant, which is past production.",
        ),
        // A proof stays: a switch cannot be undone, even if an answer says so.
        Some(Mode::Trial | Mode::Other(_)) if conditions::was_proven_past_trial(previous) => kept(),
        Some(Mode::Trial) => ProductionCondition::new(
            ConditionStatus::False,
            ProductionReason::Trial,
            if next.switch.as_ref().is_some_and(|journal| journal.accepted_at.is_some()) {
                "The tenant shows trial, but the platform accepted its switch: it is billed."
            } else {
                "The tenant is in trial; nothing is billed."
            },
        ),
        Some(Mode::Other(word)) => ProductionCondition::new(
            ConditionStatus::Unknown,
            ProductionReason::UnknownMode,
            format!("The platform reports mode {word:?}."),
        ),
        None => kept(),
    }
}

fn parsed(condition: &Condition) -> Option<ProductionCondition> {
    let status = ConditionStatus::ALL.iter().copied().find(|status| status.as_str() == condition.status)?;
    // A reason from a newer version is kept unchanged. The status of the condition is enough as a proof.
    Some(ProductionCondition { status, reason: condition.reason.clone(), message: condition.message.clone() })
}

fn never_seen() -> ProductionCondition {
    ProductionCondition::new(
        ConditionStatus::Unknown,
        ProductionReason::NotSeen,
        "The tenant has not been seen yet.",
    )
}
