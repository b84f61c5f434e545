//! When the switch takes place, by both clocks.

use super::*;
use crate::api::SwitchAt::{Immediately, MonthStart};

fn scheduled_for(scene: &Scene) -> Timestamp {
    match scene.decide() {
        Decision { journal: JournalStep::Schedule(at), verdict, .. } => {
            assert_eq!(verdict, Verdict::Ready(ReadyReason::SwitchScheduled));
            at
        }
        other => panic!("nothing is scheduled: {other:?}"),
    }
}

fn switches_at(scene: &Scene) -> Timestamp {
    match scene.decide() {
        Decision { verdict: Verdict::Switch { scheduled_for }, .. } => scheduled_for,
        other => panic!("nothing is switched: {other:?}"),
    }
}

#[test]
fn a_month_start_waits_for_the_first_day_and_names_the_month() {
    let scene = Scene::new().at(MonthStart);
    assert_eq!(scheduled_for(&scene), instant(DECEMBER));
    let decision = scene.decide();
    assert!(decision.message.contains("December 2026"), "{}", decision.message);
    let remaining = instant(DECEMBER).duration_since(instant(NOW));
    assert_eq!(decision.requeue, Requeue::After(remaining.try_into().unwrap()));
}

#[test]
fn a_month_start_asked_for_on_a_first_day_is_now() {
    let first_day = "2026-12-01T15:00:00Z";
    assert_eq!(switches_at(&Scene::new().at(MonthStart).at_both_clocks(first_day)), instant(first_day));
}

#[test]
fn the_objects_time_overrides_that_of_the_connection() {
    assert_eq!(scheduled_for(&Scene::new().connection_at(MonthStart)), instant(DECEMBER));
    assert_eq!(scheduled_for(&Scene::new().connection_at(Immediately).at(MonthStart)), instant(DECEMBER));
    assert_eq!(switches_at(&Scene::new().connection_at(MonthStart).at(Immediately)), instant(NOW));
    assert_eq!(switches_at(&Scene::new()), instant(NOW));
}

#[test]
fn a_clock_that_is_far_off_plans_nothing_and_switches_nothing() {
    let far_off = |scene: Scene| scene.seen(|seen| seen.date = Some(instant("2099-06-15T00:00:00Z")));
    let asked = far_off(Scene::new().at(MonthStart)).decide();
    assert_eq!((asked.rule, asked.journal), ("clock_skew", JournalStep::Keep));
    // A single wrong date does not move a plan, and is not reported before the day of the plan.
    let planned = Scene::new().at(MonthStart).stored();
    assert_eq!(far_off(planned.clone()).decide().verdict, Verdict::Unchanged);
    let due = far_off(Scene { now: instant("2026-12-01T00:00:00Z"), ..planned }).decide();
    assert_eq!(due.verdict, Verdict::Reconciling(ReconcilingReason::ClockSkew));
}

#[test]
fn clocks_apart_are_named_once_and_not_again_and_again() {
    let date = |time: &str, scene: Scene| scene.seen(|seen| seen.date = Some(instant(time)));
    for platform in ["2099-06-15T00:00:00Z", "2026-11-23T08:59:59Z", "2026-11-23T11:00:01Z"] {
        let first = date(platform, Scene::new().at(MonthStart));
        let said = first.decide().message;
        assert!(said.contains(NOW) && said.contains(platform), "{said}");
        let stored = first.stored();
        let later = date("2099-06-15T00:10:00Z", Scene { now: instant("2026-11-23T10:10:00Z"), ..stored });
        assert_eq!((later.decide().rule, later.decide().message), ("clock_skew", said));
    }
    let near = date("2026-11-23T11:00:00Z", Scene::new().at(MonthStart));
    assert_ne!(near.decide().rule, "clock_skew", "an hour is not too far");
}

#[test]
fn an_obstacle_does_not_keep_a_month_start_from_being_planned() {
    let locked = Scene::new().at(MonthStart).locked();
    let decision = locked.decide();
    assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::TenantLocked));
    assert_eq!(decision.journal, JournalStep::Schedule(instant(DECEMBER)));
    // If it is unlocked within December, it is due, since the bill is the same.
    let stored = locked.stored();
    let unlocked = stored.seen(|seen| seen.locked_by_another = false).at_both_clocks("2026-12-05T00:00:00Z");
    assert_eq!(switches_at(&unlocked), instant(DECEMBER));
}

#[test]
fn an_incomplete_plan_is_replaced_even_with_an_obstacle() {
    let mut torn = scheduled().locked();
    torn.object.status.as_mut().unwrap().switch.as_mut().unwrap().scheduled_for = None;
    assert_eq!(torn.decide().journal, JournalStep::Schedule(instant(DECEMBER)));
}

#[test]
fn a_switch_that_is_not_requested_is_not_planned() {
    let deleted = Scene::new().at(MonthStart).seen(|seen| seen.tenant.deleted = true);
    assert_eq!(deleted.decide().journal, JournalStep::Schedule(instant(DECEMBER)));
    for desired in [None, TRIAL] {
        let decision = deleted.clone().desired(desired).decide();
        assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::TenantNotFound));
        assert_eq!(decision.journal, JournalStep::Keep, "{desired:?}");
    }
}

#[test]
fn nothing_is_switched_before_not_before() {
    let not_before = "2026-12-15T00:00:00Z";
    assert_eq!(scheduled_for(&Scene::new().not_before(not_before)), instant(not_before));
    let month_start = Scene::new().at(MonthStart).not_before(not_before);
    assert_eq!(scheduled_for(&month_start), instant("2027-01-01T00:00:00Z"));
    let past = Scene::new().not_before("2026-01-01T00:00:00Z");
    assert_eq!(switches_at(&past), instant(NOW));
}

#[test]
fn the_time_has_come_only_when_both_clocks_say_so() {
    let before = "2026-11-30T23:59:59Z";
    for (controller, platform, due) in [
        (before, before, false),
        (DECEMBER, before, false),
        (before, DECEMBER, false),
        (DECEMBER, DECEMBER, true),
    ] {
        for waiting in [scheduled(), Scene::new().not_before(DECEMBER).stored()] {
            let mut scene = waiting.at_both_clocks(platform);
            scene.now = instant(controller);
            assert_eq!(is_switch(&scene.decide()), due, "{controller} and {platform}");
        }
    }
}

#[test]
fn once_due_a_month_start_stays_due_to_the_end_of_the_month() {
    for now in [DECEMBER, "2026-12-17T12:00:00Z", "2026-12-31T23:59:59Z"] {
        assert_eq!(switches_at(&scheduled().at_both_clocks(now)), instant(DECEMBER), "{now}");
    }
}

#[test]
fn a_missed_month_is_rescheduled_for_the_next_first_day() {
    let missed = scheduled().at_both_clocks("2027-01-05T12:00:00Z");
    assert_eq!(scheduled_for(&missed), instant("2027-02-01T00:00:00Z"));
    let first_day = scheduled().at_both_clocks("2027-01-01T08:00:00Z");
    assert_eq!(switches_at(&first_day), instant("2027-01-01T08:00:00Z"));
}

#[test]
fn a_later_edit_of_the_connection_brings_nothing_forward() {
    let scene = Scene::new().connection_at(MonthStart).stored();
    let edited = scene.connection_at(Immediately);
    assert_eq!(scheduled_for(&edited), instant(DECEMBER));
    assert_eq!(edited.report(), *edited.status(), "nothing is written");
}

#[test]
fn an_edit_of_the_object_reschedules() {
    let immediate = scheduled().edited().at(Immediately);
    assert_eq!(switches_at(&immediate), instant(NOW));
    let delayed = scheduled().edited().not_before("2026-12-15T00:00:00Z");
    assert_eq!(scheduled_for(&delayed), instant("2027-01-01T00:00:00Z"));
    let journal = delayed.report().switch.unwrap();
    assert_eq!(journal.intent_generation, Some(2));
    assert_eq!(journal.scheduled_for, Some(time("2027-01-01T00:00:00Z")));
}

#[test]
fn a_closed_attempt_is_retried_at_its_scheduled_time() {
    let due = scheduled().at_both_clocks("2026-12-02T08:00:00Z").pricing("trial");
    let closed = due
        .announced("attempt-1")
        .outcome(AttemptOutcome::Refused(error(ErrorClass::VersionMismatch)))
        .stored();
    let retried = Scene { circumstances: crate::pricing::facts::Circumstances::default(), ..closed };
    assert_eq!(switches_at(&retried), instant(DECEMBER));
    let next_month = retried.at_both_clocks("2027-01-03T08:00:00Z");
    assert_eq!(scheduled_for(&next_month), instant("2027-02-01T00:00:00Z"));
}
