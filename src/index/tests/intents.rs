//! What counts against a budget.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::*;
use crate::pricing::{budget::Budget, schedule::Clocks};

/// An object whose journal announces an attempt `at` seconds after [`NOW`].
fn announced(name: &str, at: i64) -> TenantPricing {
    let mut scene = Scene::new().pricing("trial");
    scene.now = later(at);
    scene.read = Scene::new().pricing("trial").seen(|seen| seen.date = Some(later(at))).read;
    assert!(matches!(scene.decide().verdict, Verdict::Switch { .. }));
    object(scene.announced(&format!("attempt-at-{at}")), name, 0)
}

fn later(seconds: i64) -> Timestamp {
    instant(NOW) + SignedDuration::from_secs(seconds)
}

/// The same object with a closed journal: the attempt is known to have had no effect.
fn closed(name: &str, at: i64) -> TenantPricing {
    let mut object = announced(name, at);
    object.status.as_mut().unwrap().switch.as_mut().unwrap().phase = Phase::Scheduled;
    object
}

/// The attempts of the last hour before `now` that count, as seconds after [`NOW`].
fn used(index: &Index, now: i64) -> Vec<i64> {
    used_through(index, "default", now)
}

fn used_through(index: &Index, connection: &str, now: i64) -> Vec<i64> {
    let after = later(now - 3600).as_second();
    let used = index.inner.lock().budget_usage.since(&key(connection), after, Instant::now());
    used.iter().map(|used| used.at.duration_since(instant(NOW)).as_secs()).collect()
}

/// This process announces an attempt for an object.
fn record_attempt(index: &Index, name: &str, attempt: &str, at: Timestamp) {
    index.record_attempt(&scheduled(name, 0), attempt, at);
}

#[test]
fn the_stored_journals_count_against_the_budget() {
    let index = Index::default();
    for (name, at) in [("three", 30), ("one", 10), ("two", 20)] {
        apply(&index, &announced(name, at));
    }
    apply(&index, &scheduled("waiting", 0));
    assert_eq!(used(&index, 60), [10, 20, 30]);
    assert_eq!(used(&index, 3610), [20, 30], "the edge of the window is outside");
    assert_eq!(used(&index, 4000), [0; 0]);
    assert_eq!(used_through(&index, "eu2", 60), [0; 0]);
}

#[test]
fn two_in_the_same_second_are_two() {
    let index = Index::default();
    apply(&index, &announced("one", 10));
    apply(&index, &announced("two", 10));
    assert_eq!(used(&index, 60), [10, 10]);
}

#[test]
fn what_this_process_announced_counts_at_once_and_once() {
    let index = Index::default();
    apply(&index, &scheduled("one", 0));
    let at = later(10) + SignedDuration::from_millis(700);
    record_attempt(&index, "one", "attempt-at-10", at);
    assert_eq!(used(&index, 60), [10]);
    apply(&index, &scheduled("one", 0));
    assert_eq!(used(&index, 60), [10], "the watch is behind");
    apply(&index, &announced("one", 10));
    assert_eq!(used(&index, 60), [10], "the watch has delivered it");
    apply(&index, &scheduled("one", 0));
    assert_eq!(used(&index, 60), [10], "others may have wiped it");
}

#[test]
fn a_cancelled_attempt_gives_its_place_back() {
    let index = Index::default();
    let (before, open) = (scheduled("one", 0), announced("one", 10));
    for is_late in [false, true] {
        apply(&index, &before);
        record_attempt(&index, "one", "attempt-at-10", later(10));
        if !is_late {
            apply(&index, &open);
        }
        index.returned(&open, true);
        assert_eq!(used(&index, 60), [0; 0], "this process knows");
        apply(&index, &before);
        if is_late {
            apply(&index, &open);
            assert_eq!(used(&index, 60), [0; 0], "the watch is behind");
            apply(&index, &before);
        }
        assert_eq!(used(&index, 60), [0; 0]);
    }
}

/// An open attempt whose end had no effect. Whether that is stored is not known, so the place is still used.
fn ended_without_certain_answer() -> (Index, TenantPricing) {
    let index = Index::default();
    let open = announced("one", 10);
    apply(&index, &open);
    index.returned(&open, false);
    assert_eq!(used(&index, 60), [10], "another process would count it");
    (index, open)
}

#[test]
fn a_lost_answer_to_a_cancellation_keeps_no_place() {
    let (index, _) = ended_without_certain_answer();
    apply(&index, &scheduled("one", 0));
    assert_eq!((used(&index, 60), index.take_freed_budgets()), (vec![], [key("default")].into()));
}

/// The same object with a completed attempt.
fn completed(name: &str, at: i64) -> TenantPricing {
    let mut object = announced(name, at);
    object.status.as_mut().unwrap().switch.as_mut().unwrap().phase = Phase::Completed;
    object
}

/// The same object with a status that others wrote.
fn with_status_of(object: &TenantPricing, other: Option<&TenantPricing>) -> TenantPricing {
    let status = other.and_then(|other| other.status.clone());
    TenantPricing { status, ..object.clone() }
}

#[test]
fn a_foreign_status_gives_no_place_back() {
    let waiting = scheduled("one", 0);
    let older =
        [Some(closed("one", 5)), Some(announced("one", 5)), Some(completed("one", 5)), Some(waiting), None];
    for attempt in [announced("one", 10), completed("one", 10)] {
        for foreign in &older {
            let index = Index::default();
            apply(&index, &attempt);
            apply(&index, &with_status_of(&attempt, foreign.as_ref()));
            assert_eq!((used(&index, 60), index.take_freed_budgets()), (vec![10], [].into()), "{foreign:?}");
            apply(&index, &attempt);
            assert_eq!(
                (used(&index, 60), index.take_freed_budgets()),
                (vec![10], [].into()),
                "repaired after {foreign:?}"
            );
        }
    }
}

#[test]
fn a_foreign_status_before_the_own_one_is_shown() {
    let index = Index::default();
    apply(&index, &closed("one", 5));
    record_attempt(&index, "one", "attempt-at-10", later(10));
    for foreign in [None, Some(&closed("one", 5)), Some(&announced("one", 5))] {
        apply(&index, &with_status_of(&announced("one", 10), foreign));
        assert_eq!(used(&index, 60), [10], "{foreign:?}");
    }
    apply(&index, &announced("one", 10));
    assert_eq!(used(&index, 60), [10]);
}

#[test]
fn what_was_wiped_and_is_closed_then_gives_its_place_back() {
    let index = Index::default();
    let open = announced("one", 10);
    apply(&index, &open);
    apply(&index, &with_status_of(&open, None));
    apply(&index, &closed("one", 10));
    assert_eq!((used(&index, 60), index.take_freed_budgets()), (vec![], [key("default")].into()));
    // The tenant is found in production afterwards, so the attempt may have taken effect after all.
    apply(&index, &completed("one", 10));
    assert_eq!(used(&index, 60), [10]);
}

#[test]
fn a_hundred_wiped_statuses_keep_their_places() {
    let index = Index::default();
    let all: Vec<_> = (1..=100).map(|at| completed(&format!("tenant-{at}"), at)).collect();
    let expected: Vec<i64> = (1..=100).collect();
    for object in &all {
        apply(&index, object);
    }
    for object in &all {
        apply(&index, &with_status_of(object, None));
        assert_eq!((used(&index, 200), index.take_freed_budgets()), (expected.clone(), [].into()));
    }
    for object in &all {
        apply(&index, object);
        assert_eq!(used(&index, 200), expected, "mended");
    }
}

#[test]
fn a_wiped_object_that_is_deleted_stays_spent() {
    let index = Index::default();
    let done = completed("one", 10);
    apply(&index, &done);
    apply(&index, &with_status_of(&done, None));
    _ = index.remove(&key("one"));
    assert_eq!(used(&index, 60), [10]);
}

#[test]
fn an_object_created_again_with_its_status_counts_once() {
    let done = completed("one", 10);
    let mut again = done.clone();
    again.metadata.uid = Some("created again".to_owned());
    for is_seen_gone in [true, false] {
        let index = Index::default();
        apply(&index, &done);
        if is_seen_gone {
            _ = index.remove(&key("one"));
        }
        apply(&index, &with_status_of(&again, None));
        assert_eq!(used(&index, 60), [10]);
        apply(&index, &again);
        assert_eq!(used(&index, 60), [10], "restored from a backup");
        apply(&index, &with_status_of(&again, None));
        assert_eq!(used(&index, 60), [10], "wiped");
    }
}

#[test]
fn a_changed_time_makes_no_second_place() {
    let index = Index::default();
    let open = announced("one", 10);
    for later_or_earlier in [20, 5] {
        let mut changed = open.clone();
        let journal = changed.status.as_mut().unwrap().switch.as_mut().unwrap();
        journal.intent_at = Some(Time(later(later_or_earlier)));
        apply(&index, &open);
        apply(&index, &changed);
        assert_eq!(used(&index, 60), [10]);
        apply(&index, &open);
        assert_eq!(used(&index, 60), [10]);
    }
}

#[test]
fn a_wiped_place_counts_no_longer_than_one_window() {
    let (index, begun) = (Index::default(), Instant::now());
    let open = announced("one", 31_536_000);
    let budget = Budget { count: 1, window: Duration::from_mins(1) };
    let clocks = Clocks { controller: later(0), platform: later(0) };
    let has_room = |after: u64| {
        crate::pricing::account(
            &index,
            &key("default"),
            budget,
            0,
            clocks,
            begun + Duration::from_secs(after),
        )
        .has_room()
    };
    apply(&index, &open);
    assert!(!has_room(0));
    apply(&index, &with_status_of(&open, None));
    assert!(!has_room(40));
    apply(&index, &open);
    assert_eq!([60, 61].map(has_room), [false, true], "the repair does not restart the window");
}

#[test]
fn another_attempt_takes_the_place_of_the_last() {
    let index = Index::default();
    apply(&index, &closed("one", 10));
    apply(&index, &announced("two", 20));
    assert_eq!(used(&index, 60), [20], "the first had no effect");
    record_attempt(&index, "one", "attempt-at-30", later(30));
    assert_eq!(used(&index, 60), [20, 30]);
    apply(&index, &closed("one", 10));
    assert_eq!(used(&index, 60), [20, 30], "the watch is behind");
    apply(&index, &announced("one", 30));
    assert_eq!(used(&index, 60), [20, 30]);
    // Announced over the closed entry, which the watch has not delivered.
    index.record_attempt(&closed("one", 30), "attempt-at-40", later(40));
    record_attempt(&index, "one", "attempt-at-50", later(50));
    apply(&index, &announced("one", 50));
    assert_eq!(used(&index, 60), [20, 50]);
}

#[test]
fn a_closed_attempt_counts_neither_by_the_watch_nor_before_it() {
    let index = Index::default();
    let open = announced("one", 10);
    record_attempt(&index, "one", "attempt-at-10", later(10));
    index.returned(&open, true);
    assert_eq!(used(&index, 60), [0; 0], "this process knows first");
    record_attempt(&index, "two", "attempt-at-20", later(20));
    apply(&index, &announced("two", 20));
    assert_eq!(index.take_freed_budgets(), [key("default")].into());
    assert_eq!(index.take_freed_budgets(), [].into());
    apply(&index, &closed("two", 20));
    assert_eq!((used(&index, 60), index.take_freed_budgets()), (vec![], [key("default")].into()));
    // The watch delivers only the closed entry of this process.
    record_attempt(&index, "three", "attempt-at-30", later(30));
    apply(&index, &closed("three", 30));
    assert_eq!(used(&index, 60), [0; 0]);
}

#[test]
fn a_second_attempt_within_one_second_counts() {
    let index = Index::default();
    record_attempt(&index, "one", "the first", later(10));
    apply(&index, &closed("one", 10));
    record_attempt(&index, "one", "the second", later(10));
    apply(&index, &closed("one", 10));
    assert_eq!(used(&index, 60), [10], "what the watch shows is another attempt");
    let mut second = announced("one", 10);
    second.status.as_mut().unwrap().switch.as_mut().unwrap().attempt_id = Some("the second".to_owned());
    apply(&index, &second);
    assert_eq!(used(&index, 60), [10]);
    second.status.as_mut().unwrap().switch.as_mut().unwrap().phase = Phase::Scheduled;
    apply(&index, &second);
    assert_eq!(used(&index, 60), [0; 0]);
}

#[test]
fn what_had_no_effect_is_given_back_once_that_is_stored() {
    let (index, open) = ended_without_certain_answer();
    _ = index.remove(&key("one"));
    assert_eq!(used(&index, 60), [10], "it may have taken effect");
    index.returned(&open, false);
    assert_eq!(used(&index, 60), [0; 0]);
    apply(&index, &closed("two", 20));
    _ = index.remove(&key("two"));
    assert_eq!(used(&index, 60), [0; 0]);
}

#[test]
fn a_budget_counts_from_when_it_was_first_asked() {
    let (index, begun) = (Index::default(), Instant::now());
    // Announced by a clock that was a year ahead.
    apply(&index, &announced("one", 31_536_000));
    let budget = Budget { count: 1, window: Duration::from_mins(1) };
    let clocks = Clocks { controller: later(0), platform: later(0) };
    let has_room = |after: u64| {
        crate::pricing::account(
            &index,
            &key("default"),
            budget,
            0,
            clocks,
            begun + Duration::from_secs(after),
        )
        .has_room()
    };
    assert_eq!([5, 65, 66, 5].map(has_room), [false, false, true, false]);
}

#[test]
fn what_was_spent_for_an_object_stays_spent_when_it_is_gone() {
    let index = Index::default();
    apply(&index, &announced("shown", 10));
    apply(&index, &scheduled("written", 0));
    record_attempt(&index, "written", "attempt-at-20", later(20));
    _ = index.remove(&key("shown"));
    _ = index.remove(&key("written"));
    assert_eq!(used(&index, 60), [10, 20]);
    let mut again = announced("shown", 30);
    again.metadata.uid = Some("created again".to_owned());
    apply(&index, &again);
    assert_eq!(used(&index, 60), [10, 20, 30]);
    // It is replaced in one step while the watch is disconnected.
    again.metadata.uid = Some("and again".to_owned());
    again.status = None;
    apply(&index, &again);
    assert_eq!(used(&index, 60), [10, 20, 30]);
}

#[test]
/// An announcement in the store is kept whatever the clock says.
fn a_deleted_announcement_is_forgotten_after_the_longest_window() {
    let index = Index::default();
    apply(&index, &announced("stands", 10));
    apply(&index, &announced("gone", 20));
    _ = index.remove(&key("gone"));
    let hour = 3600;
    assert_eq!(used(&index, 744 * hour), [0; 0]);
    assert_eq!(used(&index, 60), [10, 20], "a longer window may still reach back");
    // A clock that leaps ahead and comes back frees no place that the store still holds.
    assert_eq!(used(&index, 746 * hour), [0; 0]);
    assert_eq!(used(&index, 60), [10]);
}

#[test]
fn an_attempt_counts_for_the_connection_it_went_through() {
    let index = Index::default();
    let mut moved = announced("moved", 10);
    moved.spec.connection_ref.name = "us5".to_owned();
    apply(&index, &moved);
    assert_eq!(used(&index, 60), [10]);
    assert_eq!(used_through(&index, "us5", 60), [0; 0]);
}
