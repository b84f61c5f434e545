//! The counts of objects and tenants.

use super::*;
use crate::{
    api::{StalledReason, TenantCounts},
    pricing::facts::Access,
};

/// A scene with another tenant for each number.
fn of_tenant(number: u32, scene: Scene) -> Scene {
    let id = format!("{number:08x}-0000-4000-8000-000000000000");
    let mut scene = scene.seen(|seen| seen.tenant.id = tenant_id(&id));
    scene.object.spec.tenant.id = Some(id);
    scene
}

fn counts(index: &Index, now: &str) -> ConnectionCounts {
    let mut counts = index.counts(instant(now));
    counts.connections.remove(&key("default")).unwrap_or_default()
}

/// The tenants that the platform will switch soon, whatever their objects ask for.
fn upcoming(counts: &ConnectionCounts) -> u32 {
    counts.upcoming.values().sum()
}

#[test]
fn objects_are_counted_by_mode_and_ready() {
    let index = Index::default();
    let refused = Scene::new().desired(Some(DesiredMode::Trial)).mode("production");
    for (number, scene) in [
        Scene::new(),
        Scene::new().not_before(DECEMBER),
        Scene::new().not_before("2026-11-30T00:00:00Z"),
        Scene::new().locked(),
        Scene::new().mode("production"),
        refused,
        Scene::new().mode("suspended"),
        Scene::new().mode("barter"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = u32::try_from(number).unwrap();
        let scene = of_tenant(number, scene);
        let scene = if number == 0 { scene } else { scene.stored() };
        apply(&index, &object(scene, &number.to_string(), 0));
    }
    let counts = counts(&index, NOW);
    let counted = ObservedMode::ALL.map(|mode| [true, false].map(|ready| counts.objects(mode, ready)));
    assert_eq!(counted, [[2, 1], [1, 1], [0, 1], [0, 2]]);
    assert_eq!(counts.tenants, TenantCounts { trial: 3, production: 2, suspended: 1, unknown: 2 });
    assert_eq!((counts.scheduled, counts.next_scheduled), (2, Some(instant("2026-11-30T00:00:00Z"))));
    let stalled = [
        StalledReason::TenantLocked,
        StalledReason::ReversalRefused,
        StalledReason::TenantSuspendedOnPlatform,
        StalledReason::UnknownMode,
    ];
    assert_eq!(counts.stalled, stalled.map(|reason| (reason, 1)).into());
}

#[test]
fn a_tenant_counts_once_and_only_where_it_is_admitted() {
    let index = Index::default();
    let mut through_other = scheduled("other", 2);
    through_other.spec.connection_ref.name = "eu2".to_owned();
    let refused = Scene::new().not_before(DECEMBER).stored().access(Access::NotAllowed).stored();
    for object in [scheduled("one", 0), scheduled("two", 1), through_other] {
        apply(&index, &object);
    }
    let all = index.counts(instant("2026-12-28T00:00:00Z")).connections;
    for (connection, objects) in [("default", 2), ("eu2", 1)] {
        let counts = &all[&key(connection)];
        assert_eq!(counts.objects(ObservedMode::Trial, true), objects, "{connection}");
        assert_eq!((counts.tenants.trial, upcoming(counts)), (1, 1), "{connection}");
    }
    for name in ["one", "two"] {
        apply(&index, &object(refused.clone(), name, 0));
    }
    assert_eq!(counts(&index, NOW).tenants, TenantCounts::default());
}

#[test]
fn a_switch_of_the_platform_within_a_week_is_upcoming() {
    let index = Index::default();
    apply(&index, &scheduled("one", 0));
    for (now, expected) in [
        ("2026-12-24T23:59:59Z", 0),
        ("2026-12-25T00:00:00Z", 1),
        // The time has come, but the switch is not done.
        ("2027-01-01T06:00:00Z", 1),
    ] {
        assert_eq!(upcoming(&counts(&index, now)), expected, "{now}");
    }
    let undated = Scene::new().seen(|seen| seen.tenant.production_start = None);
    apply(&index, &object(undated.not_before(DECEMBER).stored(), "one", 0));
    assert_eq!(upcoming(&counts(&index, "2026-12-25T00:00:00Z")), 0);
}

#[test]
fn an_upcoming_switch_says_what_its_object_asks_for() {
    let index = Index::default();
    let near = "2026-12-28T00:00:00Z";
    for (number, (desired, name)) in
        [(None, "observes"), (Some(DesiredMode::Trial), "stays"), (Some(DesiredMode::Production), "switches")]
            .into_iter()
            .enumerate()
    {
        let scene =
            of_tenant(u32::try_from(number).unwrap(), Scene::new().not_before(DECEMBER).desired(desired));
        apply(&index, &object(scene.stored(), name, 0));
    }
    let one_each = [None, Some(DesiredMode::Trial), Some(DesiredMode::Production)].map(|wanted| (wanted, 1));
    assert_eq!(counts(&index, near).upcoming, one_each.into());
}

/// The first object by name only observes, or is not admitted. Another one of the same tenant asks for trial.
#[test]
fn of_several_objects_of_a_tenant_the_one_that_asks_counts() {
    let observes = Scene::new().desired(None).stored();
    let refused = observes.clone().access(Access::NotAllowed).stored();
    for first in [observes, refused] {
        let index = Index::default();
        apply(&index, &object(first, "a", 0));
        for name in ["b", "c"] {
            apply(&index, &object(Scene::new().desired(Some(DesiredMode::Trial)).stored(), name, 1));
        }
        let counts = counts(&index, "2026-12-28T00:00:00Z");
        assert_eq!(counts.tenants.trial, 1);
        assert_eq!(counts.upcoming, [(Some(DesiredMode::Trial), 1)].into());
    }
}

#[test]
fn open_attempts_are_counted_since_the_oldest() {
    let index = Index::default();
    for (number, (name, at)) in
        [("late", "2026-11-23T10:05:00Z"), ("early", "2026-11-23T10:00:00Z")].into_iter().enumerate()
    {
        let scene = of_tenant(u32::try_from(number).unwrap(), Scene::new().announced("ours"));
        let mut open = object(scene, name, 0);
        open.status.as_mut().unwrap().switch.as_mut().unwrap().intent_at = Some(time(at));
        apply(&index, &open);
    }
    apply(
        &index,
        &object(of_tenant(2, Scene::new().announced("ours").mode("production").stored()), "done", 0),
    );
    apply(&index, &object(of_tenant(3, Scene::new().not_before(DECEMBER).stored()), "waits", 0));
    let counted = |index: &Index| {
        let counts = counts(index, NOW);
        (counts.open_attempts, counts.oldest_open_attempt)
    };
    assert_eq!(counted(&index), (2, Some(instant("2026-11-23T10:00:00Z"))));
    let _ = index.remove(&key("early"));
    assert_eq!(counted(&index), (1, Some(instant("2026-11-23T10:05:00Z"))));
}
