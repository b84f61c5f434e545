//! Events report changes, each once.

use super::*;
use crate::{
    api::SwitchAt,
    platform::ErrorClass,
    pricing::facts::{AttemptOutcome, Circumstances},
    testing::{all_cases::every_scene, fixtures::*},
};

const TRIAL: Option<DesiredMode> = Some(DesiredMode::Trial);

/// The scene after its status is stored, and the events of that change.
fn step(scene: Scene) -> (Scene, Vec<EventSpec>) {
    let before = scene.status().clone();
    let after = scene.stored();
    let events = of_change(&after.object, &before, after.status(), after.now);
    (after, events)
}

fn events_of(scene: Scene) -> Vec<EventSpec> {
    step(scene).1
}

fn announcement(scene: Scene, attempt_id: &str) -> (Scene, Vec<EventSpec>) {
    let before = scene.status().clone();
    let after = scene.announced(attempt_id);
    let events = of_change(&after.object, &before, after.status(), after.now);
    (after, events)
}

fn reasons(events: &[EventSpec]) -> Vec<&str> {
    events.iter().map(|event| event.reason.as_str()).collect()
}

fn scheduled() -> Scene {
    Scene::new().at(SwitchAt::MonthStart).stored()
}

fn in_flight() -> Scene {
    Scene::new().pricing("trial").announced("attempt-1")
}

fn refused(class: ErrorClass) -> AttemptOutcome {
    AttemptOutcome::Refused(error(class))
}

#[test]
fn a_requested_switch_names_the_field_manager() {
    let (mut asked, events) = announcement(Scene::new().pricing("trial"), "attempt-1");
    assert_eq!(reasons(&events), ["SwitchRequested"]);
    assert_eq!((events[0].is_warning, events[0].action), (false, "Switch"));
    assert!(
        events[0].message.contains("attempt 1") && events[0].message.contains("the field manager unknown")
    );
    let before = Scene::new().status().clone();
    asked.object.status.as_mut().unwrap().switch.as_mut().unwrap().requested_by = Some("flux".to_owned());
    let events = of_change(&asked.object, &before, asked.status(), asked.now);
    assert!(events[0].message.contains("was set by the field manager flux"), "{}", events[0].message);
}

#[test]
fn a_further_attempt_is_reported_as_one() {
    let closed = in_flight().outcome(refused(ErrorClass::VersionMismatch)).stored();
    let (_, events) = announcement(Scene { circumstances: Circumstances::default(), ..closed }, "attempt-2");
    assert_eq!(reasons(&events), ["SwitchRequested"]);
    assert!(events[0].message.contains("attempt 2"), "{}", events[0].message);
    let (before, after) = (in_flight(), Scene::new().pricing("trial").announced("attempt-3"));
    assert_eq!(
        reasons(&of_change(&after.object, before.status(), after.status(), after.now)),
        ["SwitchRequested"]
    );
}

#[test]
fn a_completed_switch_names_the_month_on_the_bill() {
    let events = events_of(in_flight().mode("production"));
    assert_eq!(reasons(&events), ["SwitchCompleted"]);
    assert!(!events[0].is_warning && events[0].message.contains("the whole of November 2026 is on the bill"));
}

#[test]
fn a_schedule_names_its_day_and_month_again_when_it_moves() {
    let events = events_of(Scene::new().at(SwitchAt::MonthStart));
    assert_eq!(reasons(&events), ["SwitchScheduled"]);
    assert!(events[0].message.contains(DECEMBER) && events[0].message.contains("December 2026"));
    assert_eq!(reasons(&events_of(scheduled().edited())), Vec::<&str>::new(), "the same day");
    let moved = events_of(scheduled().edited().not_before("2026-12-02T00:00:00Z"));
    assert_eq!(reasons(&moved), ["SwitchScheduled"]);
    assert!(moved[0].message.contains("January 2027"), "{}", moved[0].message);
}

#[test]
fn a_cancelled_switch_is_reported_with_the_reason() {
    let mut deleted = scheduled();
    deleted.object.metadata.deletion_timestamp = Some(time(NOW));
    for (scene, reason) in [
        (scheduled().edited().desired(TRIAL), "spec.mode is trial"),
        (scheduled().edited().desired(None), "spec.mode no longer asks for production"),
        (scheduled().duplicate(), "an older object acts for the same tenant"),
        (deleted, "the object is being deleted"),
    ] {
        let events = events_of(scene);
        assert_eq!((events[0].reason.as_str(), events[0].is_warning), ("SwitchCancelled", false));
        let text = format!("The waiting switch to production is cancelled: {reason}. Nothing was sent.");
        assert_eq!(events[0].message, text);
    }
}

#[test]
fn a_refusal_is_a_warning_that_says_what_to_do() {
    let events = events_of(in_flight().outcome(refused(ErrorClass::BusinessRules)));
    assert_eq!(reasons(&events), ["PlatformRefused"]);
    assert_eq!((events[0].is_warning, events[0].action), (true, "Refuse"));
    assert!(events[0].message.contains("Ask the platform's support"), "{}", events[0].message);
}

#[test]
fn a_stall_is_reported_once_per_reason() {
    let (stalled, events) = step(Scene::new().seen(|seen| seen.tenant.enabled = false));
    assert_eq!(reasons(&events), ["TenantDisabled"]);
    assert!(events[0].is_warning);
    let (stalled, events) = step(stalled.edited());
    assert_eq!(events, []);
    let (well, events) = step(stalled.desired(TRIAL));
    assert_eq!(events, [], "only the condition reports the end of a stall");
    let stalled = well.desired(Some(DesiredMode::Production)).locked();
    assert_eq!(reasons(&events_of(stalled.seen(|seen| seen.tenant.enabled = true))), ["TenantLocked"]);
}

#[test]
fn a_switch_by_the_platform_is_always_reported() {
    let watched = |desired| Scene::new().desired(desired).stored().mode("production");
    let observed = events_of(watched(None));
    assert_eq!(reasons(&observed), ["SwitchedByPlatform"]);
    assert!(
        observed[0].is_warning && observed[0].message.contains("November 2026"),
        "{}",
        observed[0].message
    );
    assert_eq!(reasons(&events_of(watched(TRIAL))), ["SwitchedByPlatform", "ReversalRefused"]);
    assert_eq!(reasons(&events_of(scheduled().mode("production"))), ["SwitchedByPlatform"], "and not twice");
    let cancelled = events_of(scheduled().edited().desired(None).mode("production"));
    assert_eq!(reasons(&cancelled), ["SwitchCancelled", "SwitchedByPlatform"]);
    let undated = Scene::new().desired(None).stored().mode("production");
    let undated = events_of(undated.seen(|seen| seen.tenant.production_start = None));
    assert_eq!(reasons(&undated), ["SwitchedByPlatform"]);
}

#[test]
fn what_was_so_when_it_was_first_seen_is_no_news() {
    for scene in [
        Scene::new().mode("production"),
        Scene::new().desired(None),
        Scene::new().desired(None).mode("production"),
        Scene::new().desired(TRIAL),
        Scene::new().suspended(),
        Scene::new().failed(ErrorClass::Unavailable),
    ] {
        assert_eq!(events_of(scene.clone()), [], "{scene:#?}");
    }
}

#[test]
fn waiting_for_an_outcome_is_no_news() {
    assert_eq!(events_of(in_flight()), []);
    assert_eq!(events_of(in_flight().failed(ErrorClass::Unavailable)), []);
}

#[test]
fn no_event_is_reported_twice() {
    for scene in every_scene() {
        let (after, events) = step(scene);
        let mut reported = reasons(&events);
        reported.sort_unstable();
        reported.dedup();
        assert_eq!(reported.len(), events.len(), "{events:?}");
        assert_eq!(of_change(&after.object, after.status(), after.status(), after.now), []);
    }
}

#[test]
fn every_event_has_words_of_a_form_that_the_api_server_takes() {
    let pascal = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.chars().all(|letter| letter.is_ascii_alphanumeric())
    };
    for scene in every_scene() {
        for event in events_of(scene) {
            assert!(pascal(&event.reason) && pascal(event.action), "{event:?}");
            assert!(
                event.message.ends_with('.') && !event.message.contains("  ") && event.message.len() <= 1024,
                "{event:?}"
            );
        }
    }
}

/// A tenant in trial that was read on this day. Its trial ends on 1 January.
fn seen_on(day: &str) -> Scene {
    Scene::new().desired(TRIAL).at_both_clocks(day)
}

#[test]
fn an_automatic_switch_is_announced_seven_days_before() {
    assert_eq!(reasons(&events_of(seen_on("2026-12-24T23:59:59Z"))), [""; 0]);
    let (announced, events) = step(seen_on("2026-12-25T00:00:00Z"));
    assert_eq!(reasons(&events), ["AutomaticSwitchUpcoming"]);
    assert!(events[0].is_warning && events[0].message.contains("January 2027"), "{}", events[0].message);
    assert_eq!(reasons(&step(announced).1), [""; 0], "once");
    let known = seen_on("2026-12-20T00:00:00Z").stored();
    let event = upcoming(&known.object, known.status(), instant("2026-12-25T00:00:00Z"));
    assert_eq!(
        event.unwrap().reason,
        "AutomaticSwitchUpcoming",
        "a date that was known earlier is announced when it is near"
    );
    assert_eq!(upcoming(&known.object, known.status(), instant("2027-01-01T00:00:00Z")), None, "it is over");
}

#[test]
fn a_tenant_that_is_switched_earlier_is_not_announced() {
    let scheduled = Scene::new().at(SwitchAt::MonthStart).at_both_clocks("2026-12-26T00:00:00Z").stored();
    assert_eq!(upcoming(&scheduled.object, scheduled.status(), scheduled.now), None);
    let held = Scene { ..scheduled }.suspended();
    assert!(upcoming(&held.object, held.status(), held.now).unwrap().is_warning, "it is held");
}
