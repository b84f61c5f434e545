//! The entry of one object: what a decision means for the bill, in words. Pure.

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Knowledge, Side,
    decided::{Decided, due_at, plans_a_switch},
};
use crate::{
    api::{DesiredMode, ReadyReason, TenantPricing},
    calendar,
    cli::{
        output::time::month,
        plan::{
            document::{Change, Entry, Outcome, TenantView},
            subject::Subject,
        },
    },
    cluster::Key,
    connections::ConnectionProblem,
    pricing::{
        decide::{Decision, JournalStep, Requeue, Verdict},
        facts::{Access, TenantRead},
    },
};

impl Side<'_> {
    /// What happens to a subject in this state. `earlier`: the decision on it before the change.
    pub(super) fn entry(
        &self,
        subject: &Subject,
        earlier: Option<&Decided<'_>>,
        knowledge: &Knowledge,
        now: Timestamp,
    ) -> Entry {
        let mut entry = self.decided_entry(subject, earlier, knowledge, now);
        let decided = self.decided.get(&subject.key).filter(|_| subject.rejected.is_none());
        entry.not_watched = decided.and_then(|decided| knowledge.watch.misses(decided.object));
        if let Some(why) = &entry.not_watched {
            // A controller that is not of the chart may watch it, so the rest holds.
            entry.message = format!("{why} If another controller watches it: {}", entry.message);
        }
        entry
    }

    fn decided_entry(
        &self,
        subject: &Subject,
        earlier: Option<&Decided<'_>>,
        knowledge: &Knowledge,
        now: Timestamp,
    ) -> Entry {
        let key = &subject.key;
        let mut entry = Entry {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
            source: subject.source.clone(),
            change: subject.change(),
            tenant: subject
                .object()
                .map(|object| tenant(object, &knowledge.read(object)))
                .unwrap_or_default(),
            outcome: Outcome::Unknown,
            at: None,
            in_days: None,
            billed_month: None,
            reason: String::new(),
            message: String::new(),
            asks_for_production: subject.after.as_ref().is_some_and(asks_for_production),
            not_watched: None,
        };
        if let Some(message) = &subject.rejected {
            (entry.outcome, entry.reason) = (Outcome::Refused, "RejectedAtAdmission".to_owned());
            entry.message = format!("The API server will refuse this object: {message}");
            return entry;
        }
        if let Some(why) = &subject.unread {
            return not_compared(entry, why, subject.after.as_ref());
        }
        let Some(decided) = self.decided.get(key) else {
            return deleted(entry, earlier);
        };
        let at = self.times.get(key).copied();
        let Decided { object, decision, .. } = decided;
        if let Some(failure) = self.failure(object, knowledge)
            && !object.spec.suspend
        {
            return unread(entry, failure, decided, now);
        }
        let was_planned = earlier.is_some_and(|earlier| plans_a_switch(&earlier.decision));
        entry.message.clone_from(&decision.message);
        (entry.outcome, entry.reason) = outcome(decided, was_planned, at, now);
        let is_stopped = matches!(decided.access, Access::Unusable(ConnectionProblem::Suspended));
        if is_stopped && entry.change == Change::None && entry.outcome == Outcome::Refused {
            // An emergency stop is meant, and the object is as it was.
            entry.outcome = Outcome::Suspended;
        }
        if entry.outcome == Outcome::Unknown && entry.message.is_empty() {
            let why = if knowledge.is_offline {
                "The tenant is not read (--offline)."
            } else {
                "The tenant could not be read."
            };
            return unread(entry, why, decided, now);
        }
        if entry.outcome == Outcome::Cancelled {
            entry.message = format!("The planned switch is cancelled: nothing is billed. {}", entry.message);
        }
        if matches!(entry.outcome, Outcome::SwitchNow | Outcome::SwitchLater)
            && let Some(at) = at.map(|at| at.max(now))
        {
            entry.at = Some(at);
            entry.in_days = days(now, at);
            entry.billed_month = Some(month(at));
        }
        if entry.outcome == Outcome::SwitchNow {
            entry.message = format!(
                "The tenant is switched to production at once. That puts the whole of {} on the bill and cannot be \
                 undone.",
                calendar::month_name(now)
            );
        }
        if let (Outcome::SwitchLater, None, Some(due)) = (entry.outcome, at, due_at(decision)) {
            entry.message = format!(
                "The switch is due on {due}, and the connection's budget (spec.switch.budget.count: 0) allows none. Until \
                 the budget is raised, the tenant stays in trial."
            );
        }
        entry
    }

    /// Why nothing is known about the tenant of an object: there is no way to read through its connection.
    fn failure<'k>(&self, object: &TenantPricing, knowledge: &'k Knowledge) -> Option<&'k String> {
        let connection = object.connection_key();
        let failure = knowledge.failures.get(&connection)?;
        match self.links.access.get(&(Key::of(object), connection)) {
            None | Some(Access::Open(_)) => Some(failure),
            Some(_) => None,
        }
    }
}

pub(super) fn asks_for_production(object: &TenantPricing) -> bool {
    object.spec.mode == Some(DesiredMode::Production) && !object.spec.suspend
}

/// The outcome of a decision, and its reason.
fn outcome(
    decided: &Decided<'_>,
    was_planned: bool,
    at: Option<Timestamp>,
    now: Timestamp,
) -> (Outcome, String) {
    let Decided { object, decision, .. } = decided;
    let wants = object.spec.mode == Some(DesiredMode::Production);
    match decision.verdict {
        Verdict::Switch { .. } if at.is_none_or(|at| at <= now) => {
            (Outcome::SwitchNow, "Switching".to_owned())
        }
        Verdict::Switch { .. } => (Outcome::SwitchLater, "Switching".to_owned()),
        Verdict::Stalled(reason) => (Outcome::Refused, reason.to_string()),
        Verdict::Ready(ReadyReason::SwitchScheduled) => {
            (Outcome::SwitchLater, ReadyReason::SwitchScheduled.to_string())
        }
        Verdict::Ready(ReadyReason::Suspended) => (Outcome::Suspended, ReadyReason::Suspended.to_string()),
        Verdict::Ready(reason) if decision.journal == JournalStep::Cancel || (was_planned && !wants) => {
            (Outcome::Cancelled, reason.to_string())
        }
        Verdict::Ready(reason) => (Outcome::NoSwitch, reason.to_string()),
        Verdict::Reconciling(reason) if at.is_some() => (Outcome::SwitchLater, reason.to_string()),
        Verdict::Reconciling(reason) => {
            let is_waiting = decision.requeue == Requeue::WhenAdmitted;
            let outcome = if decided.facts(now).in_flight() || is_waiting {
                Outcome::InProgress
            } else {
                Outcome::Unknown
            };
            (outcome, reason.to_string())
        }
        Verdict::Unchanged => (Outcome::Unknown, "NotRead".to_owned()),
    }
}

/// The entry of an object that is no longer in the manifests. Whether the cluster loses it too is not known.
fn deleted(mut entry: Entry, earlier: Option<&Decided<'_>>) -> Entry {
    let is_planned = |decision: Option<&Decision>| decision.is_some_and(plans_a_switch);
    "The object is no longer in the manifests.".clone_into(&mut entry.message);
    if is_planned(earlier.map(|earlier| &earlier.decision)) {
        (entry.outcome, entry.reason) = (Outcome::Cancelled, "Deleted".to_owned());
        entry.message += " If it is deleted in the cluster, its planned switch is cancelled and nothing is billed. \
                          Without pruning it stays, and is switched as planned.";
    } else if is_planned(earlier.and_then(|earlier| earlier.if_in_trial.as_ref())) {
        (entry.outcome, entry.reason) = (Outcome::Unknown, "NotRead".to_owned());
        entry.message += " The tenant is not read. If a switch is still to come, deleting the object in the cluster cancels \
                          it. Without pruning the object stays, and is switched as planned.";
    } else {
        (entry.outcome, entry.reason) = (Outcome::NoSwitch, "Deleted".to_owned());
        entry.message += " It plans no switch. So nothing changes on the platform.";
    }
    entry
}

/// The entry of an object whose stored state is not known.
fn not_compared(mut entry: Entry, why: &str, after: Option<&TenantPricing>) -> Entry {
    (entry.outcome, entry.reason) = (Outcome::Unknown, "NotRead".to_owned());
    let mode = after.filter(|after| !after.spec.suspend).map(|after| after.spec.mode);
    // Others may have set a mode, and an apply leaves it.
    entry.asks_for_production = mode.is_some_and(|mode| mode != Some(DesiredMode::Trial));
    let rest = match (after, mode) {
        (None, _) => {
            "The object is no longer in the manifests. If a switch is still to come, deleting the object in the cluster \
             cancels it. Without pruning the object stays, and is switched as planned."
        }
        (Some(_), None) => "Nothing is switched for spec.suspend: true.",
        (Some(_), Some(Some(DesiredMode::Trial))) => "Nothing is switched for spec.mode: trial.",
        (Some(_), Some(None)) => {
            "If somebody set spec.mode: production there, the tenant may be switched. That starts billing and cannot be \
             undone."
        }
        (Some(_), Some(Some(DesiredMode::Production))) => {
            "If the tenant is a customer in trial, it may be switched to production at once. That starts billing and \
             cannot be undone."
        }
    };
    entry.message = format!("What is stored for it is not known: {why}. {rest}");
    entry
}

/// The entry of an object whose tenant was not read: what happens if it is a customer in trial.
fn unread(mut entry: Entry, why: &str, decided: &Decided<'_>, now: Timestamp) -> Entry {
    let object = decided.object;
    (entry.outcome, entry.reason) = (Outcome::Unknown, "NotRead".to_owned());
    let if_in_trial = decided.if_in_trial.as_ref();
    let rest = match object.spec.mode {
        Some(DesiredMode::Trial) => "Nothing is switched for spec.mode: trial.".to_owned(),
        None => "Nothing is switched without spec.mode.".to_owned(),
        Some(DesiredMode::Production) => match (if_in_trial, if_in_trial.and_then(due_at)) {
            (_, Some(at)) => {
                let at = at.max(now);
                entry.at = Some(at);
                entry.in_days = days(now, at);
                entry.billed_month = Some(month(at));
                let when = if at <= now { "at once".to_owned() } else { format!("on {at}") };
                format!(
                    "If it is a customer in trial, it is switched to production {when}. That puts the whole of {} on the \
                     bill and cannot be undone.",
                    calendar::month_name(at)
                )
            }
            (Some(Decision { verdict: Verdict::Stalled(_), message, .. }), None) => {
                format!("If it is a customer in trial: {message}")
            }
            _ => "If it is a customer in trial, it is switched to production. That starts billing and cannot be undone."
                .to_owned(),
        },
    };
    entry.message = format!("{why} {rest}");
    entry
}

fn tenant(object: &TenantPricing, read: &TenantRead) -> TenantView {
    let selector = &object.spec.tenant;
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.clone());
    let mut view = TenantView {
        id: selector.id.as_deref().map(str::to_ascii_lowercase).or(pinned),
        name: selector.name.clone(),
        mode: None,
    };
    if let TenantRead::Seen(seen) = read {
        view.id = Some(seen.tenant.id.to_string());
        view.name = Some(seen.tenant.name.clone());
        view.mode = Some(seen.mode().to_string());
    }
    view
}

/// The number of days from one instant to another, by their dates in UTC.
fn days(now: Timestamp, at: Timestamp) -> Option<i64> {
    let date = |instant: Timestamp| TimeZone::UTC.to_datetime(instant).date();
    date(now).until((jiff::Unit::Day, date(at))).ok().map(|span| i64::from(span.get_days()))
}
