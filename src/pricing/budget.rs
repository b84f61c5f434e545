//! The switch budget of a connection: no more than so many switches in so much time. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::schedule::Clocks;
use crate::{api::SwitchBudget, cluster::Key, connections::interval, index::CountedAttempt};

/// The window of a budget whose own makes no sense. The API server lets none of those through.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);

/// A stored time has whole seconds: what it speaks of happened up to a second later.
const GRAIN: Duration = Duration::from_secs(1);

/// The number of objects that a message about a budget names.
const NAMED: usize = 3;

/// No more than so many switches in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The number of switches.
    pub count: u32,
    /// The length of the sliding window.
    pub window: Duration,
}

/// How a budget stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    budget: Budget,
    /// For how much longer each attempt counts, and its object. The first to leave comes first.
    spent: Vec<(SignedDuration, Key)>,
    /// The number of attempts that are about to be announced.
    reserved: usize,
    clocks: Clocks,
}

/// What is left of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is room for another switch.
    Room,
    /// There is none.
    Exhausted(Account),
}

/// A budget that is used up, as one object sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The switches that were counted in the window.
    pub spent: usize,
    /// The budget.
    pub budget: Budget,
    /// When the turn of the object comes, at the earliest. `None`: the budget is no switch at all.
    pub next: Option<Timestamp>,
    /// Who uses it up.
    pub users: Users,
}

/// The objects whose attempts use a budget up, as they are shown to one namespace. Of other namespaces only the number
/// is shown: they may belong to others, who share the connection and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Some of the objects of the own namespace.
    pub names: Vec<String>,
    /// How many more of it.
    pub more: usize,
    /// How many of other namespaces.
    pub elsewhere: usize,
    /// How many attempts are about to be announced, of any namespace.
    pub beginning: usize,
}

impl Budget {
    /// The budget of a connection's spec.
    #[must_use]
    pub fn of(spec: &SwitchBudget) -> Self {
        Self { count: spec.count, window: interval(&spec.window, DEFAULT_WINDOW) }
    }

    /// Switches announced after this instant count.
    ///
    /// A window has passed when both clocks say so: a clock that jumps ahead opens nothing.
    #[must_use]
    pub fn since(&self, clocks: Clocks) -> Timestamp {
        clocks.earlier().checked_sub(self.window + GRAIN).unwrap_or(Timestamp::MIN)
    }

    /// The length of the window, for people: `1 h 30 min`.
    #[must_use]
    pub fn window_in_words(&self) -> String {
        let seconds = self.window.as_secs();
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
        let said = parts.into_iter().filter(|(number, _)| *number > 0);
        said.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
    }

    /// How the budget stands after these attempts, when `reserved` more are about to be announced.
    #[must_use]
    pub fn account(self, spent: Vec<CountedAttempt>, reserved: u32, clocks: Clocks) -> Account {
        let remaining = |spent: CountedAttempt| Some((self.remaining(&spent, clocks)?, spent.object));
        let mut spent: Vec<_> = spent.into_iter().filter_map(remaining).collect();
        spent.sort();
        Account { budget: self, spent, reserved: reserved as usize, clocks }
    }

    /// For how much longer an attempt counts.
    ///
    /// What was announced in the future counts: a clock that went back must not open the budget. But nothing counts for
    /// longer than one whole window of this process, whatever a wall clock says.
    fn remaining(&self, spent: &CountedAttempt, clocks: Clocks) -> Option<SignedDuration> {
        let window = self.counts_for();
        let by_the_clocks = spent.at.duration_since(clocks.earlier()).saturating_add(window);
        let counted_for = SignedDuration::try_from(spent.counted_for).unwrap_or(SignedDuration::MAX);
        let remaining = by_the_clocks.min(window.saturating_sub(counted_for));
        remaining.is_positive().then_some(remaining)
    }

    /// For so long an attempt counts after the second that its journal says.
    fn counts_for(&self) -> SignedDuration {
        SignedDuration::try_from(self.window + GRAIN).unwrap_or(SignedDuration::MAX)
    }
}

impl Account {
    /// Whether there is room for another switch.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.total() < self.budget.count as usize
    }

    /// What is left.
    #[must_use]
    pub fn standing(self) -> Standing {
        if self.has_room() { Standing::Room } else { Standing::Exhausted(self) }
    }

    /// How many more switches have room.
    #[must_use]
    pub fn left(&self) -> usize {
        (self.budget.count as usize).saturating_sub(self.total())
    }

    fn total(&self) -> usize {
        self.spent.len() + self.reserved
    }

    /// When an object has room at the earliest, by the controller's clock, if `ahead` others go before it.
    /// `None`: never. Of a budget that has room this says nothing.
    #[must_use]
    pub fn next(&self, ahead: usize) -> Option<Timestamp> {
        let count = self.budget.count as usize;
        // These have to leave the window first. Those that go then stay in it for one window, so it repeats itself.
        let leaving = self.total().saturating_sub(count) + ahead.checked_rem(count)?;
        let rounds = i32::try_from(ahead / count).unwrap_or(i32::MAX);
        let window = self.budget.counts_for();
        // What is only reserved is announced about now.
        let first = self.spent.get(leaving).map_or(window, |(remaining, _)| *remaining);
        let wait = first.saturating_add(window.checked_mul(rounds).unwrap_or(SignedDuration::MAX));
        Some(ceiled(self.clocks.controller.checked_add(wait).unwrap_or(Timestamp::MAX)))
    }

    /// What an object of this namespace is to say if `ahead` others go before it.
    #[must_use]
    pub fn exhausted(&self, ahead: usize, namespace: &str) -> Exhausted {
        self.exhausted_by(self.users(namespace), ahead)
    }

    /// The same, by users that are known already.
    #[must_use]
    pub fn exhausted_by(&self, users: Users, ahead: usize) -> Exhausted {
        Exhausted { spent: self.total(), budget: self.budget, next: self.next(ahead), users }
    }

    /// Who uses it up, as it is shown to a namespace.
    #[must_use]
    pub fn users(&self, namespace: &str) -> Users {
        let mut users = Users { beginning: self.reserved, ..Users::default() };
        for (_, object) in &self.spent {
            if object.namespace() != namespace {
                users.elsewhere += 1;
            } else if users.names.len() < NAMED {
                users.names.push(object.name().to_owned());
            } else {
                users.more += 1;
            }
        }
        users
    }
}

/// A stored time has whole seconds: never before the instant itself.
fn ceiled(at: Timestamp) -> Timestamp {
    let floor = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if floor < at { floor.checked_add(GRAIN).unwrap_or(at) } else { floor }
}

#[cfg(test)]
mod tests;
