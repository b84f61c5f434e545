use super::*;
use crate::{
    api::DesiredMode,
    index::Index,
    testing::fixtures::{DECEMBER, NOW, Scene, instant, time},
};

fn key(name: &str) -> Key {
    Key::new("team", name)
}

/// The counts of these objects, each with the connection that it names. Only `default` exists.
fn counts_of(scenes: Vec<(Scene, &str)>) -> FleetCounts {
    let index = Index::default();
    for (number, (scene, connection)) in scenes.into_iter().enumerate() {
        let mut object = scene.object;
        object.metadata.namespace = Some("team".to_owned());
        object.metadata.name = Some(number.to_string());
        object.metadata.uid = Some(format!("uid-{number}"));
        object.spec.connection_ref.name = connection.to_owned();
        object.spec.connection_ref.namespace = None;
        let _ = index.apply(&Key::of(&object), &object);
    }
    FleetCounts::of(&index.counts(instant(NOW)), |connection| *connection == key("default"))
}

fn objects(connection: Option<&str>, mode: ObservedMode, ready: ReadyStatus) -> ObjectsOf {
    ObjectsOf { connection: connection.map(key), mode, ready }
}

#[test]
fn objects_are_counted_by_connection_mode_and_ready() {
    let fleet = counts_of(vec![
        (Scene::new(), "default"),
        (Scene::new().mode("production").stored(), "default"),
        (Scene::new().locked().stored(), "default"),
    ]);
    let expected = [
        (objects(Some("default"), ObservedMode::Unknown, ReadyStatus::Unknown), 1),
        (objects(Some("default"), ObservedMode::Production, ReadyStatus::True), 1),
        (objects(Some("default"), ObservedMode::Trial, ReadyStatus::False), 1),
    ];
    assert_eq!(fleet.objects, expected.into());
    assert_eq!(fleet.stalled.get("TenantLocked"), Some(&1));
    assert_eq!(fleet.stalled.len(), StalledReason::ALL.len(), "a reason without objects is counted as well");
}

#[test]
fn connections_that_somebody_made_up_are_counted_as_one() {
    let fleet = counts_of(vec![(Scene::new(), "a"), (Scene::new(), "b"), (Scene::new(), "c")]);
    assert_eq!(fleet.objects, [(objects(None, ObservedMode::Unknown, ReadyStatus::Unknown), 3)].into());
}

#[test]
fn the_next_switch_is_the_earliest_of_each_connection() {
    let waits = |until: &str| Scene::new().not_before(until).stored();
    let fleet = counts_of(vec![
        (waits("2027-01-01T00:00:00Z"), "default"),
        (waits(DECEMBER), "default"),
        (waits("2026-11-30T00:00:00Z"), "another"),
        (waits("2026-11-29T00:00:00Z"), "third"),
    ]);
    assert_eq!(fleet.scheduled_switches, 4);
    let expected = [(None, instant("2026-11-29T00:00:00Z")), (Some(key("default")), instant(DECEMBER))];
    assert_eq!(fleet.next_switch, expected.into(), "connections that do not exist count as one");
    assert_eq!(counts_of(Vec::new()).next_switch, BTreeMap::new());
}

#[test]
fn the_oldest_attempt_is_that_of_all_connections() {
    let announced = |at: &str| {
        let mut scene = Scene::new().announced("ours");
        scene.object.status.as_mut().unwrap().switch.as_mut().unwrap().intent_at = Some(time(at));
        scene
    };
    let fleet = counts_of(vec![
        (announced("2026-11-23T10:05:00Z"), "default"),
        (announced("2026-11-23T10:00:00Z"), "another"),
    ]);
    let oldest = (fleet.open_attempts, fleet.oldest_open_attempt);
    assert_eq!(oldest, (2, Some(instant("2026-11-23T10:00:00Z"))));
}

#[test]
fn upcoming_switches_are_counted_by_what_their_objects_want() {
    let near = || Scene::new().seen(|seen| seen.tenant.production_start = Some(instant(NOW)));
    let fleet = counts_of(vec![
        (near().desired(Some(DesiredMode::Trial)).stored(), "default"),
        (near().desired(None).stored(), "another"),
        (near().desired(None).stored(), "third"),
    ]);
    let expected = [("trial", 1), ("production", 0), ("none", 2)];
    assert_eq!(fleet.automatic_switches_upcoming, expected.into());
}
