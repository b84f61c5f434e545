//! Statuses that people and tools can rely on, in every case.

mod states;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, FieldsV1, ManagedFieldsEntry};
use serde_json::json;

use super::*;
use crate::{
    api::{ConditionType, DesiredMode, SwitchAt, SwitchedBy, invariants},
    platform::{ErrorClass, Mode},
    pricing::facts::{Access, AttemptOutcome},
    testing::{all_cases::every_scene, fixtures::*},
};

/// Some time after [`NOW`], in the same month.
const LATER: &str = "2026-11-23T11:30:00Z";

fn condition(status: &TenantPricingStatus, kind: ConditionType) -> &Condition {
    crate::api::conditions::find(&status.conditions, kind).unwrap()
}

fn later(mut scene: Scene) -> Scene {
    let hour = jiff::SignedDuration::from_mins(90);
    scene.now += hour;
    let now = scene.now;
    scene.seen(|seen| seen.date = seen.date.and(Some(now)))
}

/// The status that is written. For a switch, the one that announces it.
fn written(scene: &Scene) -> TenantPricingStatus {
    let decision = scene.decide();
    match decision.verdict {
        Verdict::Switch { scheduled_for } => {
            let intent = Intent { attempt_id: "attempt-9".to_owned(), scheduled_for };
            announcing(&scene.facts(), &decision, &intent)
        }
        _ => status(&scene.facts(), &decision),
    }
}

#[test]
fn every_status_is_sound_and_every_step_to_it() {
    for scene in every_scene() {
        let after = scene.clone().with_stored(&written(&scene));
        let mut faults = invariants::check(&after.object);
        faults.extend(invariants::check_step(scene.status(), after.status()));
        assert_eq!(faults, Vec::<String>::new(), "{:?}\n{scene:#?}", scene.decide());
    }
}

#[test]
fn time_alone_causes_no_status_write() {
    for scene in every_scene() {
        // A write may cause one more, such as the retry of a closed entry. After three writes none may follow.
        let mut scene = scene;
        for _ in 0..3 {
            if matches!(scene.decide().verdict, Verdict::Switch { .. }) {
                break;
            }
            scene = scene.stored();
            if !scene.facts().in_flight() {
                scene.circumstances.outcome = None;
            }
        }
        if matches!(scene.decide().verdict, Verdict::Switch { .. }) {
            continue;
        }
        // An accepted switch that does not show stalls after a time. That write is intended.
        let decision = scene.decide();
        if decision.rule == "open_entry_accepted" && matches!(decision.verdict, Verdict::Reconciling(_)) {
            continue;
        }
        let later = later(scene);
        assert_eq!(later.report(), *later.status(), "{:?}", later.decide());
    }
}

#[test]
fn the_first_status_of_a_verdict_is_its_last() {
    for scene in vec![
        Scene::new().desired(None),
        Scene::new().desired(Some(DesiredMode::Trial)),
        Scene::new().mode("production"),
        Scene::new().mode("suspended"),
        Scene::new().mode("barter"),
        Scene::new().at(SwitchAt::MonthStart),
        Scene::new().at(SwitchAt::MonthStart).stored().mode("production"),
        Scene::new().failed(ErrorClass::Unavailable),
        Scene::new().failed(ErrorClass::AccessDenied),
        Scene::new().suspended(),
        Scene::new().pricing("trial").announced("attempt-1"),
        Scene::new().pricing("trial").announced("attempt-1").mode("production"),
    ] {
        let stored = later(scene.stored());
        assert_eq!(stored.report(), *stored.status(), "{:?}", stored.decide());
    }
}

#[test]
fn the_transition_time_moves_only_with_the_condition_status() {
    let first = Scene::new().desired(None).stored();
    let mut edited = first.edited().desired(Some(DesiredMode::Trial));
    edited.now = instant(LATER);
    let in_sync = edited.report();
    let ready = condition(&in_sync, ConditionType::Ready);
    assert_eq!((ready.reason.as_str(), ready.last_transition_time.0), ("InSync", instant(NOW)));
    let mut switched = Scene::new().desired(Some(DesiredMode::Trial)).stored().mode("production");
    switched.now = instant(LATER);
    let refused = switched.report();
    for kind in [ConditionType::Ready, ConditionType::Production, ConditionType::Stalled] {
        assert_eq!(condition(&refused, kind).last_transition_time.0, instant(LATER), "{kind}");
    }
}

#[test]
fn reconciling_and_stalled_are_there_only_while_they_are_true() {
    let kinds = |status: &TenantPricingStatus| {
        status.conditions.iter().map(|condition| condition.type_.clone()).collect::<Vec<_>>()
    };
    let waiting = Scene::new().failed(ErrorClass::Unavailable).stored();
    assert_eq!(kinds(waiting.status()), ["Ready", "Production", "Reconciling"]);
    let stalled = waiting.failed(ErrorClass::AccessDenied).stored();
    assert_eq!(kinds(stalled.status()), ["Ready", "Production", "Stalled"]);
    let well = stalled.read(Scene::new().mode("production").read).stored();
    assert_eq!(kinds(well.status()), ["Ready", "Production"]);
}

#[test]
fn conditions_of_others_are_kept() {
    let mut scene = Scene::new().desired(None).stored();
    let theirs = Condition { type_: "Audited".to_owned(), ..scene.status().conditions[0].clone() };
    scene.object.status.as_mut().unwrap().conditions.push(theirs.clone());
    assert!(scene.edited().mode("barter").report().conditions.contains(&theirs));
}

#[test]
fn production_says_who_switched_the_tenant() {
    let reason = |scene: Scene| {
        let status = scene.report();
        let production = condition(&status, ConditionType::Production);
        (production.status.clone(), production.reason.clone())
    };
    let said = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    let in_flight = || Scene::new().pricing("trial").announced("attempt-1");
    let watched = || Scene::new().desired(None).stored();
    assert_eq!(reason(Scene::new().failed(ErrorClass::NotFound)), said("Unknown", "NotSeen"));
    assert_eq!(reason(Scene::new().mode("barter")), said("Unknown", "UnknownMode"));
    assert_eq!(reason(watched()), said("False", "Trial"));
    assert_eq!(reason(Scene::new().mode("production")), said("True", "AlreadyProduction"));
    assert_eq!(reason(Scene::new().mode("suspended")), said("False", "SuspendedOnPlatform"));
    assert_eq!(reason(watched().mode("production")), said("True", "SwitchedByPlatform"));
    assert_eq!(reason(in_flight()), said("False", "Trial"));
    assert_eq!(reason(in_flight().mode("production")), said("True", "SwitchedByController"));
    let late = in_flight().outcome(AttemptOutcome::NotSent(None)).mode("production");
    assert_eq!(reason(late), said("True", "SwitchedByPlatform"));
    let message = |scene: Scene| condition(&scene.report(), ConditionType::Production).message.clone();
    assert!(message(in_flight().mode("production")).starts_with("This controller"));
    assert!(message(watched().mode("production")).ends_with("on the platform."));
}

#[test]
fn production_stays_as_last_proven_when_nothing_is_read() {
    for before in ["trial", "production", "suspended", "barter"] {
        let stored = Scene::new().desired(None).mode(before).stored();
        let unread = stored.clone().edited().failed(ErrorClass::AccessDenied).report();
        let (was, now) = (
            condition(stored.status(), ConditionType::Production),
            condition(&unread, ConditionType::Production),
        );
        assert_eq!((&now.status, &now.reason, &now.message), (&was.status, &was.reason, &was.message));
    }
}

#[test]
fn production_once_true_turns_false_only_as_suspended() {
    let switched = || Scene::new().pricing("trial").announced("attempt-1").mode("production").stored();
    for (mode, status, reason) in [
        ("trial", "True", "SwitchedByController"),
        ("barter", "True", "SwitchedByController"),
        ("suspended", "False", "SuspendedOnPlatform"),
    ] {
        let report = switched().mode(mode).report();
        let production = condition(&report, ConditionType::Production);
        assert_eq!((production.status.as_str(), production.reason.as_str()), (status, reason), "{mode}");
    }
    let back = switched().mode("suspended").stored().mode("production").report();
    assert_eq!(condition(&back, ConditionType::Production).reason, "SwitchedByController");
}

#[test]
fn the_tenant_is_pinned_when_it_is_first_seen_and_stays_pinned() {
    let pinned = Scene::new().named(NAME).desired(None).stored();
    assert_eq!(pinned.status().tenant_id.as_deref(), Some(TENANT));
    let other = pinned.seen(|seen| seen.tenant.id = tenant_id(OTHER_TENANT));
    assert_eq!(other.report().tenant_id.as_deref(), Some(TENANT));
}

#[test]
fn what_was_seen_is_shown_and_kept_while_nothing_is_read() {
    let stored = Scene::new().desired(None).stored();
    let shown = stored.status().observed.clone().unwrap();
    assert_eq!((shown.mode.as_str(), shown.tenant_name.as_deref()), ("trial", Some(NAME)));
    assert_eq!(shown.production_start_date, Some(time(TRIAL_ENDS)));
    let unread = stored.edited().failed(ErrorClass::Unavailable).report();
    assert_eq!(unread.observed, Some(shown));
    assert_eq!(unread.observed_generation, 2);
}

#[test]
fn a_date_missing_in_an_answer_is_kept_while_the_mode_stays() {
    let undated = |scene: Scene| scene.seen(|seen| seen.tenant.production_start = None);
    let date = |scene: Scene| scene.report().observed.unwrap().production_start_date;
    let stored = Scene::new().desired(None).stored();
    assert_eq!(date(undated(stored.clone())), Some(time(TRIAL_ENDS)));
    assert_eq!(date(undated(stored.mode("production"))), None, "the end of a trial is no date of a switch");
}

#[test]
fn the_announcement_holds_all_that_a_successor_needs() {
    let scene = Scene::new().pricing("trial").announced("attempt-1");
    let journal = scene.journal().unwrap();
    let expected = Journal {
        phase: Phase::InFlight,
        scheduled_for: Some(time(NOW)),
        intent_at: Some(time(NOW)),
        intent_generation: Some(1),
        attempts: 1,
        attempt_id: Some("attempt-1".to_owned()),
        platform: Some(PLATFORM.to_owned()),
        connection: Some("team/default".to_owned()),
        accepted_at: None,
        completed_at: None,
        by: None,
        requested_by: None,
    };
    assert_eq!(*journal, expected);
    let status = scene.status();
    assert_eq!(status.tenant_id.as_deref(), Some(TENANT));
    assert_eq!(condition(status, ConditionType::Ready).reason, "Progressing");
    assert_eq!(condition(status, ConditionType::Reconciling).reason, "Progressing");
}

#[test]
fn the_journal_goes_through_its_phases() {
    let scheduled = Scene::new().at(SwitchAt::MonthStart).stored();
    let journal = scheduled.journal().unwrap().clone();
    assert_eq!((journal.phase, journal.scheduled_for), (Phase::Scheduled, Some(time(DECEMBER))));
    assert_eq!((journal.attempts, journal.intent_at, journal.attempt_id), (0, None, None));

    let asked = scheduled.at_both_clocks("2026-12-01T00:00:05Z").pricing("trial").announced("attempt-1");
    let journal = asked.journal().unwrap().clone();
    assert_eq!((journal.phase, journal.scheduled_for.clone()), (Phase::InFlight, Some(time(DECEMBER))));

    let closed = asked.clone().outcome(AttemptOutcome::Refused(error(ErrorClass::VersionMismatch))).stored();
    let expected = Journal { phase: Phase::Scheduled, ..journal };
    assert_eq!(closed.journal(), Some(&expected));

    let second = Scene { circumstances: crate::pricing::facts::Circumstances::default(), ..closed }
        .announced("attempt-2");
    let retried = second.journal().unwrap();
    assert_eq!((retried.attempts, retried.attempt_id.as_deref()), (2, Some("attempt-2")));

    let done = second.clone().mode("production").stored();
    let completed = done.journal().unwrap();
    assert_eq!((completed.phase, completed.by), (Phase::Completed, Some(SwitchedBy::Controller)));
    assert_eq!(completed.completed_at, Some(time("2026-12-01T00:00:05Z")));
    assert_eq!(completed.attempt_id, retried.attempt_id, "who did it stays on record");
    assert_eq!(condition(done.status(), ConditionType::Ready).status, "True");
}

#[test]
fn a_replaced_plan_names_the_current_connection() {
    let mut moved = Scene::new().at(SwitchAt::MonthStart).stored().edited();
    let Access::Open(connection) = &mut moved.access else { panic!("{:?}", moved.access) };
    connection.key = "team/other".to_owned();
    let journal = moved.report().switch.unwrap();
    assert_eq!(journal.connection.as_deref(), Some("team/other"));
    assert_eq!(journal.intent_generation, Some(2));
}

#[test]
fn a_replaced_plan_keeps_the_record_of_earlier_attempts() {
    let asked = Scene::new().pricing("trial").announced("attempt-1");
    let announced = asked.journal().unwrap().clone();
    let closed = asked.outcome(AttemptOutcome::Refused(error(ErrorClass::VersionMismatch))).stored();
    let planned = closed.forgotten().edited().at(SwitchAt::MonthStart).report().switch.unwrap();
    assert_eq!((planned.phase, planned.scheduled_for), (Phase::Scheduled, Some(time(DECEMBER))));
    assert_eq!((planned.attempts, planned.intent_at), (1, announced.intent_at), "the budget counts it on");
}

#[test]
fn the_first_read_of_a_reconcile_counts_as_seen_before() {
    let scene = Scene::new();
    let seen = having_seen(&scene.object, scene.facts().seen().unwrap());
    let found = Scene { object: seen, ..scene }.mode("production").report();
    assert_eq!(found.switch.unwrap().by, Some(SwitchedBy::Platform));
}

#[test]
fn the_reconcile_now_annotation_is_echoed() {
    let asked = Scene::new().desired(None).asked_to_reconcile("monday").stored();
    assert_eq!(asked.status().last_handled_reconcile_at.as_deref(), Some("monday"));
    let failed = asked.asked_to_reconcile("tuesday").failed(ErrorClass::Unavailable).stored();
    assert_eq!(failed.status().last_handled_reconcile_at.as_deref(), Some("tuesday"));
    let never = Scene::new().desired(None).report();
    assert_eq!(never.last_handled_reconcile_at, None);
}

fn manager(
    name: &str,
    at: Option<&str>,
    fields: serde_json::Value,
    subresource: Option<&str>,
) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        manager: Some(name.to_owned()),
        time: at.map(time),
        fields_v1: Some(FieldsV1(fields)),
        subresource: subresource.map(str::to_owned),
        ..ManagedFieldsEntry::default()
    }
}

fn requested_by(entries: Vec<ManagedFieldsEntry>) -> Option<String> {
    let mut scene = Scene::new().pricing("trial");
    scene.object.metadata.managed_fields = (!entries.is_empty()).then_some(entries);
    scene.announced("attempt-1").journal().unwrap().requested_by.clone()
}

#[test]
fn who_asked_is_the_latest_manager_of_the_mode() {
    let mode = || json!({"f:spec": {"f:mode": {}, "f:tenant": {}}});
    let early = || manager("kustomize-controller", Some("2026-11-20T00:00:00Z"), mode(), None);
    let late = || manager("kubectl-edit", Some("2026-11-22T00:00:00Z"), mode(), None);
    assert_eq!(requested_by(vec![early()]).as_deref(), Some("kustomize-controller"));
    assert_eq!(requested_by(vec![early(), late()]).as_deref(), Some("kubectl-edit"));
    assert_eq!(requested_by(vec![late(), early()]).as_deref(), Some("kubectl-edit"));
    let undated = manager("before-time", None, mode(), Some(""));
    assert_eq!(requested_by(vec![late(), undated.clone()]).as_deref(), Some("kubectl-edit"));
    assert_eq!(requested_by(vec![undated]).as_deref(), Some("before-time"));
}

#[test]
fn who_owns_other_fields_or_a_subresource_did_not_ask() {
    let mode = json!({"f:spec": {"f:mode": {}}});
    let suspend = manager("argocd", Some("2026-11-22T00:00:00Z"), json!({"f:spec": {"f:suspend": {}}}), None);
    let status = manager("other", Some("2026-11-22T00:00:00Z"), mode, Some("status"));
    let mut unspoken = suspend.clone();
    unspoken.fields_v1 = None;
    assert_eq!(requested_by(vec![suspend, status, unspoken]), None);
    assert_eq!(requested_by(Vec::new()), None);
}

#[test]
fn the_mode_that_is_shown_is_the_one_that_counts() {
    let scene = Scene::new().desired(None).mode("trial").pricing("production");
    assert_eq!(scene.report().observed.unwrap().mode, Mode::Production.to_string());
}

#[test]
fn a_name_pins_only_a_customer_that_bears_it_and_exists() {
    let wrong: [fn(&mut crate::pricing::facts::Seen); 4] = [
        |seen| seen.tenant.name = "Acme old".to_owned(),
        |seen| seen.tenant.name = NAME.to_uppercase(),
        |seen| seen.tenant.deleted = true,
        |seen| seen.tenant.kind = crate::platform::TenantKind::Folder,
    ];
    for desired in [None, Some(DesiredMode::Trial), Some(DesiredMode::Production)] {
        for mode in ["trial", "production", "suspended"] {
            for change in wrong {
                let scene = Scene::new().named(NAME).desired(desired).mode(mode).seen(change);
                let status = scene.report();
                assert_eq!(
                    (status.tenant_id.as_ref(), status.observed.as_ref()),
                    (None, None),
                    "{status:#?}"
                );
                assert_eq!(condition(&status, ConditionType::Ready).reason, "TenantNotFound");
                assert_eq!(condition(&status, ConditionType::Production).reason, "NotSeen");
                // The right tenant is pinned as soon as it is found.
                let found = scene.stored().read(Scene::new().mode(mode).read).report();
                assert_eq!(found.tenant_id.as_deref(), Some(TENANT));
            }
        }
    }
    // An id cannot lead to another tenant.
    let by_id = Scene::new().seen(|seen| seen.tenant.deleted = true).report();
    assert_eq!(by_id.tenant_id.as_deref(), Some(TENANT));
}
