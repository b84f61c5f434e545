//! The decision: an ordered list of small rules over [`Facts`]. The first that applies wins and names itself.
//!
//! Pure: no client, no request, no clock. The same functions decide on the first read and on the pre-write read. They
//! also decide when an open journal entry is resolved after a crash.

mod access;
mod bill;
mod errors;
mod modes;
mod open_entry;
mod proof;
mod queue;
mod shared;
mod switching;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use errors::pause_after;
use jiff::Timestamp;
pub use modes::switched;
pub use open_entry::{GRACE_PERIOD, STALE_LIMIT};
pub use queue::said as said_in_queue;

use super::facts::Facts;
use crate::api::{DesiredMode, Phase, ReadyReason, ReconcilingReason, StalledReason, SwitchedBy};

/// What to report and what to do, and the rule that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The name of the rule that decided.
    pub rule: &'static str,
    /// The state of the object.
    pub verdict: Verdict,
    /// What happened, what it means for the bill, and what a person can do.
    pub message: String,
    /// How the journal changes.
    pub journal: JournalStep,
    /// When to reconcile again.
    pub requeue: Requeue,
}

/// What one rule says: a decision that does not name its rule yet.
#[derive(Clone, Debug, PartialEq)]
struct Ruling {
    verdict: Verdict,
    message: String,
    journal: JournalStep,
    requeue: Requeue,
}

/// The state of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that is requested for now is done.
    Ready(ReadyReason),
    /// Working, or waiting to try again.
    Reconciling(ReconcilingReason),
    /// A person must act.
    Stalled(StalledReason),
    /// Nothing new is known, and nothing is wrong with this object. Its status stays.
    Unchanged,
    /// The switch is due, and is carried out now.
    Switch {
        /// The instant that the switch was scheduled for.
        scheduled_for: Timestamp,
    },
}

/// How the journal changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalStep {
    /// The journal stays as it is.
    Keep,
    /// The plan is cancelled.
    Cancel,
    /// The switch waits for this instant.
    Schedule(Timestamp),
    /// The platform accepted the open attempt at this time, and the tenant does not show it yet.
    Accept(Timestamp),
    /// The open attempt ended without effect. The switch returns to the switch queue.
    Close,
    /// The tenant is past trial.
    Complete {
        /// Who switched the tenant.
        by: SwitchedBy,
        /// When the tenant was switched.
        at: Timestamp,
    },
}

/// When to reconcile the object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// After the connection's poll interval.
    AtPollInterval,
    /// After a day.
    Daily,
    /// After this time, or after the poll interval if that is shorter.
    After(Duration),
    /// After a pause that grows from one failure to the next.
    Backoff,
    /// When the switch queue admits it.
    WhenAdmitted,
    /// After the poll interval, without a read of the tenant: the connection does not admit the object.
    Recheck,
    /// When a listing has shown which customers have the name.
    WhenProved,
    /// Only when something changes.
    OnChange,
}

/// A rule. It decides, or leaves the decision to the next rule.
type Rule = fn(&Facts<'_>) -> Option<Ruling>;

/// The rules, in their order. An earlier rule protects the later ones: they need not repeat its check.
const RULES: &[(&str, Rule)] = &[
    ("suspended", access::suspended),
    ("open_entry_never_sent", open_entry::never_sent),
    ("begun_on_another_platform", open_entry::on_another_platform),
    ("suspended_and_unread", open_entry::suspended_and_unread),
    ("connection_missing", access::connection_missing),
    ("connection_not_allowed", access::connection_not_allowed),
    ("connection_unusable", access::connection_unusable),
    ("open_entry_unread", open_entry::unread),
    ("read_failed", errors::read_failed),
    ("name_not_found", access::name_not_found),
    ("name_ambiguous", access::name_ambiguous),
    ("open_entry_took_effect", open_entry::took_effect),
    ("open_entry_without_effect", open_entry::without_effect),
    ("open_entry_accepted", open_entry::accepted),
    ("open_entry_pending", open_entry::pending),
    ("name_misleads", access::name_misleads),
    ("tenant_deleted", access::tenant_deleted),
    ("observe_only", modes::observe_only),
    ("duplicate_tenant", queue::duplicate_tenant),
    ("unknown_mode", modes::unknown_mode),
    ("trial_wanted", modes::trial_wanted),
    ("reversal_refused", modes::reversal_refused),
    ("suspended_on_platform", modes::suspended_on_platform),
    ("in_production", modes::in_production),
    ("unexpected_trial", modes::unexpected_trial),
    ("sibling_completed", modes::sibling_completed),
    ("not_a_customer", switching::not_a_customer),
    ("tenant_disabled", switching::tenant_disabled),
    ("tenant_locked", switching::tenant_locked),
    ("another_tenant", switching::another_tenant),
    ("name_changed", switching::name_changed),
    ("platform_clock_unknown", switching::platform_clock_unknown),
    ("clock_skew", switching::clock_skew),
    ("not_due", switching::not_due),
    ("sibling_accepted", switching::sibling_accepted),
    ("sibling_stalled", switching::sibling_stalled),
    ("sibling_open", switching::sibling_open),
    ("backs_off_after_failure", switching::backs_off_after_failure),
    ("budget_exhausted", queue::budget_exhausted),
    ("waits_in_queue", queue::waits_in_queue),
    ("name_unproved", proof::name_unproved),
    ("name_of_another_tenant", proof::belongs_to_another),
    ("switch", switching::switch),
];

/// Applies the first rule that fits the facts.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Decision {
    let decided = RULES.iter().find_map(|(name, rule)| rule(facts).map(|ruling| (*name, ruling)));
    let (rule, ruling) = decided.unwrap_or_else(|| ("not_read", access::not_read()));
    let journal = journal_step(facts, &ruling);
    let Ruling { verdict, message, requeue, .. } = ruling;
    Decision { rule, verdict, message, journal, requeue }
}

/// The change of the journal that goes with a ruling.
///
/// A plan that is no longer requested is always cancelled, whichever rule decides. To cancel, the platform need not be
/// reachable.
fn journal_step(facts: &Facts<'_>, ruling: &Ruling) -> JournalStep {
    let is_obsolete =
        facts.phase() == Some(Phase::Scheduled) && facts.desired() != Some(DesiredMode::Production);
    if is_obsolete {
        return JournalStep::Cancel;
    }
    match (ruling.journal, ruling.verdict) {
        (JournalStep::Keep, _) if facts.in_flight() => {
            open_entry::to_be_stored(facts).map_or(JournalStep::Keep, JournalStep::Accept)
        }
        (JournalStep::Keep, Verdict::Stalled(reason)) if !plans_nothing(reason) => {
            switching::plan_to_keep(facts).map_or(JournalStep::Keep, JournalStep::Schedule)
        }
        (step, _) => step,
    }
}

/// Whether no switch is planned for an object that stalls for this reason. Such an object does not switch when the
/// stall ends.
fn plans_nothing(reason: StalledReason) -> bool {
    matches!(reason, StalledReason::UnexpectedTrial | StalledReason::DuplicateTenant)
}

/// The names of the rules, in their order.
#[cfg(test)]
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

impl Ruling {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            verdict,
            message: message.into(),
            journal: JournalStep::Keep,
            requeue: Requeue::AtPollInterval,
        }
    }

    fn ready(reason: ReadyReason, message: impl Into<String>) -> Self {
        Self::new(Verdict::Ready(reason), message)
    }

    fn reconciling(reason: ReconcilingReason, message: impl Into<String>) -> Self {
        Self { requeue: Requeue::Backoff, ..Self::new(Verdict::Reconciling(reason), message) }
    }

    fn stalled(reason: StalledReason, message: impl Into<String>) -> Self {
        Self::new(Verdict::Stalled(reason), message)
    }

    fn unchanged() -> Self {
        Self { requeue: Requeue::Backoff, ..Self::new(Verdict::Unchanged, String::new()) }
    }

    fn with_journal(self, journal: JournalStep) -> Self {
        Self { journal, ..self }
    }

    fn requeue(self, requeue: Requeue) -> Self {
        Self { requeue, ..self }
    }
}
