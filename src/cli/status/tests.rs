use jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::time::Instant;

use super::{
    document::{ObjectState, Status},
    fleet::Fleet,
    formats::{self, Detail},
    story::document::Story,
};
use crate::{
    api::{AllowedNamespaces, DesiredMode, NamespacesFrom, PlatformConnection, SwitchAt, TenantPricing},
    cli::{cluster::scope::Scope, history::record::History, output::escape},
    cluster::Key,
    testing::{
        fixtures::{DECEMBER, NOW, Scene, TRIAL_ENDS, connection, instant},
        golden, schemas,
    },
};

fn named(scene: Scene, name: &str) -> TenantPricing {
    let mut object = scene.object;
    object.metadata.name = Some(name.to_owned());
    object.metadata.uid = Some(format!("uid-of-{name}"));
    object
}

fn default_connection(from: NamespacesFrom) -> PlatformConnection {
    let mut connection = connection(AllowedNamespaces { from, selector: None });
    connection.metadata = ObjectMeta {
        name: Some("default".to_owned()),
        namespace: Some("team".to_owned()),
        ..ObjectMeta::default()
    };
    connection.spec.switch.budget.count = 1;
    connection
}

fn scope() -> Scope {
    Scope { namespace: Some("team".to_owned()), selector: None }
}

fn status(fleet: &Fleet, until: &str) -> Status {
    schemas::valid(fleet.status(&scope(), instant(NOW), instant(until), Instant::now()))
}

/// One object of each kind that the report has a part for.
fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    for object in [
        named(Scene::new().desired(None).stored(), "observed"),
        named(Scene::new().at(SwitchAt::MonthStart).stored(), "scheduled"),
        named(Scene::new().announced("attempt-1"), "in-flight"),
        named(Scene::new().locked().stored(), "locked"),
        named(Scene::new().mode("production").desired(Some(DesiredMode::Trial)).stored(), "reversed"),
        named(Scene::new().desired(None), "new"),
    ] {
        fleet.apply(&object);
    }
    fleet.apply_connection(default_connection(NamespacesFrom::Same));
    fleet
}

fn names<'a>(subjects: impl IntoIterator<Item = &'a super::document::Subject>) -> Vec<&'a str> {
    subjects.into_iter().map(|subject| subject.name.as_str()).collect()
}

#[test]
fn each_part_has_its_objects_and_no_others() {
    let status = status(&fleet(), "2027-02-01T00:00:00Z");
    assert_eq!(names(status.scheduled.iter().map(|waits| &waits.subject)), ["scheduled"]);
    assert_eq!(
        (status.scheduled[0].at, status.scheduled[0].billed_month.as_str()),
        (instant(DECEMBER), "2026-12")
    );
    assert_eq!(names(status.in_flight.iter().map(|attempt| &attempt.subject)), ["in-flight"]);
    assert_eq!((status.in_flight[0].since, status.in_flight[0].attempt), (Some(instant(NOW)), 1));
    // The controller switches `scheduled` and `in-flight` before the platform would. Of `new` nothing is known.
    assert_eq!(names(status.automatic.iter().map(|switch| &switch.subject)), ["locked", "observed"]);
    assert_eq!(status.automatic[0].at, instant(TRIAL_ENDS));
    let reasons: Vec<&str> = status.stalled.iter().map(|stall| stall.reason.as_str()).collect();
    assert_eq!(reasons, ["ReversalRefused", "TenantLocked"]);
    assert_eq!(status.stalled[1].remedy.as_deref(), Some("Have its owner release the lock"));
    let unseen: Vec<&str> = status
        .objects
        .iter()
        .filter(|view| view.state == ObjectState::NotSeen)
        .map(|view| view.name.as_str())
        .collect();
    assert_eq!(unseen, ["new"]);
}

#[test]
fn a_held_switch_is_not_listed_as_scheduled() {
    let mut object = named(Scene::new().at(SwitchAt::MonthStart).stored(), "held");
    object.spec.suspend = true;
    let mut fleet = Fleet::default();
    fleet.apply(&object);
    fleet.apply_connection(default_connection(NamespacesFrom::Same));
    let status = status(&fleet, "2027-02-01T00:00:00Z");
    assert!(status.scheduled.is_empty(), "{status:#?}");
    assert_eq!(status.connections[0].scheduled, 0, "the same rule");
}

#[test]
fn automatic_switches_are_shown_until_the_given_time() {
    let before: Timestamp = "2026-12-31T23:59:59Z".parse().unwrap();
    let fleet = fleet();
    assert!(status(&fleet, &before.to_string()).automatic.is_empty());
    assert_eq!(status(&fleet, TRIAL_ENDS).automatic.len(), 2);
}

#[test]
fn counts_are_those_of_the_index() {
    let status = status(&fleet(), NOW);
    let of = |mode: &str| {
        let count = status.modes.iter().find(|count| count.mode == mode).unwrap();
        (count.ready, count.not_ready, count.not_seen)
    };
    assert_eq!((of("trial"), of("production"), of("unknown")), ((2, 2, 0), (0, 1, 0), (0, 0, 1)));
    let [only] = status.connections.as_slice() else { panic!("{:?}", status.connections) };
    assert_eq!(
        (only.namespace.as_str(), only.name.as_str(), only.reason.as_str()),
        ("team", "default", "NotSeen")
    );
    assert_eq!(only.modes, status.modes);
}

#[test]
fn a_budget_counts_open_attempts_and_says_when_there_is_room() {
    let budget = |fleet: &Fleet, scope: &Scope| {
        let status = fleet.status(scope, instant(NOW), instant(NOW), Instant::now());
        status.connections[0].budget.clone().unwrap()
    };
    let mut fleet = fleet();
    let used = budget(&fleet, &scope());
    assert_eq!((used.used, used.count, used.window.as_str(), used.complete), (1, 1, "1 h", true));
    assert_eq!(used.next_room, Some(instant("2026-11-23T11:00:01Z")));
    let selected = Scope { selector: Some("a=b".to_owned()), ..scope() };
    assert!(!budget(&fleet, &selected).complete, "others may have used it");
    fleet.apply_connection(default_connection(NamespacesFrom::All));
    assert!(!budget(&fleet, &scope()).complete, "objects of other namespaces may have used it");
    assert!(budget(&fleet, &Scope::default()).complete);
    fleet.remove(&Key::new("team", "in-flight"));
    assert_eq!(budget(&fleet, &scope()).used, 1, "a deleted object gives no place back");
}

#[test]
fn a_connection_that_is_not_known_is_named_with_the_reason() {
    let mut fleet = Fleet::default();
    fleet.apply(&named(Scene::new(), "acme"));
    assert_eq!(fleet.unknown_connections().into_iter().collect::<Vec<_>>(), [Key::new("team", "default")]);
    fleet.is_missing(Key::new("team", "default"), "NotReadable".to_owned());
    assert!(fleet.unknown_connections().is_empty());
    let status = status(&fleet, NOW);
    assert_eq!(
        (status.connections[0].reason.as_str(), &status.connections[0].budget),
        ("NotReadable", &None)
    );
}

#[test]
fn parts_show_some_rows_and_wide_shows_all() {
    let mut fleet = Fleet::default();
    for number in 0..30 {
        let scene = if number < 22 { Scene::new().at(SwitchAt::MonthStart) } else { Scene::new().locked() };
        fleet.apply(&named(scene.stored(), &format!("object-{number:02}")));
    }
    let status = status(&fleet, NOW);
    let parts = formats::report(&status, "namespace team", Detail::Parts);
    assert!(parts.contains("and 2 more: -o wide shows all"), "{parts}");
    assert!(parts.contains("object-19") && !parts.contains("object-20"), "{parts}");
    assert!(parts.contains("object-26") && !parts.contains("object-27"), "five of a stall\n{parts}");
    let all = formats::report(&status, "namespace team", Detail::All);
    assert!(
        !all.contains("more: -o wide") && (0..30).all(|number| all.contains(&format!("object-{number:02}")))
    );
}

#[test]
fn no_format_lets_foreign_text_through() {
    let mut fleet = Fleet::default();
    for (number, hostile) in escape::HOSTILE.iter().enumerate() {
        let mut scene = Scene::new().seen(|seen| seen.tenant.name = (*hostile).to_owned()).locked().stored();
        for condition in &mut scene.object.status.as_mut().unwrap().conditions {
            condition.message = (*hostile).to_owned();
        }
        fleet.apply(&named(scene, &format!("object-{number:02}")));
    }
    fleet.notes.push(escape::HOSTILE.concat());
    let status = status(&fleet, "2030-01-01T00:00:00Z");
    let is_plain = |text: &str| text.chars().all(|letter| letter == '\n' || !escape::is_disruptive(letter));
    for detail in [Detail::Parts, Detail::All] {
        let report = formats::report(&status, escape::HOSTILE[0], detail);
        assert!(is_plain(&report), "{report:?}");
    }
    assert!(is_plain(&formats::names(&status)));
    let csv = formats::as_csv(&status).unwrap();
    assert!(is_plain(&csv.replace("\r\n", "\n")), "{csv:?}");
    assert_eq!(csv.lines().count(), escape::HOSTILE.len() + 1, "one line for each object\n{csv}");
    for view in &status.objects {
        let line = formats::line(instant(NOW), view, false);
        assert!(is_plain(&line) && line.lines().count() == 1, "{line:?}");
    }
}

#[test]
fn the_checked_in_schemas_are_those_of_the_documents() {
    for (name, schema) in [
        ("status", schemars::schema_for!(Status)),
        ("story", schemars::schema_for!(Story)),
        ("history", schemars::schema_for!(History)),
        ("events", schemars::schema_for!(crate::cli::events::record::Events)),
    ] {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        golden::compare(&format!("schemas/{name}-v1.json"), &text).unwrap_or_else(|error| panic!("{error}"));
    }
}
