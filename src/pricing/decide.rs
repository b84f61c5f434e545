//! The decision: an ordered list of small rules over [`Facts`]. The first that applies wins and names itself.
//!
//! Pure: no client, no request, no clock. The same functions decide the first time, at the last look before a
//! switch, and when an open journal entry is resolved after a crash.

mod access;
mod bill;
mod errors;
mod modes;
mod open_entry;
mod proof;
mod switching;
#[cfg(test)]
mod tests;
mod turn;

use std::time::Duration;

use jiff::Timestamp;

pub use errors::pause_after;
pub use modes::switched;
pub use open_entry::{QUIET_TIME, STALE_LIMIT};
pub use turn::said as turn_said;

use super::facts::Facts;
use crate::api::{DesiredMode, Phase, ReadyReason, ReconcilingReason, StalledReason, SwitchedBy};

/// What is to be said and done.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The name of the rule that decided.
    pub rule: &'static str,
    /// The state of the object.
    pub verdict: Verdict,
    /// What happened, what it means for the bill, and what to do: for people.
    pub message: String,
    /// What becomes of the journal.
    pub journal: JournalStep,
    /// When to look again.
    pub requeue: Requeue,
}

/// The state of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that is asked for by now is done.
    Ready(ReadyReason),
    /// Working, or waiting to try again.
    Reconciling(ReconcilingReason),
    /// A person must act.
    Stalled(StalledReason),
    /// Nothing new is known, and nothing is wrong with this object: its status stays.
    Unchanged,
    /// The switch is to be carried out now.
    Switch {
        /// The instant it was scheduled for.
        scheduled_for: Timestamp,
    },
}

/// What becomes of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalStep {
    /// It stays.
    Keep,
    /// The waiting switch is cancelled.
    Cancel,
    /// The switch waits for this instant.
    Schedule(Timestamp),
    /// The platform accepted the open attempt at this time, and the tenant does not show it yet.
    Accept(Timestamp),
    /// The open attempt is over without effect: the switch waits for its turn again.
    Close,
    /// The tenant is past trial.
    Complete {
        /// Who did it.
        by: SwitchedBy,
        /// When.
        at: Timestamp,
    },
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// After the connection's poll interval.
    AtPollInterval,
    /// After a day.
    Daily,
    /// After so long, or the poll interval if that is shorter.
    After(Duration),
    /// After a pause that grows from one failure to the next.
    Backoff,
    /// When the switch queue admits it.
    WhenAdmitted,
    /// After the poll interval, without a read of the tenant: the connection does not admit the object.
    Recheck,
    /// When a listing has shown who bears the name.
    WhenProved,
    /// Only when something changes.
    OnChange,
}

/// A rule: decides, or leaves it to the next.
type Rule = fn(&Facts<'_>) -> Option<Decision>;

/// The rules, in their order. What comes first protects what comes later.
const RULES: &[(&str, Rule)] = &[
    ("suspended", access::suspended),
    ("open_entry_never_sent", open_entry::never_sent),
    ("open_entry_elsewhere", open_entry::elsewhere),
    ("suspended_and_unread", open_entry::suspended_and_unread),
    ("connection_missing", access::connection_missing),
    ("connection_not_allowed", access::connection_not_allowed),
    ("connection_unusable", access::connection_unusable),
    ("open_entry_unread", open_entry::unread),
    ("look_failed", errors::read_failed),
    ("name_not_found", access::name_not_found),
    ("name_ambiguous", access::name_ambiguous),
    ("open_entry_took_effect", open_entry::took_effect),
    ("open_entry_without_effect", open_entry::without_effect),
    ("open_entry_accepted", open_entry::accepted),
    ("open_entry_pending", open_entry::pending),
    ("name_misleads", access::name_misleads),
    ("tenant_deleted", access::tenant_deleted),
    ("observe_only", modes::observe_only),
    ("duplicate_tenant", turn::duplicate_tenant),
    ("unknown_mode", modes::unknown_mode),
    ("trial_wanted", modes::trial_wanted),
    ("reversal_refused", modes::reversal_refused),
    ("suspended_on_platform", modes::suspended_on_platform),
    ("in_production", modes::in_production),
    ("unexpected_trial", modes::unexpected_trial),
    ("not_a_customer", switching::not_a_customer),
    ("tenant_disabled", switching::tenant_disabled),
    ("tenant_locked", switching::tenant_locked),
    ("another_tenant", switching::another_tenant),
    ("name_changed", switching::name_changed),
    ("platform_clock_unknown", switching::platform_clock_unknown),
    ("clocks_apart", switching::clock_skew),
    ("not_due", switching::not_due),
    ("accepted_elsewhere", switching::accepted_elsewhere),
    ("stalled_elsewhere", switching::stalled_elsewhere),
    ("open_elsewhere", switching::open_elsewhere),
    ("held_after_failure", switching::held_after_failure),
    ("budget_exhausted", turn::budget_exhausted),
    ("waits_for_turn", turn::waits_for_turn),
    ("name_unproved", proof::name_unproved),
    ("name_borne_by_another", proof::borne_by_another),
    ("switch", switching::switch),
];

/// Decides.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Decision {
    let decided = RULES.iter().find_map(|(name, rule)| rule(facts).map(|decision| (*name, decision)));
    let (rule, decision) = decided.unwrap_or_else(|| ("not_looked", access::not_looked()));
    Decision { rule, journal: journal_step(facts, &decision), ..decision }
}

/// A waiting switch that is no longer asked for is cancelled, whatever else is to be said: for that nobody has
/// to be able to reach the platform.
fn journal_step(facts: &Facts<'_>, decision: &Decision) -> JournalStep {
    let waits_in_vain =
        facts.phase() == Some(Phase::Scheduled) && facts.desired() != Some(DesiredMode::Production);
    if waits_in_vain {
        return JournalStep::Cancel;
    }
    match (decision.journal, decision.verdict) {
        (JournalStep::Keep, _) if facts.in_flight() => {
            open_entry::to_be_stored(facts).map_or(JournalStep::Keep, JournalStep::Accept)
        }
        (JournalStep::Keep, Verdict::Stalled(reason)) if !plans_nothing(reason) => {
            switching::plan_to_keep(facts).map_or(JournalStep::Keep, JournalStep::Schedule)
        }
        (step, _) => step,
    }
}

/// Whether nothing is planned for an object that stalls for this reason: it will not act when that is over.
fn plans_nothing(reason: StalledReason) -> bool {
    matches!(reason, StalledReason::UnexpectedTrial | StalledReason::DuplicateTenant)
}

/// The names of the rules, in their order.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

impl Decision {
    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            rule: "",
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
