use super::*;
use crate::{
    api::SwitchAt,
    testing::fixtures::{NOW, Scene, instant, time},
};

fn of(scene: &Scene) -> Option<Obstacle> {
    obstacle(&scene.object, instant(NOW))
}

fn impossible(scene: &Scene) -> String {
    match of(scene) {
        Some(Obstacle::Impossible(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_switch_that_waits_can_be_cancelled() {
    for scene in [
        Scene::new(),
        Scene::new().at(SwitchAt::MonthStart).stored(),
        Scene::new().exhausted(1, None).stored(),
        Scene::new().suspended().stored(),
        Scene::new().journaled(Phase::Scheduled),
    ] {
        assert_eq!(of(&scene), None);
    }
}

#[test]
fn an_open_attempt_cannot_be_cancelled_and_may_be_billed() {
    let mut open = Scene::new().announced("attempt-1");
    let why = impossible(&open);
    assert!(why.contains("InFlight") && why.contains("The tenant may be billed"), "{why}");
    let journal = open.object.status.as_mut().unwrap().switch.as_mut().unwrap();
    journal.accepted_at = Some(time(NOW));
    let why = impossible(&open);
    assert!(why.contains("accepted the switch in November 2026: the tenant is billed"), "{why}");
}

#[test]
fn a_completed_switch_cannot_be_cancelled() {
    let switched = Scene::new().journaled(Phase::Completed).mode("production").stored();
    let why = impossible(&switched);
    assert!(why.contains("no way back") && why.contains("November 2026 was the first month"), "{why}");
    impossible(&Scene::new().mode("suspended").stored());
}

#[test]
fn without_a_request_there_is_nothing_to_cancel() {
    for mode in [None, Some(DesiredMode::Trial)] {
        assert!(matches!(of(&Scene::new().desired(mode)), Some(Obstacle::NothingToDo(_))), "{mode:?}");
    }
}
