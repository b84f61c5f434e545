//! The rules, checked where they could be broken: at a journal write, when a PUT is sent, and when it takes effect.
//! They check the truth, which no replica can see, and share no code with what they check.

use super::{
    Setting,
    state::{Age, Mode, Object, Replica, Reply, Request, Rule, SpecMode, State},
};
use crate::api::Phase;

/// Checks a decision to switch. `is_old` says whether the pre-write read is too old by true time.
pub(super) fn at_decision(state: &mut State, is_old: bool) {
    if is_old {
        state.broken = Some(Rule::OldRead);
    }
}

/// Checks the announcement of an attempt over `before`, the object as it is stored at that moment.
pub(super) fn at_journal_write(setting: &Setting, state: &mut State, place: u8, before: Object) {
    let broken = if before.spec_mode != SpecMode::Production || before.suspended {
        Rule::Unasked
    } else if setting.month_start && !state.month_has_come {
        Rule::TooEarly
    } else if state.histories[usize::from(place)].was_past_trial || has_record(setting, state, place) {
        Rule::SwitchedAgain
    } else {
        return;
    };
    state.broken = Some(broken);
}

/// Whether the stored journal of another object says that this controller switched the tenant of this one.
fn has_record(setting: &Setting, state: &State, place: u8) -> bool {
    let others = setting.places().filter(|other| *other != place);
    let mut of_tenant = others.filter(|other| setting.tenant_of(*other) == setting.tenant_of(place));
    of_tenant.any(|other| state.object(other).is_some_and(|other| other.status.is_by_the_controller()))
}

/// Checks a PUT that is sent.
///
/// A deleted object takes its journal with it. Only the process that sent the PUT still knows of it, so two PUTs may
/// meet. Only one of them takes effect.
pub(super) fn at_send(
    setting: &Setting,
    state: &mut State,
    (replica, place): (u8, u8),
    (attempt, uid): (u8, u8),
) {
    let tenant = setting.tenant_of(place);
    let others = setting.places().filter(|other| *other != place && uses_up(setting, state, *other)).count();
    let own = state.object(place).filter(|own| own.uid == uid);
    let is_announced = own.is_none_or(|own| own.status.open_attempt() == Some(attempt));
    let is_wanted = own.is_none_or(|own| own.spec_mode == SpecMode::Production);
    let is_known = |place, uid| own.is_some() && state.is_there(place, uid);
    let another =
        state.requests.iter().any(|other| other.tenant == tenant && is_known(other.place, other.uid));
    let unknown = state.tenants[usize::from(tenant)].unknown;
    let sender = state.replica(replica);
    let broken = if !is_wanted {
        Rule::Cancelled
    } else if !is_announced {
        Rule::NotAnnounced
    } else if knows_acceptance(setting, state, replica, tenant) {
        Rule::AfterAcceptance
    } else if another {
        Rule::TwoInFlight
    } else if unknown.is_some_and(|(place, uid)| is_known(place, uid)) {
        Rule::InGracePeriod
    } else if !sender.leads || sender.term.is_none_or(|term| term.age != Age::Fresh) {
        Rule::NotLeading
    } else if setting.has_budget() && others >= setting.budget {
        Rule::OverBudget
    } else {
        return;
    };
    state.broken = Some(broken);
}

/// Whether a PUT for the object in a place took effect, or may.
fn uses_up(setting: &Setting, state: &State, place: u8) -> bool {
    let tenant = setting.tenant_of(place);
    let may_take_effect =
        |request: &Request| request.tenant == tenant && request.reply != Some(Reply::Refused);
    state.tenants[usize::from(tenant)].switched > 0 || state.requests.iter().any(may_take_effect)
}

/// Whether a replica received the answer that a PUT for a tenant was accepted, or the journal of an object said so.
fn knows_acceptance(setting: &Setting, state: &State, replica: u8, tenant: u8) -> bool {
    let of_tenant = |place: &u8| setting.tenant_of(*place) == tenant && state.object(*place).is_some();
    let was_stored = |place: u8| state.histories[usize::from(place)].was_accepted;
    state.replica(replica).has_heard[usize::from(tenant)]
        || setting.places().filter(of_tenant).any(was_stored)
}

/// Checks a PUT of this object that has just taken effect.
pub(super) fn at_effect(state: &mut State, place: u8, uid: u8, tenant: u8) {
    let is_cancelled =
        state.object(place).is_some_and(|own| own.uid == uid && own.spec_mode != SpecMode::Production);
    if state.tenants[usize::from(tenant)].switched > 1 {
        state.broken = Some(Rule::TwoEffects);
    } else if is_cancelled {
        state.broken = Some(Rule::Cancelled);
    }
}

/// Checks a status that was stored.
pub(super) fn at_status(state: &mut State, place: u8) {
    let Some(object) = state.object(place) else { return };
    let is_past_trial = object.status.map(|status| {
        let completed = status.switch.as_ref().is_some_and(|journal| journal.phase == Phase::Completed);
        let observed = status.observed.as_ref().is_some_and(|observed| observed.mode != "trial");
        completed || observed
    });
    let is_kept = object.status.open_attempt().is_some() && object.status.is_accepted()
        || object.status.is_by_the_controller();
    let history = &mut state.histories[usize::from(place)];
    let is_lost = history.was_accepted && !is_kept;
    history.was_past_trial |= is_past_trial;
    history.was_accepted |= object.status.is_accepted();
    if is_lost {
        state.broken = Some(Rule::AcceptanceLost);
    }
}

/// What is wrong with an object when no step is left. `None`: it reached what its spec asks for, or truly says why not.
pub(super) fn unrest(setting: &Setting, state: &State, place: u8) -> Option<String> {
    let object = state.object(place)?;
    if !state.connection_is_open {
        return None;
    }
    let tenant = state.tenants[usize::from(setting.tenant_of(place))];
    let of_this_generation =
        object.status.map(|status| status.observed_generation == i64::from(object.generation));
    let Some((is_ready, reason)) = object.status.ready().filter(|_| of_this_generation) else {
        return Some(format!("object {place} was not reconciled: {object:?}"));
    };
    let has_older_owner = setting.places().filter(|other| *other != place).any(|other| {
        let competes = |other: Object| other.spec_mode != SpecMode::Unset && !other.suspended;
        setting.tenant_of(other) == setting.tenant_of(place)
            && state.object(other).is_some_and(|other| competes(other) && other.uid < object.uid)
    });
    let was_past_trial = state.histories[usize::from(place)].was_past_trial;
    let others = setting.places().filter(|other| *other != place && uses_up(setting, state, *other)).count();
    let is_used_up = setting.has_budget() && others >= setting.budget;
    // If the platform takes back an accepted switch, no read can distinguish that from a stale read.
    let remembers = |replica: &Replica| replica.circumstances.accepted(setting.tenant_of(place)).is_some();
    let is_backing_off = object.status.is_accepted()
        || (object.spec_mode == SpecMode::Production && state.replicas.iter().any(remembers));
    if tenant.mode == Mode::Trial && is_backing_off && reason == "OutcomeUnknown" {
        return None;
    }
    let expected: &[(bool, &str)] = match (object.spec_mode, tenant.mode) {
        _ if object.suspended => &[(true, "Suspended")],
        (SpecMode::Unset, _) => &[(true, "Observed")],
        _ if has_older_owner => &[(false, "DuplicateTenant")],
        (SpecMode::Trial, Mode::Trial) | (SpecMode::Production, Mode::Production) => &[(true, "InSync")],
        (SpecMode::Trial, _) => &[(false, "ReversalRefused")],
        (SpecMode::Production, Mode::Suspended) => &[(false, "TenantSuspendedOnPlatform")],
        (SpecMode::Production, Mode::Trial) if was_past_trial => &[(false, "UnexpectedTrial")],
        (SpecMode::Production, Mode::Trial) if setting.month_start && !state.month_has_come => {
            &[(true, "SwitchScheduled")]
        }
        // Only switches that took effect use the budget.
        (SpecMode::Production, Mode::Trial) if is_used_up && setting.refuses(setting.tenant_of(place)) => {
            &[(false, "SwitchBudgetExhausted"), (false, "PlatformRefused")]
        }
        (SpecMode::Production, Mode::Trial) if is_used_up => &[(false, "SwitchBudgetExhausted")],
        (SpecMode::Production, Mode::Trial) if setting.refuses(setting.tenant_of(place)) => {
            &[(false, "PlatformRefused")]
        }
        (SpecMode::Production, Mode::Trial) => &[],
    };
    let is_expected = expected.contains(&(is_ready, reason.as_str()));
    let is_open = object.status.phase() == Some(Phase::InFlight);
    (is_open || !is_expected).then(|| format!("object {place} rests as {object:?}, expected {expected:?}"))
}
