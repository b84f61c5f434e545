//! Which objects report that they wait, and when.

use super::*;

/// The reports, sorted by name: what an object reports, if that is new.
fn reported(
    queue: &SwitchQueue,
    budget: &BudgetStatus,
    now: Instant,
    clock: i64,
) -> Vec<(String, Option<QueueState>)> {
    let reports = queue.report(budget, now, at(clock)).reports;
    let mut said: Vec<_> =
        reports.into_iter().map(|(key, request)| (key.name().to_owned(), request.queue_state)).collect();
    said.sort_by(|(one, _), (other, _)| one.cmp(other));
    said
}

fn names(reported: Vec<(String, Option<QueueState>)>) -> Vec<String> {
    reported.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_short_wait_for_others_is_not_reported() {
    let (queue, start) = (queue(&[]), Instant::now());
    queue.enter(&key("a"), due(1), LIMITS, start);
    queue.enter(&key("b"), due(2), LIMITS, start + Duration::from_millis(400));
    let soon = queue.report(&BudgetStatus::Room, start + Duration::from_millis(500), at(2));
    assert!(soon.reports.is_empty());
    assert_eq!(soon.next, Some(start + MIN_REPORTED_WAIT), "the first of them");
    let later = queue.report(&BudgetStatus::Room, start + MIN_REPORTED_WAIT, at(2));
    assert_eq!(later.next, Some(start + MIN_REPORTED_WAIT + Duration::from_millis(400)));
    let (waits, request) = &later.reports[0];
    assert_eq!((waits, later.reports.len()), (&key("a"), 1));
    assert!(matches!(request.queue_state, Some(QueueState::Waits { ahead: 0 })) && request.read.is_some());
    let last = reported(&queue, &BudgetStatus::Room, start + Duration::from_secs(9), 9);
    assert!(matches!(last[..], [(_, Some(QueueState::Waits { ahead: 1 }))]), "{last:?}");
    assert_eq!(reported(&queue, &BudgetStatus::Room, start + Duration::from_secs(10), 10), [], "each once");
}

#[test]
fn an_exhausted_budget_is_reported_at_once() {
    let (queue, now) = (queue(&[("a", 1), ("b", 2)]), Instant::now());
    let reports = reported(&queue, &exhausted(), now, 2);
    assert!(matches!(
        &reports[..],
        [(_, Some(QueueState::Exhausted(_))), (_, Some(QueueState::Exhausted(_)))]
    ));
    assert_eq!(reported(&queue, &exhausted(), now, 3), [], "each once");
}

/// An object that reports waiting for others is reconciled when the budget turns out to be used up, to report that.
#[test]
fn a_waiting_object_reports_a_budget_used_up_since() {
    let (queue, now) = (queue(&[("a", 1), ("b", 2)]), Instant::now() + Duration::from_secs(5));
    assert_eq!(reported(&queue, &BudgetStatus::Room, now, 2).len(), 2);
    let again = reported(&queue, &exhausted(), now, 3);
    assert!(matches!(&again[..], [(_, None), (_, None)]), "they come back to say more: {again:?}");
    assert_eq!(reported(&queue, &exhausted(), now, 3), []);
}

#[test]
fn an_object_whose_promised_time_has_passed_reports_once() {
    let (queue, now) = (queue(&[]), Instant::now());
    let switch = DueSwitch { said: Some(at(100)), ..due(1) };
    queue.enter(&key("a"), switch, LIMITS, now);
    assert_eq!(reported(&queue, &exhausted(), now, 50).len(), 1);
    assert_eq!(reported(&queue, &exhausted(), now, 102), [], "it may be admitted just now");
    assert_eq!(reported(&queue, &BudgetStatus::Room, now, 103), [], "the budget has room again");
    assert_eq!(names(reported(&queue, &exhausted(), now, 103)), ["a"]);
    assert_eq!(reported(&queue, &exhausted(), now, 104), []);
}

/// A reported time is kept while it lies ahead; a time that has passed is replaced.
#[test]
fn a_promised_time_in_the_past_gives_way_to_the_next_one() {
    let (queue, now) = (queue(&[]), Instant::now());
    queue.enter(&key("a"), DueSwitch { said: Some(at(10)), ..due(1) }, LIMITS, now);
    assert_eq!(reported(&queue, &exhausted(), now, 50).len(), 1);
    assert_eq!(reported(&queue, &exhausted(), now, 60), [], "the next time lies about an hour ahead");
    assert_eq!(names(reported(&queue, &exhausted(), now, 4000)), ["a"]);
}

#[test]
fn an_admitted_or_removed_object_reports_nothing_more() {
    let (queue, now) = (queue(&[("a", 1), ("b", 2), ("c", 3)]), Instant::now() + Duration::from_secs(5));
    assert_eq!(reported(&queue, &BudgetStatus::Room, now, 3).len(), 3);
    let admitted = queue.admit(1, always).admitted.unwrap();
    assert!(admitted.read.is_none(), "what it brought went with its report");
    queue.leave(&key("b"));
    assert_eq!(names(reported(&queue, &exhausted(), now, 4)), ["c"]);
}

#[test]
fn an_admitted_object_takes_its_read_along() {
    let queue = queue(&[("a", 1), ("b", 2)]);
    let admitted = queue.admit(1, always).admitted.unwrap();
    assert!(admitted.key == key("a") && admitted.read.is_some());
    let later = Instant::now() + Duration::from_secs(5);
    assert_eq!(names(reported(&queue, &BudgetStatus::Room, later, 2)), ["b"]);
}
