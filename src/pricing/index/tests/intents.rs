//! What has been spent of a budget.

use jiff::SignedDuration;

use super::*;

/// An object with a journal that was announced so many seconds after [`NOW`].
fn announced(name: &str, at: i64) -> TenantPricing {
    let mut scene = Scene::new().pricing("trial");
    scene.now = later(at);
    scene.look = Scene::new().pricing("trial").seen(|seen| seen.date = Some(later(at))).look;
    assert!(matches!(scene.decide().verdict, Verdict::Switch { .. }));
    object(scene.announced(&format!("attempt-at-{at}")), name, 0)
}

fn later(seconds: i64) -> Timestamp {
    instant(NOW) + SignedDuration::from_secs(seconds)
}

fn uid(name: &str) -> String {
    format!("uid-of-team-{name}")
}

/// Seconds after [`NOW`] at which something was announced, of the last hour before `now`.
fn spent(index: &Index, now: i64) -> Vec<i64> {
    spent_besides(index, now, None)
}

fn spent_besides(index: &Index, now: i64, besides: Option<&str>) -> Vec<i64> {
    let besides = besides.map(key);
    let intents = index.intents(&key("default"), later(now - 3600), besides.as_ref());
    intents.iter().map(|at| at.duration_since(instant(NOW)).as_secs()).collect()
}

#[test]
fn the_journals_in_the_store_are_what_was_spent() {
    let index = Index::default();
    for (name, at) in [("three", 30), ("one", 10), ("two", 20)] {
        apply(&index, &announced(name, at));
    }
    apply(&index, &scheduled("waiting", 0));
    assert_eq!(spent(&index, 60), [10, 20, 30]);
    assert_eq!(spent(&index, 3610), [20, 30], "what is at the very edge is out");
    assert_eq!(spent(&index, 4000), [0; 0]);
    assert_eq!(index.intents(&key("eu2"), later(-3600), None), []);
}

#[test]
fn two_in_the_same_second_are_two() {
    let index = Index::default();
    apply(&index, &announced("one", 10));
    apply(&index, &announced("two", 10));
    assert_eq!(spent(&index, 60), [10, 10]);
}

#[test]
fn what_this_process_announced_counts_at_once_and_once() {
    let index = Index::default();
    let connection = key("default");
    apply(&index, &scheduled("one", 0));
    let at = later(10) + SignedDuration::from_millis(700);
    index.intended(&connection, &uid("one"), at);
    assert_eq!(spent(&index, 60), [10]);
    apply(&index, &scheduled("one", 0));
    assert_eq!(spent(&index, 60), [10], "the watch is behind");
    apply(&index, &announced("one", 10));
    assert_eq!(spent(&index, 60), [10], "the watch has brought it");
    apply(&index, &scheduled("one", 0));
    assert_eq!(spent(&index, 60), [0; 0], "the journal was cancelled");
}

#[test]
fn another_attempt_takes_the_place_of_the_last() {
    let index = Index::default();
    let connection = key("default");
    apply(&index, &announced("one", 10));
    apply(&index, &announced("two", 20));
    assert_eq!(spent_besides(&index, 60, Some("one")), [20]);
    index.intended(&connection, &uid("one"), later(30));
    assert_eq!(spent_besides(&index, 60, Some("one")), [20]);
    apply(&index, &announced("one", 30));
    assert_eq!(spent(&index, 60), [20, 30]);
    index.intended(&connection, &uid("one"), later(40));
    index.intended(&connection, &uid("one"), later(50));
    apply(&index, &announced("one", 50));
    assert_eq!(spent(&index, 60), [20, 50]);
    assert_eq!(spent_besides(&index, 60, Some("unknown")), [20, 50]);
}

#[test]
fn what_was_spent_for_an_object_stays_spent_when_it_is_gone() {
    let index = Index::default();
    let connection = key("default");
    apply(&index, &announced("shown", 10));
    apply(&index, &scheduled("written", 0));
    index.intended(&connection, &uid("written"), later(20));
    _ = index.remove(&key("shown"));
    _ = index.remove(&key("written"));
    assert_eq!(spent(&index, 60), [10, 20]);
    let mut again = announced("shown", 30);
    again.metadata.uid = Some("created again".to_owned());
    apply(&index, &again);
    assert_eq!(spent(&index, 60), [10, 20, 30]);
    // It is replaced in one step while the watch was broken.
    again.metadata.uid = Some("and again".to_owned());
    again.status = None;
    apply(&index, &again);
    assert_eq!(spent(&index, 60), [10, 20, 30]);
}

#[test]
fn what_is_gone_is_forgotten_after_the_longest_window_and_what_stands_is_not() {
    let index = Index::default();
    apply(&index, &announced("stands", 10));
    apply(&index, &announced("gone", 20));
    _ = index.remove(&key("gone"));
    let hour = 3600;
    assert_eq!(spent(&index, 744 * hour), [0; 0]);
    assert_eq!(spent(&index, 60), [10, 20], "a longer window may still reach back");
    // A clock that leaps ahead and comes back opens the budget for nothing that is in the store.
    assert_eq!(spent(&index, 746 * hour), [0; 0]);
    assert_eq!(spent(&index, 60), [10]);
}

#[test]
fn an_attempt_counts_for_the_connection_that_it_was_made_through() {
    let index = Index::default();
    let mut moved = announced("moved", 10);
    moved.spec.connection_ref.name = "us5".to_owned();
    apply(&index, &moved);
    assert_eq!(spent(&index, 60), [10]);
    assert_eq!(index.intents(&key("us5"), later(-3600), None), []);
}
