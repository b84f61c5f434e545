use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::json;

use super::{
    document::{Source, Story},
    tell,
};
use crate::{
    api::{DesiredMode, SwitchAt, TenantPricing},
    cli::{
        events::record::EventView,
        output::escape::{HOSTILE, is_disruptive},
    },
    pricing::facts::Access,
    testing::{
        fixtures::{DECEMBER, NAME, NOW, Scene, TRIAL_ENDS, instant, time},
        schemas::valid,
    },
};

fn story(scene: &Scene) -> Story {
    valid(tell(&scene.object, &[], Some(&scene.access), Vec::new(), scene.now))
}

fn edited_by(mut scene: Scene, manager: &str, at: &str) -> Scene {
    let fields = json!({"f:spec": {"f:mode": {}, "f:tenant": {}}});
    scene.object.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some(manager.to_owned()),
        time: Some(time(at)),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }]);
    scene
}

fn completed() -> Scene {
    let scene =
        edited_by(Scene::new(), "kustomize-controller", "2026-11-23T09:59:00Z").announced("attempt-1");
    let scene = scene.mode("production").seen(|seen| seen.tenant.production_start = Some(instant(NOW)));
    scene.stored()
}

#[test]
fn a_completed_switch_is_told_from_the_edit_to_the_bill() {
    let mut scene = completed();
    scene.object.metadata.creation_timestamp = Some(time("2026-11-22T10:00:00Z"));
    let reported = story(&scene);
    let past: Vec<(Source, &str)> =
        reported.past.iter().map(|entry| (entry.source, entry.text.as_str())).collect();
    assert_eq!(past[0], (Source::Object, "The object was created."));
    assert_eq!(past[1], (Source::Edit, "Set spec.mode, spec.tenant."));
    assert_eq!(reported.past[1].who.as_deref(), Some("kustomize-controller"));
    let attempt = "Attempt 1 (attempt-1) was announced, for generation 1. spec.mode was set by the field manager \
                   kustomize-controller.";
    assert!(past.contains(&(Source::Journal, attempt)), "{past:#?}");
    assert!(
        past.iter()
            .any(|(source, text)| *source == Source::Condition && text.starts_with("Production became True"))
    );
    assert_eq!(reported.requested_by.as_deref(), Some("kustomize-controller"));
    assert_eq!(reported.bill, "November 2026 was the first month on the bill, as a whole.");
    assert_eq!(reported.billed_month.as_deref(), Some("2026-11"));
    let [only] = reported.next.as_slice() else { panic!("{:#?}", reported.next) };
    assert_eq!((only.reason.as_str(), &only.billed_month), ("InSync", &None));
    assert_eq!(reported.unknown, [""; 0]);
}

#[test]
fn a_scheduled_switch_is_foretold_with_its_month() {
    let reported = story(&Scene::new().at(SwitchAt::MonthStart).stored());
    let [only] = reported.next.as_slice() else { panic!("{:#?}", reported.next) };
    assert_eq!((only.reason.as_str(), only.at), ("SwitchScheduled", Some(instant(DECEMBER))));
    assert_eq!(only.billed_month.as_deref(), Some("2026-12"));
    assert_eq!(reported.bill, "Nothing: the tenant was in trial when it was last read.");
    assert!(
        reported.unknown.iter().any(|unknown| unknown.contains("enabled and not locked")),
        "{:?}",
        reported.unknown
    );
}

#[test]
fn an_edit_that_the_controller_has_not_seen_is_decided() {
    let observed = Scene::new().desired(None).stored();
    let reported = story(&observed.desired(Some(DesiredMode::Production)).edited());
    assert!(reported.object.outdated);
    assert_eq!(
        (reported.next[0].reason.as_str(), reported.next[0].billed_month.as_deref()),
        ("Switching", Some("2026-11"))
    );
    let cancelled = Scene::new().at(SwitchAt::MonthStart).stored().desired(None).edited();
    let reported = story(&cancelled);
    assert_eq!(reported.next[0].reason, "Observed");
    assert_eq!(
        (reported.next[1].reason.as_str(), reported.next[1].at),
        ("AutomaticSwitch", Some(instant(TRIAL_ENDS)))
    );
}

#[test]
fn a_stall_is_taken_from_the_status_with_its_remedy() {
    let reported = story(&Scene::new().locked().stored());
    assert_eq!(reported.next[0].reason, "TenantLocked");
    assert_eq!(reported.next[0].text, "Nothing, until a person acts. Have its owner release the lock.");
    // Once the object is edited, the stall is no longer certain.
    let reported = story(&Scene::new().locked().stored().edited());
    assert_eq!(reported.next[0].reason, "Switching");
    assert!(reported.unknown[0].contains("not locked"), "{:?}", reported.unknown);
}

#[test]
fn what_was_never_read_is_not_known() {
    let reported = story(&Scene::new().named(NAME));
    assert_eq!(
        (reported.next[0].reason.as_str(), reported.next[0].billed_month.as_deref()),
        ("NotRead", None)
    );
    assert_eq!(reported.bill, "Not known: the controller has not read the tenant yet.");
    assert!(!reported.unknown.is_empty());
    let scene = Scene::new().stored();
    let reported = tell(&scene.object, &[], None, Vec::new(), scene.now);
    assert!(reported.unknown.iter().any(|unknown| unknown.starts_with("Whether the connection exists")));
}

#[test]
fn a_missing_connection_stalls_an_object_that_was_edited() {
    let reported = story(&Scene::new().stored().edited().access(Access::NotFound));
    assert_eq!(reported.next[0].reason, "ConnectionNotFound");
}

/// What the rules say of the stored facts is what the status says, whatever the case.
#[test]
fn the_next_step_agrees_with_a_present_status() {
    let scenes = [
        Scene::new().desired(None).stored(),
        Scene::new().desired(Some(DesiredMode::Trial)).stored(),
        Scene::new().at(SwitchAt::MonthStart).stored(),
        Scene::new().mode("production").stored(),
        Scene::new().mode("suspended").stored(),
        Scene::new().suspended().stored(),
        Scene::new().locked().stored(),
        Scene::new().duplicate().stored(),
        Scene::new().access(Access::NotAllowed).stored(),
        completed(),
    ];
    for scene in scenes {
        let reported = story(&scene);
        assert_eq!(
            Some(&reported.next[0].reason),
            reported.object.reason.as_ref(),
            "{:#?}",
            scene.object.status
        );
    }
}

#[test]
fn events_stand_among_the_rest_in_order_of_time() {
    let scene = completed();
    let event = |at: &str, message: &str| EventView {
        at: instant(at),
        kind: "Normal".to_owned(),
        reason: "SwitchRequested".to_owned(),
        namespace: "team".to_owned(),
        name: "acme".to_owned(),
        reporter: "someone".to_owned(),
        message: message.to_owned(),
    };
    let events = [event("2026-11-23T12:00:00Z", "late"), event("2026-11-01T00:00:00Z", "early")];
    let reported = tell(&scene.object, &events, Some(&scene.access), Vec::new(), scene.now);
    assert_eq!(reported.past.first().unwrap().text, "SwitchRequested (Normal): early");
    assert_eq!(reported.past.last().unwrap().text, "SwitchRequested (Normal): late");
    assert!(reported.past.is_sorted_by_key(|entry| entry.at));
}

#[test]
fn the_text_lets_no_foreign_text_through() {
    for hostile in HOSTILE {
        let mut object: TenantPricing = edited_by(
            Scene::new().seen(|seen| seen.tenant.name = (*hostile).to_owned()).stored(),
            hostile,
            NOW,
        )
        .object;
        for condition in &mut object.status.as_mut().unwrap().conditions {
            condition.message = (*hostile).to_owned();
        }
        let reported = tell(&object, &[], None, vec![(*hostile).to_owned()], instant(NOW));
        let text = super::for_terminal(&reported);
        assert!(text.chars().all(|letter| letter == '\n' || !is_disruptive(letter)), "{text:?}");
    }
}
