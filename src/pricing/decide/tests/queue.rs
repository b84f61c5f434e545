//! Objects that go first: an older object for the same tenant, and switches that became due earlier.

use super::*;
use crate::{
    api::SwitchAt::MonthStart,
    pricing::{budget::Users, decide::queue::said, facts::QueueState},
};

const NEXT: &str = "2026-11-23T10:59:00Z";

fn message(scene: &Scene) -> String {
    scene.decide().message
}

/// An object whose switch was scheduled for the first of the month, and is due.
fn due() -> Scene {
    scheduled().at_both_clocks("2026-12-01T00:00:01Z")
}

fn ready_reason(scene: &Scene) -> &str {
    let conditions = &scene.status().conditions;
    &crate::api::conditions::find(conditions, crate::api::ConditionType::Ready).unwrap().reason
}

fn writes_nothing(scene: &Scene) -> bool {
    scene.report() == *scene.status()
}

#[test]
fn a_duplicate_names_the_older_owner_and_shows_the_tenant() {
    let stored = Scene::new().mode("production").duplicate().stored();
    assert!(message(&stored).contains("team/older"), "{}", message(&stored));
    assert_eq!(stored.status().observed.as_ref().unwrap().mode, "production");
    assert_eq!(stored.status().tenant_id.as_deref(), Some(TENANT));
    assert!(writes_nothing(&stored));
}

#[test]
fn a_duplicate_plans_nothing_until_it_takes_over() {
    let new = Scene::new().at(MonthStart).duplicate().stored();
    assert_eq!(new.journal(), None);
    let cancelled = scheduled().duplicate().stored();
    assert_eq!(cancelled.journal(), None);
    // The plan for the first of December belonged to the older object. This one takes over within December, and must
    // not bill it.
    let takes_over = cancelled.forgotten().at_both_clocks("2026-12-15T00:00:00Z").decide();
    assert_eq!(takes_over.verdict, Verdict::Ready(ReadyReason::SwitchScheduled));
    assert_eq!(takes_over.journal, JournalStep::Schedule(instant("2027-01-01T00:00:00Z")));
}

#[test]
fn a_duplicate_takes_over_at_once_what_is_asked_for_at_once() {
    let stored = Scene::new().duplicate().stored();
    assert!(is_switch(&stored.forgotten().decide()));
}

#[test]
fn a_completed_switch_of_a_duplicate_stays_recorded() {
    let done = in_flight().mode("production").stored();
    let completed = done.journal().cloned();
    assert_eq!(completed.as_ref().map(|journal| journal.phase), Some(Phase::Completed));
    assert_eq!(done.duplicate().stored().journal(), completed.as_ref());
}

#[test]
fn an_exhausted_budget_names_count_window_and_next_time() {
    let scene = Scene::new().exhausted(100, Some(NEXT));
    assert_eq!(
        message(&scene),
        "The connection's budget (spec.switch.budget) of 100 switches in 1 h is used up. 100 counted: another. Its \
         turn comes at 2026-11-23T10:59:00Z at the earliest, in the order in which switches became due. Until then \
         the tenant stays in trial. To allow more, raise the budget."
    );
    assert_eq!(
        message(&Scene::new().exhausted(0, None)),
        "The connection's budget (spec.switch.budget) of 0 switches in 1 h is used up. The tenant stays in trial \
         until it is raised."
    );
    assert!(message(&Scene::new().exhausted(1, Some(NEXT))).contains("of 1 switch in 1 h"));
}

#[test]
fn what_waits_keeps_the_instant_it_became_due() {
    for waiting in [Scene::new().exhausted(100, Some(NEXT)), Scene::new().waits(12)] {
        let stored = waiting.stored();
        assert_eq!(stored.journal().unwrap().scheduled_for, Some(time(NOW)));
        let later = stored.at_both_clocks("2026-11-23T11:30:00Z");
        assert!(writes_nothing(&later), "nothing is written because time has passed");
        let decision = later.forgotten().decide();
        assert_eq!(decision.verdict, Verdict::Switch { scheduled_for: instant(NOW) });
    }
}

/// It stays there whether its status reports the wait already or not.
#[test]
fn a_waiting_switch_stays_in_the_switch_queue() {
    for waiting in [due().exhausted(100, Some(NEXT)), due().waits(12), Scene::new().waits(12)] {
        assert_eq!(waiting.decide().requeue, Requeue::WhenAdmitted);
        assert_eq!(waiting.stored().decide().requeue, Requeue::WhenAdmitted, "it has said so");
    }
}

#[test]
fn a_used_up_budget_is_reported_once_per_budget() {
    let stored = due().exhausted(100, Some("2026-12-01T00:40:00Z")).stored();
    assert_eq!(ready_reason(&stored), "SwitchBudgetExhausted");
    let later = stored.at_both_clocks("2026-12-01T00:39:00Z").exhausted(100, Some("2026-12-01T01:40:00Z"));
    assert!(writes_nothing(&later), "the time that it names is still ahead");
    let raised = later.exhausted(200, Some("2026-12-01T01:10:00Z"));
    assert!(message(&raised.clone().stored()).is_empty() && !writes_nothing(&raised));
}

#[test]
fn a_reported_time_in_the_past_is_replaced_once() {
    let (first, second) = ("2026-12-01T00:40:00Z", "2026-12-01T01:40:00Z");
    let stored = due().exhausted(100, Some(first)).stored();
    assert_eq!(said(&stored.object), Some(instant(first)));
    // Other objects join and leave the queue and move the turn of this one. That causes no write.
    let sooner =
        stored.clone().at_both_clocks("2026-12-01T00:39:59Z").exhausted(100, Some("2026-12-01T00:39:59Z"));
    assert!(writes_nothing(&sooner));
    let expired = stored.at_both_clocks(first).exhausted(100, Some(second));
    assert!(!writes_nothing(&expired));
    let replaced = expired.stored();
    assert_eq!(said(&replaced.object), Some(instant(second)));
    for now in ["2026-12-01T00:40:01Z", "2026-12-01T01:39:59Z"] {
        assert!(writes_nothing(
            &replaced.clone().at_both_clocks(now).exhausted(100, Some("2026-12-01T01:41:00Z"))
        ));
    }
    // The controller's clock is a moment ahead of the clock by which there is room.
    assert!(writes_nothing(&replaced.at_both_clocks(second).exhausted(100, Some(second))));
}

#[test]
fn only_a_message_about_a_budget_names_a_turn() {
    for scene in [Scene::new(), due().waits(12).stored(), due().locked().stored(), scheduled()] {
        assert_eq!(said(&scene.object), None);
    }
    assert_eq!(said(&Scene::new().exhausted(0, None).stored().object), None);
}

#[test]
fn who_uses_a_budget_up_leaves_out_names_of_others() {
    let words = |users: Users| {
        let mut scene = Scene::new().exhausted(100, Some(NEXT));
        if let QueueState::Exhausted(exhausted) = &mut scene.circumstances.queue_state {
            exhausted.users = users;
        }
        let message = scene.decide().message;
        message.split_once("is used up. ").unwrap().1.split_once("Its turn").unwrap().0.to_owned()
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = Users { names: names(&["a", "b", "c"]), more: 40, in_other_namespaces: 55, beginning: 2 };
    assert_eq!(
        words(all),
        "100 counted: a, b, c, 40 more in this namespace, 55 in other namespaces and 2 about to be sent. "
    );
    assert_eq!(
        words(Users { in_other_namespaces: 100, ..Users::default() }),
        "100 counted: 100 in other namespaces. "
    );
    assert_eq!(words(Users { names: names(&["a", "b"]), ..Users::default() }), "100 counted: a and b. ");
    assert_eq!(words(Users::default()), "");
}

/// On a first of the month ten thousand switches become due at once. None is written for its place in the queue.
#[test]
fn a_place_in_the_switch_queue_causes_no_status_write() {
    for ahead in [9999, 5000, 0] {
        assert!(writes_nothing(&due().waits(ahead)), "a wait for the first of the month is Ready");
    }
    let exhausted = due().exhausted(100, Some("2026-12-01T01:00:01Z")).stored();
    assert!(writes_nothing(&exhausted.waits(50)), "the budget has room again, and others go first");
}

#[test]
fn an_object_new_in_the_switch_queue_reports_it_once() {
    let stored = Scene::new().waits(12).stored();
    assert_eq!(ready_reason(&stored), "RateLimited");
    assert!(writes_nothing(&stored.clone().waits(3)));
    let edited = stored.edited().waits(3).stored();
    assert_eq!(edited.status().observed_generation, 2);
    assert!(writes_nothing(&edited.waits(1)));
}

#[test]
fn a_past_problem_is_replaced_while_the_switch_waits() {
    let throttled = due().failed(ErrorClass::Throttled).stored();
    assert_eq!(ready_reason(&throttled), "RateLimited", "by the platform, not by the switch queue");
    for trouble in [due().locked().stored(), due().failed(ErrorClass::Unavailable).stored(), throttled] {
        for waiting in [trouble.clone().waits(12), trouble.exhausted(100, Some(NEXT))] {
            let seen = waiting.read(due().read);
            let stored = seen.clone().stored();
            assert!(!writes_nothing(&seen) && writes_nothing(&stored));
            assert!(["RateLimited", "SwitchBudgetExhausted"].contains(&ready_reason(&stored)));
            assert!(message(&stored).is_empty());
        }
    }
}

#[test]
fn a_missed_month_is_rescheduled_in_the_switch_queue() {
    let first_day = scheduled().at_both_clocks("2027-01-01T08:00:00Z").waits(12);
    let stored = first_day.stored();
    assert_eq!(stored.journal().unwrap().scheduled_for, Some(time("2027-01-01T08:00:00Z")));
    assert!(writes_nothing(&stored));
    let next_month = stored.at_both_clocks("2027-02-05T08:00:00Z");
    assert_eq!(next_month.decide().rule, "not_due");
}
