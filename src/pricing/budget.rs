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

    /// The length of the window, for people: `1 h 30 min`.
    #[must_use]
    pub fn window_in_words(&self) -> String {
        let seconds = self.window.as_secs();
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
        let said = parts.into_iter().filter(|(number, _)| *number > 0);
        said.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
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
        // So many have to leave the window; what is only reserved is announced about now.
        let next = (count > 0).then(|| {
            let about_now = || Timestamp::from_second(now.as_second()).unwrap_or(now);
            let leaving = recent.get(spent - count).copied().unwrap_or_else(about_now);
            leaving.checked_add(self.window + GRAIN).unwrap_or(Timestamp::MAX)
        });
        Standing::Exhausted(Exhausted { spent, budget: *self, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { count: 3, window: Duration::from_secs(60) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn standing(budget: Budget, intents: &[i64], reserved: u32, now: i64) -> Standing {
        let intents: Vec<_> = intents.iter().map(|second| at(*second)).collect();
        budget.standing(&intents, reserved, at(now))
    }

    fn exhausted(spent: usize, next: i64) -> Standing {
        Standing::Exhausted(Exhausted { spent, budget: BUDGET, next: Some(at(next)) })
    }

    #[test]
    fn there_is_room_until_the_count_is_reached_and_again_when_the_oldest_leaves() {
        assert_eq!(standing(BUDGET, &[], 0, 0), Standing::Room);
        assert_eq!(standing(BUDGET, &[0, 10], 0, 20), Standing::Room);
        assert_eq!(standing(BUDGET, &[0, 10, 20], 0, 20), exhausted(3, 61));
        assert_eq!(standing(BUDGET, &[0, 10, 20], 0, 60), exhausted(3, 61));
        assert_eq!(standing(BUDGET, &[0, 10, 20], 0, 61), Standing::Room);
    }

    #[test]
    fn the_next_goes_when_enough_have_left_not_when_the_first_has() {
        // Five were made before the budget was lowered to three.
        assert_eq!(standing(BUDGET, &[0, 1, 2, 3, 4], 0, 30), exhausted(5, 2 + 61));
        assert_eq!(standing(BUDGET, &[0, 1, 2, 3, 4], 0, 63), Standing::Room);
    }

    #[test]
    fn what_is_reserved_counts_as_made_now() {
        assert_eq!(standing(BUDGET, &[0, 10], 1, 20), exhausted(3, 61));
        assert_eq!(standing(BUDGET, &[0], 1, 20), Standing::Room);
        assert_eq!(standing(BUDGET, &[], 3, 20), exhausted(3, 20 + 61));
        assert_eq!(standing(BUDGET, &[0], 4, 20), exhausted(5, 20 + 61));
    }

    #[test]
    fn a_clock_that_went_back_opens_nothing() {
        assert_eq!(standing(BUDGET, &[500, 510, 520], 0, 0), exhausted(3, 561));
    }

    #[test]
    fn no_window_ever_holds_more_than_the_count() {
        // Whatever is asked when: what was let through is counted in every window, by the true instants, of which
        // the store keeps whole seconds.
        let mut let_through: Vec<Timestamp> = Vec::new();
        for step in 0..2000_i64 {
            let now = Timestamp::from_millisecond(1_000_000_000 + step * 137).unwrap();
            let stored: Vec<_> =
                let_through.iter().map(|at| Timestamp::from_second(at.as_second()).unwrap()).collect();
            if BUDGET.standing(&stored, 0, now) == Standing::Room {
                let_through.push(now);
            }
        }
        assert!(let_through.len() > 10);
        for four in let_through.windows(4) {
            assert!(four[3].duration_since(four[0]) >= BUDGET.window.try_into().unwrap(), "{four:?}");
        }
    }

    #[test]
    fn a_budget_of_nothing_has_no_next() {
        let nothing = Budget { count: 0, ..BUDGET };
        let Standing::Exhausted(exhausted) = standing(nothing, &[], 0, 0) else { panic!("there is room") };
        assert_eq!((exhausted.spent, exhausted.next), (0, None));
    }

    #[test]
    fn it_is_read_from_the_spec_and_said_in_words() {
        for (window, seconds, words) in [
            ("1h", 3600, "1 h"),
            ("744h", 2_678_400, "744 h"),
            ("1h30m", 5400, "1 h 30 min"),
            ("90s", 90, "1 min 30 s"),
            ("24h0m5s", 86_405, "24 h 5 s"),
            // Let through by nobody.
            ("soon", 3600, "1 h"),
        ] {
            let budget = Budget::of(&SwitchBudget { count: 7, window: window.to_owned() });
            assert_eq!(budget, Budget { count: 7, window: Duration::from_secs(seconds) }, "{window}");
            assert_eq!(budget.window_in_words(), words);
        }
    }
}
