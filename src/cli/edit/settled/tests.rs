use super::*;
use crate::{
    api::{DesiredMode, SwitchAt},
    testing::fixtures::Scene,
};

fn of(object: &TenantPricing) -> Option<(Settled, &str)> {
    settled(object).map(|(settled, condition)| (settled, condition.reason.as_str()))
}

#[test]
fn each_end_of_a_switch_is_recognised() {
    for (scene, settled, reason) in [
        (Scene::new().mode("production"), Settled::Done, "InSync"),
        (Scene::new().desired(None), Settled::Done, "Observed"),
        (Scene::new().suspended(), Settled::Done, "Suspended"),
        (Scene::new().at(SwitchAt::MonthStart), Settled::Scheduled, "SwitchScheduled"),
        (Scene::new().exhausted(1, None), Settled::HeldBack, "SwitchBudgetExhausted"),
        (Scene::new().locked(), Settled::Stalled, "TenantLocked"),
        (Scene::new().duplicate(), Settled::Stalled, "DuplicateTenant"),
    ] {
        assert_eq!(of(&scene.stored().object), Some((settled, reason)), "{reason}");
    }
}

#[test]
fn a_controller_at_work_is_not_the_end() {
    let open = Scene::new().announced("attempt-1").object;
    assert_eq!(of(&open), None, "Progressing");
    assert_eq!(of(&Scene::new().object), None, "the controller has not seen it");
    assert_eq!(of(&TenantPricing { status: None, ..Scene::new().object }), None);
}

/// The status of the edit before says nothing about this one.
#[test]
fn a_status_of_an_earlier_edit_is_not_the_end() {
    let mut object = Scene::new().desired(Some(DesiredMode::Trial)).stored().object;
    assert_eq!(of(&object), Some((Settled::Done, "InSync")));
    object.metadata.generation = object.metadata.generation.map(|generation| generation + 1);
    assert_eq!(of(&object), None);
    assert!(!is_seen(&object) && !is_seen(&TenantPricing { status: None, ..object }));
}

#[test]
fn a_read_counts_for_the_value_that_asked_for_it() {
    let asked = Scene::new().desired(None).asked_to_reconcile("1");
    assert!(!is_reconciled(&asked.object));
    let read = asked.stored();
    assert!(is_reconciled(&read.object));
    assert!(!is_reconciled(&read.asked_to_reconcile("2").object));
    assert!(!is_reconciled(&Scene::new().object), "without the annotation, nothing was asked for");
}
