//! How much of a budget is used up, with clocks that agree and clocks that do not.

use super::*;

const BUDGET: Budget = Budget { count: 3, window: Duration::from_secs(60) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// Two clocks that show the same time.
fn both(second: i64) -> Clocks {
    Clocks { controller: at(second), platform: at(second) }
}

fn used(second: i64) -> CountedAttempt {
    CountedAttempt {
        at: at(second),
        counted_for: Duration::ZERO,
        object: Key::new("team", &format!("at-{second}")),
    }
}

fn account(budget: Budget, intents: &[i64], reserved: u32, clocks: Clocks) -> Account {
    budget.account(intents.iter().map(|second| used(*second)).collect(), reserved, clocks)
}

/// The number of counted switches, and the earliest turn of the first in the queue. `None`: there is room.
fn status(budget: Budget, intents: &[i64], reserved: u32, now: i64) -> Option<(usize, Timestamp)> {
    let account = account(budget, intents, reserved, both(now));
    match account.clone().status() {
        BudgetStatus::Room => {
            assert!(account.has_room() && account.left() > 0);
            None
        }
        BudgetStatus::Exhausted(account) => {
            Some((account.exhausted(0, "team").used, account.next(0).unwrap()))
        }
    }
}

#[allow(clippy::unnecessary_wraps)] // what `status` returns
fn exhausted(used: usize, next: i64) -> Option<(usize, Timestamp)> {
    Some((used, at(next)))
}

#[test]
fn room_ends_at_the_count_and_returns_when_the_oldest_leaves() {
    assert_eq!(status(BUDGET, &[], 0, 0), None);
    assert_eq!(status(BUDGET, &[0, 10], 0, 20), None);
    assert_eq!(status(BUDGET, &[0, 10, 20], 0, 20), exhausted(3, 61));
    assert_eq!(status(BUDGET, &[0, 10, 20], 0, 60), exhausted(3, 61));
    assert_eq!(status(BUDGET, &[0, 10, 20], 0, 61), None);
}

#[test]
fn the_next_goes_when_enough_have_left_not_when_the_first_has() {
    // Five switches were made before the budget was lowered to three.
    assert_eq!(status(BUDGET, &[0, 1, 2, 3, 4], 0, 30), exhausted(5, 2 + 61));
    assert_eq!(status(BUDGET, &[0, 1, 2, 3, 4], 0, 63), None);
}

#[test]
fn what_is_reserved_counts_as_made_now() {
    assert_eq!(status(BUDGET, &[0, 10], 1, 20), exhausted(3, 61));
    assert_eq!(status(BUDGET, &[0], 1, 20), None);
    assert_eq!(status(BUDGET, &[], 3, 20), exhausted(3, 20 + 61));
    assert_eq!(status(BUDGET, &[0], 4, 20), exhausted(5, 20 + 61));
}

#[test]
fn a_clock_that_went_back_opens_nothing() {
    assert_eq!(account(BUDGET, &[500, 510, 520], 0, both(0)).left(), 0);
}

#[test]
fn a_clock_that_jumps_ahead_alone_opens_nothing() {
    for (controller, platform, has_room) in
        [(4000, 30, false), (30, 4000, false), (4000, 4000, true), (60, 61, false)]
    {
        let clocks = Clocks { controller: at(controller), platform: at(platform) };
        let account = account(BUDGET, &[0, 10, 20], 0, clocks);
        assert_eq!(account.has_room(), has_room, "{controller} {platform}");
    }
}

#[test]
fn the_time_named_is_the_controllers_also_if_the_clocks_differ() {
    // By the platform's clock 51 s are left of the window.
    let clocks = Clocks { controller: at(1000), platform: at(10) };
    assert_eq!(account(BUDGET, &[0, 10, 20], 0, clocks).next(0), Some(at(1000 + 51)));
    // An attempt announced by a clock that was ahead leaves after one window of this process.
    let ahead = [500, 510, 520].map(used).to_vec();
    assert_eq!(BUDGET.account(ahead, 0, both(0)).next(0), Some(at(61)));
}

#[test]
fn nothing_counts_longer_than_a_window_of_this_process() {
    for (counted_for, left) in [(0, 0), (60, 0), (61, 3), (100_000, 3)] {
        let year = 31_536_000;
        let counted_for = Duration::from_secs(counted_for);
        let ahead = [year, year + 1, year + 2].map(|second| CountedAttempt { counted_for, ..used(second) });
        assert_eq!(BUDGET.account(ahead.to_vec(), 0, both(0)).left(), left, "{counted_for:?}");
    }
}

#[test]
fn a_clock_that_stays_behind_shuts_it_for_one_window() {
    // The platform's clock is two hours behind the controller's, by which everything was announced.
    let clocks = |now: i64| Clocks { controller: at(now), platform: at(now - 7200) };
    let counted = |now: u64| {
        [0, 10, 20].map(|second| CountedAttempt { counted_for: Duration::from_secs(now), ..used(second) })
    };
    assert!(!BUDGET.account(counted(60).to_vec(), 0, clocks(80)).has_room());
    assert!(BUDGET.account(counted(61).to_vec(), 0, clocks(81)).has_room());
}

#[test]
fn no_window_ever_holds_more_than_the_count() {
    // The admitted switches are counted in every window by their true instants. The store keeps whole seconds of
    // them.
    let mut let_through: Vec<Timestamp> = Vec::new();
    for step in 0..2000_i64 {
        let now = Timestamp::from_millisecond(1_000_000_000 + step * 137).unwrap();
        let stored = let_through
            .iter()
            .map(|at| CountedAttempt { at: Timestamp::from_second(at.as_second()).unwrap(), ..used(0) });
        let clocks = Clocks { controller: now, platform: now };
        if BUDGET.account(stored.collect(), 0, clocks).has_room() {
            let_through.push(now);
        }
    }
    assert!(let_through.len() > 10);
    for four in let_through.windows(4) {
        assert!(four[3].duration_since(four[0]) >= BUDGET.window.try_into().unwrap(), "{four:?}");
    }
}

#[test]
fn each_in_the_queue_is_named_the_time_of_its_own_turn() {
    let account = account(BUDGET, &[0, 10, 20], 0, both(20));
    let turns = [0, 1, 2, 3, 4, 6, 300].map(|ahead| account.next(ahead).unwrap());
    assert_eq!(turns, [61, 71, 81, 122, 132, 183, 61 + 100 * 61].map(at));
}

#[test]
fn the_turns_named_are_those_that_come() {
    // Waiting switches start as soon as there is room, each at the time that was first reported for it.
    let mut made = vec![0, 7, 8];
    let named: Vec<_> =
        (0..10).map(|ahead| account(BUDGET, &made, 0, both(10)).next(ahead).unwrap()).collect();
    for (now, turn) in (10..).scan(0, |went, now| {
        let went_before = *went;
        while account(BUDGET, &made, 0, both(now)).has_room() {
            made.push(now);
            *went += 1;
        }
        (*went < 10).then_some((now, went_before..*went))
    }) {
        for one in turn {
            assert_eq!(named[one], at(now), "{one}");
        }
    }
}

#[test]
fn a_budget_of_nothing_has_no_next() {
    let nothing = Budget { count: 0, ..BUDGET };
    let exhausted = account(nothing, &[], 0, both(0)).exhausted(5, "team");
    assert_eq!((exhausted.used, exhausted.next), (0, None));
}

#[test]
fn three_of_the_own_namespace_are_named_and_others_counted() {
    let of = |namespace: &str, name: &str| CountedAttempt { object: Key::new(namespace, name), ..used(0) };
    let used = ["b", "a", "d", "c", "e"].map(|name| of("team", name)).into_iter();
    let used: Vec<_> = used.chain(["x", "y"].map(|name| of("secret", name))).collect();
    let account = BUDGET.account(used, 1, both(0));
    let users = account.users("team");
    assert_eq!(users.names, ["a", "b", "c"]);
    assert_eq!((users.more, users.in_other_namespaces, users.beginning), (2, 2, 1));
    let others = account.users("a-third");
    assert_eq!((others.names.len(), others.more, others.in_other_namespaces), (0, 0, 7));
}

#[test]
fn it_is_read_from_the_spec_and_said_in_words() {
    for (window, seconds, words) in [
        ("1h", 3600, "1 h"),
        ("744h", 2_678_400, "744 h"),
        ("1h30m", 5400, "1 h 30 min"),
        ("90s", 90, "1 min 30 s"),
        ("24h0m5s", 86_405, "24 h 5 s"),
        // The API server rejects this window.
        ("soon", 3600, "1 h"),
    ] {
        let budget = Budget::of(&SwitchBudget { count: 7, window: window.to_owned() });
        assert_eq!(budget, Budget { count: 7, window: Duration::from_secs(seconds) }, "{window}");
        assert_eq!(budget.window_in_words(), words);
    }
}
