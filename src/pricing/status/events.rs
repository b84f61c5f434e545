//! The events for a change of the status. Pure.

use jiff::Timestamp;

use crate::{
    api::{
        ConditionType, DesiredMode, Journal, Phase, ProductionReason, StalledReason, SwitchedBy,
        TenantPricing, TenantPricingStatus, conditions,
    },
    calendar,
    index::UPCOMING_WINDOW,
    platform::Mode,
    pricing::decide::switched,
};

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Whether its type is `Warning`, which a person should read.
    pub is_warning: bool,
    /// The event's reason, `PascalCase`.
    pub reason: String,
    /// What the controller did, `PascalCase`.
    pub action: &'static str,
    /// What happened.
    pub message: String,
}

/// The action of the events about a switch.
const SWITCH: &str = "Switch";

/// The events for the change from `before` to `after`, at the time `now`.
#[must_use]
pub fn of_change(
    object: &TenantPricing,
    before: &TenantPricingStatus,
    after: &TenantPricingStatus,
    now: Timestamp,
) -> Vec<EventSpec> {
    let of_journal = of_journal(object, before.switch.as_ref(), after);
    // A switch that the journal reports is not reported twice.
    let is_reported = of_journal.as_ref().is_some_and(|event| event.action == SWITCH);
    let of_platform = of_platform(before, after).filter(|_| !is_reported);
    // `announce_upcoming` reports a date that was known earlier, when the date is near.
    let is_news = trial_ends(before) != trial_ends(after);
    let of_trial = upcoming(object, after, now).filter(|_| is_news);
    [of_journal, of_platform, of_stall(before, after), of_trial].into_iter().flatten().collect()
}

/// The event for a tenant that the platform will switch automatically within [`UPCOMING_WINDOW`]. `None` if it will
/// not, or if this controller switches the tenant before.
#[must_use]
pub fn upcoming(object: &TenantPricing, status: &TenantPricingStatus, now: Timestamp) -> Option<EventSpec> {
    let ends = automatic_switch(object, status)?;
    let is_near = ends > now && ends.duration_since(now) <= UPCOMING_WINDOW;
    is_near.then(|| EventSpec {
        is_warning: !wants_switch(object),
        reason: "AutomaticSwitchUpcoming".to_owned(),
        action: "Observe",
        message: format!(
            "The trial of the tenant ends: on {ends} the platform switches it to production automatically, which puts \
             the whole of {} on the bill and cannot be undone. This controller cannot prevent it.",
            calendar::month_name(ends)
        ),
    })
}

/// When the platform will switch the tenant automatically. `None` if the tenant is past trial, if the date is not
/// known, or if this controller switches the tenant before.
#[must_use]
pub fn automatic_switch(object: &TenantPricing, status: &TenantPricingStatus) -> Option<Timestamp> {
    let ends = trial_ends(status)?;
    let journal = status.switch.as_ref().filter(|_| wants_switch(object));
    let before_that = journal.is_some_and(|journal| {
        let scheduled = journal.scheduled_for.as_ref().is_none_or(|at| at.0 <= ends);
        journal.phase == Phase::InFlight || (journal.phase == Phase::Scheduled && scheduled)
    });
    (!before_that).then_some(ends)
}

/// Whether an object asks for production, and is not suspended.
fn wants_switch(object: &TenantPricing) -> bool {
    object.spec.mode == Some(DesiredMode::Production) && !object.spec.suspend
}

/// The date of the platform's automatic switch, while the tenant is in trial.
fn trial_ends(status: &TenantPricingStatus) -> Option<Timestamp> {
    let observed = status.observed.as_ref()?;
    let in_trial = Mode::from(observed.mode.as_str()) == Mode::Trial;
    observed.production_start_date.as_ref().filter(|_| in_trial).map(|date| date.0)
}

fn of_journal(
    object: &TenantPricing,
    before: Option<&Journal>,
    after: &TenantPricingStatus,
) -> Option<EventSpec> {
    let is_duplicate = after.conditions.iter().any(|condition| {
        condition.type_ == ConditionType::Stalled.as_str()
            && condition.reason == StalledReason::DuplicateTenant.as_str()
    });
    let after = after.switch.as_ref();
    let event = |is_warning, reason: &str, action, message: String| {
        Some(EventSpec { is_warning, reason: reason.to_owned(), action, message })
    };
    match (before, after) {
        (Some(was), None) if was.phase != Phase::Completed => {
            let why = match object.spec.mode {
                _ if object.metadata.deletion_timestamp.is_some() => "the object is being deleted",
                Some(DesiredMode::Trial) => "spec.mode is trial",
                None => "spec.mode no longer asks for production",
                // A switch that is still requested is cancelled only for these two reasons.
                Some(DesiredMode::Production) if is_duplicate => "an older object acts for the same tenant",
                Some(DesiredMode::Production) => "the namespace is being deleted",
            };
            let sent = if was.attempts == 0 { "Nothing was sent." } else { "No request took effect." };
            let message = format!("The waiting switch to production is cancelled: {why}. {sent}");
            event(false, "SwitchCancelled", "Cancel", message)
        }
        (was, Some(now)) => match (was.map(|journal| journal.phase), now.phase) {
            (before, Phase::InFlight)
                if before != Some(Phase::InFlight) || attempt(was) != attempt(after) =>
            {
                let message = format!(
                    "Asking the platform to switch the tenant to production (attempt {}). spec.mode was set by the field \
                     manager {}.",
                    now.attempts,
                    now.requested_by.as_deref().unwrap_or("unknown"),
                );
                event(false, "SwitchRequested", SWITCH, message)
            }
            (Some(Phase::Completed), Phase::Completed) => None,
            (_, Phase::Completed) => {
                let by = now.by.unwrap_or(SwitchedBy::Platform);
                let at = now.completed_at.as_ref()?.0;
                let reason = match by {
                    SwitchedBy::Controller => "SwitchCompleted",
                    SwitchedBy::Platform => "SwitchedByPlatform",
                };
                event(by == SwitchedBy::Platform, reason, SWITCH, switched(by, at))
            }
            (_, Phase::Scheduled) if planned(was) != planned(after) => {
                let at = now.scheduled_for.as_ref()?.0;
                let message = format!(
                    "The switch to production is scheduled for {at}; it will put the whole of {} on the bill.",
                    calendar::month_name(at)
                );
                event(false, "SwitchScheduled", "Schedule", message)
            }
            _ => None,
        },
        _ => None,
    }
}

fn attempt(journal: Option<&Journal>) -> Option<&str> {
    journal?.attempt_id.as_deref()
}

fn planned(journal: Option<&Journal>) -> Option<jiff::Timestamp> {
    journal?.scheduled_for.as_ref().map(|time| time.0)
}

fn of_stall(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Option<EventSpec> {
    let now = conditions::find(&after.conditions, ConditionType::Stalled)?;
    let was = conditions::find(&before.conditions, ConditionType::Stalled);
    let changed = was.is_none_or(|was| was.reason != now.reason);
    changed.then(|| EventSpec {
        is_warning: true,
        reason: now.reason.clone(),
        action: "Refuse",
        message: now.message.clone(),
    })
}

/// The event for a tenant that was switched on the platform while the object observed it or requested trial.
fn of_platform(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Option<EventSpec> {
    let reason = |status: &TenantPricingStatus| {
        conditions::find(&status.conditions, ConditionType::Production)
            .map(|condition| condition.reason.clone())
    };
    let switched_by_platform = ProductionReason::SwitchedByPlatform.as_str();
    let is_new = reason(after).as_deref() == Some(switched_by_platform)
        && reason(before).as_deref() != Some(switched_by_platform);
    is_new.then(|| {
        let date = after.observed.as_ref().and_then(|observed| observed.production_start_date.as_ref());
        EventSpec {
            is_warning: true,
            reason: switched_by_platform.to_owned(),
            action: "Observe",
            message: match date {
                Some(date) => switched(SwitchedBy::Platform, date.0),
                None => "The tenant is in production, switched on the platform and not by this controller."
                    .to_owned(),
            },
        }
    })
}

#[cfg(test)]
mod tests;
