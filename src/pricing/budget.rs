//! The switch budget of a connection: no more than so many switches in so much time. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::{api::SwitchBudget, connections::interval};

/// The window of a budget whose own makes no sense. The API server lets none of those through.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);

/// A stored time has whole seconds: what it speaks of happened up to a second later.
const GRAIN: Duration = Duration::from_secs(1);

/// No more than so many switches in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The number of switches.
    pub count: u32,
    /// The length of the sliding window.
    pub window: Duration,
}

/// What is left of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is room for another switch.
    Room,
    /// There is none.
    Exhausted(Exhausted),
}

/// A budget that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The switches that were counted in the window.
    pub spent: usize,
    /// The budget.
    pub budget: Budget,
    /// When there is room again, at the earliest. `None`: the budget is no switch at all.
    pub next: Option<Timestamp>,
}

impl Budget {
    /// The budget of a connection's spec.
    #[must_use]
    pub fn of(spec: &SwitchBudget) -> Self {
        Self { count: spec.count, window: interval(&spec.window, DEFAULT_WINDOW) }
    }

    /// Switches announced after this instant count.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.window + GRAIN).unwrap_or(Timestamp::MIN)
    }

    /// How the budget stands after these switches, in order, when `reserved` more are about to be announced.
    ///
    /// What was announced in the future counts: a clock that went back must not open the budget.
    #[must_use]
    pub fn standing(&self, intents: &[Timestamp], reserved: u32, now: Timestamp) -> Standing {
        let old = intents.partition_point(|at| *at <= self.since(now));
        let recent = &intents[old..];
        let (count, reserved) = (self.count as usize, reserved as usize);
        let spent = recent.len() + reserved;
        if spent < count {
            return Standing::Room;
        }
        // So many have to leave the window; what is only reserved will be announced about now.
        let next = (count > 0).then(|| {
            let leaving = recent.get(spent - count).copied().unwrap_or(now);
            leaving.checked_add(self.window + GRAIN).unwrap_or(Timestamp::MAX)
        });
        Standing::Exhausted(Exhausted { spent, budget: *self, next })
    }
}
