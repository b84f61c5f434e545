//! The switch budget of a connection: the maximum number of switches in a window of time. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::schedule::Clocks;
use crate::{api::SwitchBudget, cluster::Key, connections::interval, index::CountedAttempt};

/// The window of a budget whose own window is invalid. The API server admits no such budget.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);

/// The precision of a stored time. It has whole seconds, so the attempt was announced up to a second later.
const TIMESTAMP_RESOLUTION: Duration = Duration::from_secs(1);

/// The number of objects that a message about a budget names.
const NAMED: usize = 3;

/// The maximum number of switches in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The number of switches.
    pub count: u32,
    /// The length of the sliding window.
    pub window: Duration,
}

/// How much of a budget is used at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    budget: Budget,
    /// How much longer each attempt counts, and its object. The first to leave the window comes first.
    used: Vec<(SignedDuration, Key)>,
    /// The number of attempts that are about to be announced.
    reserved: usize,
    clocks: Clocks,
}

/// Whether a budget has room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetStatus {
    /// There is room for another switch.
    Room,
    /// There is no room.
    Exhausted(Account),
}

/// A budget that is used up, as one object sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The number of switches that count in the window.
    pub used: usize,
    /// The budget that is used up.
    pub budget: Budget,
    /// The earliest turn of the object. `None`: the budget allows no switch at all.
    pub next: Option<Timestamp>,
    /// Which objects use the budget up.
    pub users: Users,
}

/// The objects whose attempts use a budget up, as one namespace sees them. Other namespaces show only as a number: they
/// may belong to other users, who share nothing but the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Some of the objects of the own namespace.
    pub names: Vec<String>,
    /// The number of further objects in the own namespace.
    pub more: usize,
    /// The number of objects in other namespaces.
    pub in_other_namespaces: usize,
    /// The number of attempts that are about to be announced, in all namespaces.
    pub beginning: usize,
}

impl Budget {
    /// The budget of a connection's spec.
    #[must_use]
    pub fn of(spec: &SwitchBudget) -> Self {
        Self { count: spec.count, window: interval(&spec.window, DEFAULT_WINDOW) }
    }

    /// The beginning of the window. Switches announced after this instant count.
    ///
    /// A window is over when both clocks say so. A clock that jumps ahead makes no room.
    #[must_use]
    pub fn since(&self, clocks: Clocks) -> Timestamp {
        clocks.earlier().checked_sub(self.window + TIMESTAMP_RESOLUTION).unwrap_or(Timestamp::MIN)
    }

    /// The length of the window, for people: `1 h 30 min`.
    #[must_use]
    pub fn window_in_words(&self) -> String {
        let seconds = self.window.as_secs();
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
        let shown = parts.into_iter().filter(|(number, _)| *number > 0);
        shown.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
    }

    /// The account of the budget after these attempts, when `reserved` more are about to be announced.
    #[must_use]
    pub fn account(self, used: Vec<CountedAttempt>, reserved: u32, clocks: Clocks) -> Account {
        let remaining = |used: CountedAttempt| Some((self.remaining(&used, clocks)?, used.object));
        let mut used: Vec<_> = used.into_iter().filter_map(remaining).collect();
        used.sort();
        Account { budget: self, used, reserved: reserved as usize, clocks }
    }

    /// How much longer an attempt counts.
    ///
    /// An attempt announced in the future counts: a clock that was set back must not make room. But no attempt counts
    /// longer than one window of this process's monotonic clock, even if a wall clock says so.
    fn remaining(&self, used: &CountedAttempt, clocks: Clocks) -> Option<SignedDuration> {
        let window = self.counts_for();
        let by_the_clocks = used.at.duration_since(clocks.earlier()).saturating_add(window);
        let counted_for = SignedDuration::try_from(used.counted_for).unwrap_or(SignedDuration::MAX);
        let remaining = by_the_clocks.min(window.saturating_sub(counted_for));
        remaining.is_positive().then_some(remaining)
    }

    /// How long an attempt counts after the second in its journal.
    fn counts_for(&self) -> SignedDuration {
        SignedDuration::try_from(self.window + TIMESTAMP_RESOLUTION).unwrap_or(SignedDuration::MAX)
    }
}

impl Account {
    /// Whether there is room for another switch.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.total() < self.budget.count as usize
    }

    /// Whether the budget has room, with this account if it has none.
    #[must_use]
    pub fn status(self) -> BudgetStatus {
        if self.has_room() { BudgetStatus::Room } else { BudgetStatus::Exhausted(self) }
    }

    /// The number of further switches that have room.
    #[must_use]
    pub fn left(&self) -> usize {
        (self.budget.count as usize).saturating_sub(self.total())
    }

    fn total(&self) -> usize {
        self.used.len() + self.reserved
    }

    /// When an object has room at the earliest, by the controller's clock, if `ahead` others go before it.
    /// `None`: never. The result has no meaning for a budget that has room.
    #[must_use]
    pub fn next(&self, ahead: usize) -> Option<Timestamp> {
        let count = self.budget.count as usize;
        // This many have to leave the window first. The switches that replace them stay for one window, so the pattern
        // repeats with each window.
        let leaving = self.total().saturating_sub(count) + ahead.checked_rem(count)?;
        let rounds = i32::try_from(ahead / count).unwrap_or(i32::MAX);
        let window = self.budget.counts_for();
        // A reserved attempt is announced about now.
        let first = self.used.get(leaving).map_or(window, |(remaining, _)| *remaining);
        let wait = first.saturating_add(window.checked_mul(rounds).unwrap_or(SignedDuration::MAX));
        Some(ceiled(self.clocks.controller.checked_add(wait).unwrap_or(Timestamp::MAX)))
    }

    /// What an object of this namespace reports if `ahead` others go before it.
    #[must_use]
    pub fn exhausted(&self, ahead: usize, namespace: &str) -> Exhausted {
        self.exhausted_by(self.users(namespace), ahead)
    }

    /// The same as [`Account::exhausted`], for users that are known already.
    #[must_use]
    pub fn exhausted_by(&self, users: Users, ahead: usize) -> Exhausted {
        Exhausted { used: self.total(), budget: self.budget, next: self.next(ahead), users }
    }

    /// Which objects use the budget up, as a namespace sees them.
    #[must_use]
    pub fn users(&self, namespace: &str) -> Users {
        let mut users = Users { beginning: self.reserved, ..Users::default() };
        for (_, object) in &self.used {
            if object.namespace() != namespace {
                users.in_other_namespaces += 1;
            } else if users.names.len() < NAMED {
                users.names.push(object.name().to_owned());
            } else {
                users.more += 1;
            }
        }
        users
    }
}

/// Rounds up to whole seconds, as a stored time has. The result is never before the instant.
fn ceiled(at: Timestamp) -> Timestamp {
    let floor = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if floor < at { floor.checked_add(TIMESTAMP_RESOLUTION).unwrap_or(at) } else { floor }
}

#[cfg(test)]
mod tests;
