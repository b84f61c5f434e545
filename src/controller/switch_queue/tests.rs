//! The order in a switch queue, the admissions, and the reports of waiting objects.

mod properties;
mod reports;

use futures::FutureExt;

use super::*;
use crate::pricing::{TenantRead, budget::Budget, schedule::Clocks};

const LIMITS: Limits =
    Limits { budget: Budget { count: 1, window: Duration::from_hours(1) }, requests_per_second: 10 };

fn key(name: &str) -> Key {
    Key::new("team", name)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn read() -> TimedRead {
    let now = Instant::now();
    TimedRead {
        read: TenantRead::NotRead,
        started_at: now,
        received_at: now,
        through: key("connection"),
        spec: None,
    }
}

fn due(second: i64) -> DueSwitch {
    DueSwitch { due: at(second), said: None, read: read() }
}

fn queue(entries: &[(&str, i64)]) -> SwitchQueue {
    let queue = SwitchQueue::new(LIMITS);
    for (name, since) in entries {
        queue.enter(&key(name), due(*since), LIMITS, Instant::now());
    }
    queue
}

fn always(_: &Key, _: u32) -> BudgetStatus {
    BudgetStatus::Room
}

/// A budget that one attempt uses up.
fn exhausted() -> BudgetStatus {
    let budget = LIMITS.budget.account(Vec::new(), 1, Clocks { controller: at(0), platform: at(0) }).status();
    assert_ne!(budget, BudgetStatus::Room);
    budget
}

/// The names of the admitted objects in order, and their permits.
fn drained(queue: &SwitchQueue, most: usize) -> (Vec<String>, Vec<SwitchPermit>) {
    let admitted = std::iter::from_fn(|| queue.admit(most, always).admitted);
    admitted.map(|admitted| (admitted.key.name().to_owned(), admitted.permit)).unzip()
}

fn has_changed(queue: &SwitchQueue) -> bool {
    queue.changed().now_or_never().is_some()
}

impl SwitchQueue {
    fn position(&self, name: &str) -> Option<usize> {
        self.shared.state.lock().position(&key(name))
    }

    fn len(&self) -> usize {
        self.shared.state.lock().waiting.len()
    }
}

#[test]
fn the_switch_due_first_goes_first_then_the_first_by_name() {
    let queue = queue(&[("c", 20), ("b", 10), ("d", 20), ("a", 30), ("e", 10)]);
    let positions = ["b", "e", "c", "d", "a"].map(|name| queue.position(name));
    assert_eq!(positions, [0, 1, 2, 3, 4].map(Some));
    assert_eq!(queue.position("x"), None);
    assert_eq!(drained(&queue, 9).0, ["b", "e", "c", "d", "a"]);
    assert_eq!(queue.len(), 0);
}

#[test]
fn entering_again_keeps_the_earlier_place() {
    let queue = queue(&[("a", 20), ("b", 10), ("b", 30), ("b", 10)]);
    assert_eq!((queue.position("b"), queue.len()), (Some(0), 2));
    let enter = |name, since| queue.enter(&key(name), due(since), LIMITS, Instant::now());
    enter("a", 5);
    assert_eq!((queue.position("a"), queue.len()), (Some(0), 2));
    assert_eq!(drained(&queue, 9).0, ["a", "b"]);
    // An object that left returns at its own time.
    enter("b", 30);
    enter("a", 40);
    assert_eq!(queue.position("b"), Some(0));
}

#[test]
fn when_one_leaves_the_others_move_up() {
    let queue = queue(&[("a", 1), ("b", 2), ("c", 3)]);
    queue.leave(&key("b"));
    queue.leave(&key("x"));
    assert_eq!(["a", "b", "c"].map(|name| queue.position(name)), [Some(0), None, Some(1)]);
}

#[test]
fn no_more_permits_are_out_than_allowed() {
    let queue = queue(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let (names, mut permits) = drained(&queue, 2);
    assert_eq!(names, ["a", "b"]);
    assert!(queue.admit(2, always).admitted.is_none());
    permits[0].commit();
    assert!(queue.admit(2, always).admitted.is_none(), "its request is still under way");
    permits.pop();
    let (names, third) = drained(&queue, 2);
    assert_eq!(names, ["c"]);
    drop((permits, third));
    assert_eq!(drained(&queue, 1).0, ["d"], "all are given back");
}

#[test]
fn the_head_alone_is_asked_for_and_waits_for_the_budget() {
    let queue = queue(&[("a", 1), ("b", 2)]);
    let exhausted = exhausted();
    let decision = queue.admit(9, |head, reserved| {
        assert_eq!((head, reserved), (&key("a"), 0));
        exhausted.clone()
    });
    assert!(decision.admitted.is_none());
    assert_eq!((decision.budget, queue.position("a")), (exhausted.clone(), Some(0)));
    // The state of the budget is returned even if no permit is left.
    assert_eq!(queue.admit(0, |_, _| exhausted.clone()).budget, exhausted);
    let nothing = SwitchQueue::new(LIMITS).admit(9, |_, _| panic!("nothing waits"));
    assert!(nothing.admitted.is_none() && nothing.budget == BudgetStatus::Room);
}

#[test]
fn a_permit_reserves_until_it_is_committed_or_given_back() {
    let queue = queue(&[("a", 1), ("b", 2), ("c", 3)]);
    let reserved = || {
        let mut seen = None;
        _ = queue.admit(0, |_, reserved| {
            seen = Some(reserved);
            BudgetStatus::Room
        });
        seen.unwrap()
    };
    let mut permits = drained(&queue, 2).1;
    assert_eq!(reserved(), 2);
    permits[0].commit();
    permits[0].commit();
    assert_eq!(reserved(), 1);
    drop(permits.remove(0));
    assert_eq!(reserved(), 1, "it was announced, and is counted elsewhere");
    drop(permits);
    assert_eq!(reserved(), 0);
}

#[test]
fn the_dispatcher_is_notified_of_each_change() {
    let queue = SwitchQueue::new(LIMITS);
    let enter = |name| queue.enter(&key(name), due(1), LIMITS, Instant::now());
    assert!(!has_changed(&queue));
    enter("a");
    assert!(has_changed(&queue) && !has_changed(&queue));
    enter("a");
    assert!(has_changed(&queue), "nothing moved, but there is another read to report");
    queue.leave(&key("x"));
    assert!(!has_changed(&queue), "nothing moved");
    let admitted = queue.admit(1, always).admitted;
    assert!(!has_changed(&queue), "the dispatcher itself admitted it");
    drop(admitted);
    assert!(has_changed(&queue), "a permit was given back");
    enter("b");
    queue.leave(&key("b"));
    assert!(has_changed(&queue));
    queue.notify();
    assert!(has_changed(&queue));
}

#[test]
fn ten_thousand_that_are_due_at_once_keep_their_order() {
    let queue = SwitchQueue::new(LIMITS);
    // In no particular order: 7919 is a prime.
    for number in 0..10_000_u32 {
        let name = format!("{:05}", number * 7919 % 10_000);
        queue.enter(&key(&name), due(1), LIMITS, Instant::now());
    }
    assert_eq!(queue.position("07777"), Some(7777));
    let (names, _permits) = drained(&queue, usize::MAX);
    assert!(names.len() == 10_000 && names.is_sorted());
}

/// The permit counts the attempts that others are about to announce, and not its own.
#[test]
fn a_permit_counts_the_uncommitted_permits_of_others() {
    let queue = queue(&[("a", 1), ("b", 2), ("c", 3)]);
    let (_, mut permits) = drained(&queue, 9);
    let others = |permits: &[SwitchPermit]| permits.iter().map(SwitchPermit::others).collect::<Vec<_>>();
    assert_eq!(others(&permits), [2, 2, 2]);
    permits[0].commit();
    assert_eq!(others(&permits), [2, 1, 1], "what is announced is counted elsewhere");
    permits.truncate(1);
    assert_eq!(others(&permits), [0]);
}

#[test]
fn what_enters_last_sets_the_limits() {
    let queue = queue(&[("a", 1)]);
    let limits = Limits { requests_per_second: 1, ..LIMITS };
    queue.enter(&key("b"), due(2), limits, Instant::now());
    assert_eq!(queue.limits().requests_per_second, 1);
}
