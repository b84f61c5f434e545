//! The events: what changed between two statuses, in words. Pure.

use crate::{
    api::{
        ConditionType, DesiredMode, Journal, Phase, ProductionReason, SwitchedBy, TenantPricing,
        TenantPricingStatus,
    },
    pricing::{conditions, decide::switched, schedule},
};

/// One event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Something a person should look at.
    pub warning: bool,
    /// The event's reason, `PascalCase`.
    pub reason: String,
    /// What the controller did, `PascalCase`.
    pub action: &'static str,
    /// What happened.
    pub text: String,
}

/// The action of the events that speak of a switch.
const SWITCH: &str = "Switch";

/// The events that the change from `before` to `after` calls for.
#[must_use]
pub fn notes(object: &TenantPricing, before: &TenantPricingStatus, after: &TenantPricingStatus) -> Vec<Note> {
    let of_journal = of_journal(object, before.switch.as_ref(), after.switch.as_ref());
    // What the journal says of a switch is not said twice.
    let told = of_journal.as_ref().is_some_and(|note| note.action == SWITCH);
    let of_platform = of_platform(before, after).filter(|_| !told);
    [of_journal, of_platform, of_stall(before, after)].into_iter().flatten().collect()
}

fn of_journal(object: &TenantPricing, before: Option<&Journal>, after: Option<&Journal>) -> Option<Note> {
    let note = |warning, reason: &str, action, text: String| {
        Some(Note { warning, reason: reason.to_owned(), action, text })
    };
    match (before, after) {
        (Some(was), None) if was.phase != Phase::Completed => {
            let why = match object.spec.mode {
                _ if object.metadata.deletion_timestamp.is_some() => "the object is being deleted",
                Some(DesiredMode::Trial) => "spec.mode is trial",
                None => "spec.mode no longer asks for production",
                // What is still asked for is cancelled for nothing else.
                Some(DesiredMode::Production) => "an older object acts for the same tenant",
            };
            let sent = if was.attempts == 0 { "Nothing was sent." } else { "No request took effect." };
            let text = format!("The waiting switch to production is cancelled: {why}. {sent}");
            note(false, "SwitchCancelled", "Cancel", text)
        }
        (was, Some(now)) => match (was.map(|journal| journal.phase), now.phase) {
            (before, Phase::InFlight)
                if before != Some(Phase::InFlight) || attempt(was) != attempt(after) =>
            {
                let text = format!(
                    "Asking the platform to switch the tenant to production (attempt {}), as {} asked.",
                    now.attempts,
                    now.requested_by.as_deref().unwrap_or("spec.mode"),
                );
                note(false, "SwitchAsked", SWITCH, text)
            }
            (Some(Phase::Completed), Phase::Completed) => None,
            (_, Phase::Completed) => {
                let by = now.by.unwrap_or(SwitchedBy::Platform);
                let at = now.completed_at.as_ref()?.0;
                let reason = match by {
                    SwitchedBy::Controller => "SwitchDone",
                    SwitchedBy::Platform => "SwitchedByPlatform",
                };
                note(by == SwitchedBy::Platform, reason, SWITCH, switched(by, at))
            }
            (_, Phase::Scheduled) if planned(was) != planned(after) => {
                let at = now.scheduled_for.as_ref()?.0;
                let text = format!(
                    "The switch to production is scheduled for {at}; it will put the whole of {} on the bill.",
                    schedule::month_name(at)
                );
                note(false, "SwitchScheduled", "Schedule", text)
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

fn of_stall(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Option<Note> {
    let now = conditions::find(&after.conditions, ConditionType::Stalled)?;
    let was = conditions::find(&before.conditions, ConditionType::Stalled);
    let changed = was.is_none_or(|was| was.reason != now.reason);
    changed.then(|| Note {
        warning: true,
        reason: now.reason.clone(),
        action: "Refuse",
        text: now.message.clone(),
    })
}

/// A tenant that was only watched, or wanted in trial, and was switched on the platform.
fn of_platform(before: &TenantPricingStatus, after: &TenantPricingStatus) -> Option<Note> {
    let reason = |status: &TenantPricingStatus| {
        conditions::find(&status.conditions, ConditionType::Production)
            .map(|condition| condition.reason.clone())
    };
    let switched_by_platform = ProductionReason::SwitchedByPlatform.as_str();
    let is_new = reason(after).as_deref() == Some(switched_by_platform)
        && reason(before).as_deref() != Some(switched_by_platform);
    is_new.then(|| {
        let date = after.observed.as_ref().and_then(|observed| observed.production_start_date.as_ref());
        Note {
            warning: true,
            reason: switched_by_platform.to_owned(),
            action: "Observe",
            text: match date {
                Some(date) => switched(SwitchedBy::Platform, date.0),
                None => "The tenant is in production, switched on the platform and not by this controller."
                    .to_owned(),
            },
        }
    })
}

#[cfg(test)]
mod tests;
