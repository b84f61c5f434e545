//! Invariants of every status that is ever stored, and of every step from one status to the next. Tests check
//! everything that they see.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    ConditionType, Journal, Phase, ProductionReason, ReadyReason, ReconcilingReason, StalledReason,
    SwitchedBy, TenantPricing, TenantPricingStatus,
};

/// What is wrong with the status of one object. Empty if nothing is.
#[must_use]
pub fn check(object: &TenantPricing) -> Vec<String> {
    let Some(status) = &object.status else { return Vec::new() };
    let mut faults = Vec::new();
    if status.conditions.is_empty() {
        if status.observed_generation != -1 {
            faults.push(format!("observedGeneration {} without conditions", status.observed_generation));
        }
        return faults;
    }
    let generation = object.metadata.generation.unwrap_or_default();
    if status.observed_generation < 1 || status.observed_generation > generation {
        faults.push(format!("observedGeneration {} of generation {generation}", status.observed_generation));
    }
    for condition in &status.conditions {
        form(condition, status, &mut faults);
    }
    together(status, &mut faults);
    production(object, status, &mut faults);
    journal(status, &mut faults);
    faults
}

/// What is wrong with the step from one stored status of an object to the next. Empty if nothing is.
#[must_use]
pub fn check_step(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(text);
    if after.observed_generation < before.observed_generation {
        fault(format!(
            "observedGeneration {} after {}",
            after.observed_generation, before.observed_generation
        ));
    }
    if before.tenant_id.is_some() && after.tenant_id != before.tenant_id {
        fault(format!("the pinned tenant changed from {:?} to {:?}", before.tenant_id, after.tenant_id));
    }
    for now in &after.conditions {
        let Some(was) = before.conditions.iter().find(|was| was.type_ == now.type_) else { continue };
        if (was.status == now.status) != (was.last_transition_time == now.last_transition_time)
            // Two changes within one second have the same time.
            && was.status == now.status
        {
            fault(format!("lastTransitionTime of {} moved without its status", now.type_));
        }
        if now.type_ == ConditionType::Production.as_str()
            && was.status == "True"
            && now.status != "True"
            && now.reason != ProductionReason::SuspendedOnPlatform.as_str()
        {
            fault(format!("Production went from True to {} for {}", now.status, now.reason));
        }
    }
    if let Some(was) = &before.switch {
        match &after.switch {
            Some(now) if now.attempts < was.attempts => {
                fault(format!("attempts went from {} to {}", was.attempts, now.attempts));
            }
            now if was.accepted_at.is_some() && !follows_acceptance(was, now.as_ref()) => {
                fault(format!("an accepted switch was forgotten: {now:?}"));
            }
            now if was.phase == Phase::Completed && now.as_ref() != Some(was) => {
                fault("a completed journal changed".to_owned());
            }
            _ => {}
        }
    }
    faults
}

/// Whether a journal may follow one that says that the platform accepted the request. It must be the same attempt,
/// either open or completed by this controller.
fn follows_acceptance(was: &Journal, now: Option<&Journal>) -> bool {
    now.is_some_and(|now| {
        let is_kept = (now.accepted_at.as_ref(), now.attempt_id.as_ref())
            == (was.accepted_at.as_ref(), was.attempt_id.as_ref());
        let completed = now.phase == Phase::Completed && now.by == Some(SwitchedBy::Controller);
        is_kept && (completed || now.phase == Phase::InFlight)
    })
}

fn find(status: &TenantPricingStatus, kind: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

fn form(condition: &Condition, status: &TenantPricingStatus, faults: &mut Vec<String>) {
    let kind = &condition.type_;
    let known = |words: &[&str]| words.contains(&condition.reason.as_str());
    let stalled: Vec<_> = StalledReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let reconciling: Vec<_> = ReconcilingReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let ready: Vec<_> = ReadyReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let production: Vec<_> = ProductionReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let sound = match kind.as_str() {
        "Ready" if condition.status == "True" => known(&ready),
        "Ready" => condition.status == "False" && (known(&stalled) || known(&reconciling)),
        "Production" => known(&production),
        "Reconciling" => condition.status == "True" && known(&reconciling),
        "Stalled" => condition.status == "True" && known(&stalled),
        // A condition of another controller.
        _ => return,
    };
    if !sound {
        faults.push(format!("{kind} is {} for {}", condition.status, condition.reason));
    }
    if condition.message.trim().is_empty() {
        faults.push(format!("{kind} has no message"));
    }
    if condition.observed_generation != Some(status.observed_generation) {
        faults.push(format!("{kind} speaks of generation {:?}", condition.observed_generation));
    }
    if status.conditions.iter().filter(|other| other.type_ == *kind).count() > 1 {
        faults.push(format!("{kind} stands there twice"));
    }
}

fn together(status: &TenantPricingStatus, faults: &mut Vec<String>) {
    let (ready, production) = (find(status, ConditionType::Ready), find(status, ConditionType::Production));
    if ready.is_none() || production.is_none() {
        faults.push("Ready or Production is missing".to_owned());
    }
    let Some(ready) = ready else { return };
    let reconciling = find(status, ConditionType::Reconciling);
    let stalled = find(status, ConditionType::Stalled);
    match (reconciling, stalled) {
        (Some(_), Some(_)) => faults.push("Reconciling and Stalled stand side by side".to_owned()),
        (None, None) if ready.status != "True" => {
            faults.push(format!("Ready is {} and neither Reconciling nor Stalled says why", ready.status));
        }
        (Some(why), None) | (None, Some(why)) => {
            if ready.status != "False" {
                faults.push(format!("Ready is {} beside {}", ready.status, why.type_));
            }
            if (&ready.reason, &ready.message) != (&why.reason, &why.message) {
                faults.push(format!("Ready says {} and {} says {}", ready.reason, why.type_, why.reason));
            }
        }
        (None, None) => {}
    }
}

fn production(object: &TenantPricing, status: &TenantPricingStatus, faults: &mut Vec<String>) {
    let Some(production) = find(status, ConditionType::Production) else { return };
    let said = (production.status.as_str(), production.reason.as_str());
    let refused = find(status, ConditionType::Ready).is_some_and(|ready| {
        ready.status == "False" && ready.reason != ReconcilingReason::Progressing.as_str()
    });
    let deleted = object.metadata.deletion_timestamp.is_some();
    let asked = object.spec.mode == Some(super::DesiredMode::Production) && !object.spec.suspend && !deleted;
    let sound = match status.observed.as_ref().map(|observed| observed.mode.as_str()) {
        Some("production") => said.0 == "True",
        Some("suspended") => said == ("False", "SuspendedOnPlatform"),
        // Once proven, Production stays True, and a requested switch is refused.
        Some("trial") if said.0 == "True" || said.1 == "SuspendedOnPlatform" => {
            refused || !asked || status.observed_generation != object.metadata.generation.unwrap_or_default()
        }
        Some("trial") => said == ("False", "Trial"),
        Some(_) => true,
        None => said.0 == "Unknown",
    };
    if !sound {
        faults.push(format!("Production is {} for {} in mode {:?}", said.0, said.1, status.observed));
    }
}

fn journal(status: &TenantPricingStatus, faults: &mut Vec<String>) {
    let progressing = find(status, ConditionType::Reconciling)
        .is_some_and(|reconciling| reconciling.reason == ReconcilingReason::Progressing.as_str());
    if progressing && status.switch.is_none() {
        faults.push("Progressing without a journal".to_owned());
    }
    let Some(journal) = &status.switch else { return };
    let sound = match journal.phase {
        Phase::Scheduled => journal.scheduled_for.is_some() && journal.intent_generation.is_some(),
        Phase::InFlight => {
            journal.scheduled_for.is_some()
                && journal.intent_at.is_some()
                && journal.intent_generation.is_some()
                && journal.attempt_id.is_some()
                && journal.platform.is_some()
                && journal.connection.is_some()
                && journal.attempts > 0
                && find(status, ConditionType::Ready).is_some_and(|ready| ready.status == "False")
        }
        Phase::Completed => journal.by.is_some() && journal.completed_at.is_some(),
    };
    if !sound {
        faults.push(format!("a journal that is not whole: {journal:?}"));
    }
}
