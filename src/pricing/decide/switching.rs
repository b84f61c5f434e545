//! Rules about the switch itself. They apply only to an object that requests production for a tenant in trial.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{JournalStep, Requeue, Ruling, Verdict, errors, open_entry, shared};
use crate::{
    api::{
        ConditionType, DesiredMode, Phase, ReadyReason, ReconcilingReason, StalledReason, SwitchAt,
        conditions,
    },
    calendar,
    platform::{Mode, TenantKind},
    pricing::{
        facts::Facts,
        schedule::{self, Clocks, Due},
    },
};

pub(super) fn not_a_customer(facts: &Facts<'_>) -> Option<Ruling> {
    let kind = &facts.seen()?.tenant.kind;
    (*kind != TenantKind::Customer).then(|| {
        let message = format!(
            "The tenant is of kind {kind}; only customer tenants have a trial that can be switched to \
             production. Name a customer tenant in a new object."
        );
        Ruling::stalled(StalledReason::NotACustomerTenant, message)
    })
}

pub(super) fn tenant_disabled(facts: &Facts<'_>) -> Option<Ruling> {
    (!facts.seen()?.tenant.enabled).then(|| {
        let message = "The tenant is disabled on the platform, and a disabled tenant would still be billed. It is not \
                       switched. Enable it there, or remove spec.mode.";
        Ruling::stalled(StalledReason::TenantDisabled, message)
    })
}

pub(super) fn tenant_locked(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen()?;
    seen.locked_by_another.then(|| {
        let owner = seen.tenant.lock.as_ref().and_then(|lock| lock.owner.as_ref());
        let owner = owner.map_or_else(|| "another tenant".to_owned(), |id| format!("tenant {id}"));
        let message = format!(
            "The tenant is locked against changes through the API by {owner}. Have it release the lock."
        );
        Ruling::stalled(StalledReason::TenantLocked, message)
    })
}

/// An object stands for one tenant forever: the one in its spec, and the one that was pinned.
pub(super) fn another_tenant(facts: &Facts<'_>) -> Option<Ruling> {
    let id = &facts.seen()?.tenant.id;
    let pinned = facts.object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    let named = [facts.object.spec.tenant.id.as_deref(), pinned].into_iter().flatten();
    let other = named.into_iter().find(|named| !named.eq_ignore_ascii_case(id.as_str()))?;
    let message = format!(
        "This object stands for tenant {other}, but tenant {id} was found. It is not switched. Create a new object \
         for the tenant that is meant."
    );
    Some(Ruling::stalled(StalledReason::TenantChanged, message))
}

pub(super) fn name_changed(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen()?;
    let name = facts.object.spec.tenant.name.as_ref()?;
    (seen.tenant.name != *name).then(|| {
        let message = format!(
            "Tenant {} was found by the name {name:?} and is now named {:?}. It is not switched. Name it by \
             spec.tenant.id in a new object, or rename it back.",
            seen.tenant.id, seen.tenant.name
        );
        Ruling::stalled(StalledReason::TenantChanged, message)
    })
}

pub(super) fn platform_clock_unknown(facts: &Facts<'_>) -> Option<Ruling> {
    let seen = facts.seen()?;
    seen.date.is_none().then(|| {
        let message = "The platform's answer has no readable Date, so the platform's clock cannot confirm that the \
                       switch is due. Nothing is sent. The controller retries automatically.";
        Ruling::reconciling(ReconcilingReason::ClockSkew, message)
    })
}

/// The maximum clock skew. Above it one of the clocks is wrong, and no instant can be planned by both.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// The text after the two times in the message. [`reported_skew`] finds it in a stored message.
const ADVICE: &str = "They are more than an hour apart, so the time for the switch is not certain. Nothing is sent, \
                      and nothing is billed. Correct the clock that is wrong.";

pub(super) fn clock_skew(facts: &Facts<'_>) -> Option<Ruling> {
    let platform = facts.seen()?.date?;
    let timed = facts.switch_at(facts.connection()?) == SwitchAt::MonthStart || not_before(facts).is_some();
    let apart = facts.now.duration_since(platform).abs() > MAX_CLOCK_SKEW;
    (timed && apart).then(|| {
        if facts.scheduled_for().is_some() && !shared::needs_platform(facts) {
            // A single bad Date header is not worth a status write while the switch is not due.
            return Ruling::unchanged();
        }
        let message = reported_skew(facts).map_or_else(
            || {
                let controller = facts.now.strftime("%Y-%m-%dT%H:%M:%SZ");
                format!(
                    "The controller's clock said {controller} when the platform's clock said {platform}. {ADVICE}"
                )
            },
            str::to_owned,
        );
        Ruling::reconciling(ReconcilingReason::ClockSkew, message)
    })
}

/// The message in the status, if it reports the clock skew already. The two times in it change with each read, so the
/// first ones stay.
fn reported_skew<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    let status = facts.object.status.as_ref()?;
    let said = conditions::find(&status.conditions, ConditionType::Reconciling)?;
    let is_said = said.reason == ReconcilingReason::ClockSkew.as_str()
        && said.observed_generation == facts.object.metadata.generation
        && said.message.ends_with(ADVICE);
    is_said.then_some(said.message.as_str())
}

fn not_before(facts: &Facts<'_>) -> Option<Timestamp> {
    facts.object.spec.switch.as_ref().and_then(|switch| switch.not_before.as_ref()).map(|time| time.0)
}

pub(super) fn not_due(facts: &Facts<'_>) -> Option<Ruling> {
    match plan(facts)? {
        (_, Due::Now) => None,
        (scheduled_for, due) => {
            let remaining = match due {
                Due::In(remaining) => Duration::try_from(remaining).unwrap_or_default(),
                Due::Now | Due::Missed => Duration::ZERO,
            };
            let message = format!(
                "The switch to production takes place on {scheduled_for} and puts the whole of {} on the bill. \
                 To cancel it before then, change spec.mode or delete the object. To hold it, set spec.suspend.",
                calendar::month_name(scheduled_for)
            );
            Some(scheduled(scheduled_for, message, remaining))
        }
    }
}

/// Neither the passing of time nor the deletion of the other object allows a second request.
pub(super) fn sibling_accepted(facts: &Facts<'_>) -> Option<Ruling> {
    let other = facts.circumstances.sibling_accepted.as_ref()?;
    let whose = match &other.key {
        Some(key) => format!("TenantPricing {key}"),
        None => "another object, which is gone".to_owned(),
    };
    let message = format!(
        "The platform accepted a switch of the same tenant for {whose}, and still shows trial: the tenant is billed, as \
         far as is known. Nothing is sent for this object. The tenant is read until it shows production."
    );
    Some(if other.for_long {
        let message = format!("{message} {}", open_entry::ASK_SUPPORT);
        Ruling::stalled(StalledReason::OutcomeUnknown, message)
    } else {
        Ruling::reconciling(ReconcilingReason::OutcomeUnknown, message)
    })
}

/// Stalls instead of waiting without end, so that a person acts.
pub(super) fn sibling_stalled(facts: &Facts<'_>) -> Option<Ruling> {
    let other = facts.circumstances.sibling_stalled.as_ref()?;
    let message = format!(
        "TenantPricing {other} began a switch of the same tenant, and is stalled before the outcome is known. Correct \
         what its conditions name, or delete it. Until then nothing is sent for this object."
    );
    Some(Ruling::stalled(StalledReason::OutcomeUnknown, message))
}

pub(super) fn sibling_open(facts: &Facts<'_>) -> Option<Ruling> {
    facts.circumstances.sibling_open.then(|| {
        let message = "A switch of the same tenant was begun for another object and its outcome is not known yet. \
                       Until it is known, nothing is sent for this object.";
        Ruling::reconciling(ReconcilingReason::OutcomeUnknown, message)
    })
}

pub(super) fn backs_off_after_failure(facts: &Facts<'_>) -> Option<Ruling> {
    let backoff = facts.circumstances.backoff.as_ref()?;
    Some(errors::explain(&backoff.error).requeue(Requeue::After(backoff.remaining)))
}

pub(super) fn switch(facts: &Facts<'_>) -> Option<Ruling> {
    let scheduled_for = planned(facts)?;
    let message = format!(
        "The switch to production is being carried out; it puts the whole of {} on the bill and cannot be undone.",
        calendar::month_name(facts.seen().and_then(|seen| seen.date).unwrap_or(facts.now))
    );
    Some(Ruling::new(Verdict::Switch { scheduled_for }, message))
}

fn scheduled(scheduled_for: Timestamp, message: String, remaining: Duration) -> Ruling {
    Ruling::ready(ReadyReason::SwitchScheduled, message)
        .with_journal(JournalStep::Schedule(scheduled_for))
        .requeue(Requeue::After(remaining))
}

/// The plan to store for a month start while an obstacle prevents the switch. The time is fixed when the switch is
/// requested, not when the obstacle is gone.
pub(super) fn plan_to_keep(facts: &Facts<'_>) -> Option<Timestamp> {
    let month_start = facts.switch_at(facts.connection()?) == SwitchAt::MonthStart;
    let unplanned =
        facts.phase().is_none_or(|phase| phase == Phase::Scheduled) && facts.scheduled_for().is_none();
    let in_trial = *facts.seen()?.mode() == Mode::Trial;
    let wanted = facts.desired() == Some(DesiredMode::Production) && !facts.object.spec.suspend;
    if !(month_start && unplanned && in_trial && wanted) || clock_skew(facts).is_some() {
        return None;
    }
    planned(facts)
}

/// The instant the switch is scheduled for.
pub(super) fn planned(facts: &Facts<'_>) -> Option<Timestamp> {
    plan(facts).map(|(scheduled_for, _)| scheduled_for)
}

/// The instant the switch is scheduled for, and whether it is due.
///
/// The instant is fixed once for each generation of the object. A missed month start is planned again.
fn plan(facts: &Facts<'_>) -> Option<(Timestamp, Due)> {
    let at = facts.switch_at(facts.connection()?);
    let clocks = Clocks { controller: facts.now, platform: facts.seen()?.date? };
    let first = || schedule::first_instant(at, not_before(facts), clocks);
    let scheduled_for = match facts.scheduled_for() {
        Some(fixed) if schedule::due(at, fixed, clocks) != Due::Missed => fixed,
        _ => first(),
    };
    Some((scheduled_for, schedule::due(at, scheduled_for, clocks)))
}
