use std::time::Duration;

use super::{
    formats,
    record::{Collector, History, Outcome, Period},
};
use crate::{
    api::{DesiredMode, SwitchAt},
    cli::output::escape::{HOSTILE, is_disruptive},
    testing::{
        fixtures::{NOW, Scene, TENANT, instant, time},
        schemas::valid,
    },
};

fn history(scenes: impl IntoIterator<Item = Scene>, period: Period) -> History {
    let mut collector = Collector::of(period);
    for (number, scene) in scenes.into_iter().enumerate() {
        let mut object = scene.object;
        object.metadata.name = Some(format!("object-{number:02}"));
        collector.add(&object);
    }
    valid(collector.history(None, instant(NOW)))
}

fn completed() -> Scene {
    let scene = Scene::new().announced("attempt-1").mode("production");
    scene.seen(|seen| seen.tenant.production_start = Some(instant(NOW))).stored()
}

/// The tenant was read in trial for an object that asks for no mode, and then in production with this date.
fn by_the_platform(date: Option<&str>) -> Scene {
    let scene = Scene::new().desired(None).seen(|seen| seen.tenant.production_start = None).stored();
    let scene = scene.mode("production").at_both_clocks("2026-12-02T10:00:00Z");
    scene.seen(|seen| seen.tenant.production_start = date.map(instant)).stored()
}

#[test]
fn a_switch_of_the_controller_has_edit_attempt_and_month() {
    let history = history([completed()], Period::default());
    let [switch] = history.switches.as_slice() else { panic!("{history:#?}") };
    assert_eq!((switch.outcome, switch.by.as_deref()), (Outcome::Switched, Some("Controller")));
    assert_eq!((switch.at, switch.billed_month.as_deref()), (Some(instant(NOW)), Some("2026-11")));
    assert_eq!(
        (switch.generation, switch.attempt, switch.attempt_id.as_deref()),
        (Some(1), 1, Some("attempt-1"))
    );
    assert_eq!(
        (switch.tenant_id.as_deref(), switch.connection.as_deref()),
        (Some(TENANT), Some("team/default"))
    );
    let [month] = history.months.as_slice() else { panic!("{history:#?}") };
    assert_eq!(
        (month.month.as_str(), month.switches, month.by_controller, month.by_platform),
        ("2026-11", 1, 1, 0)
    );
}

#[test]
fn a_switch_of_the_platform_is_billed_by_its_date_alone() {
    let of_another = |mut scene: Scene| {
        scene.object.status.as_mut().unwrap().tenant_id = Some("another".to_owned());
        scene
    };
    let scenes = [by_the_platform(Some("2026-12-01T00:00:00Z")), of_another(by_the_platform(None))];
    let history = history(scenes, Period::default());
    let [dated, undated] = history.switches.as_slice() else { panic!("{history:#?}") };
    assert_eq!((dated.by.as_deref(), dated.billed_month.as_deref()), (Some("Platform"), Some("2026-12")));
    // It was found on 2 December, and may have been switched in November.
    assert_eq!((undated.at, &undated.billed_month), (Some(instant("2026-12-02T10:00:00Z")), &None));
    let months: Vec<&str> = history.months.iter().map(|month| month.month.as_str()).collect();
    assert_eq!(months, ["2026-12", "unknown"]);
}

/// An object that only observes, and a duplicate, see the switch of another object as one of the platform.
#[test]
fn the_switch_of_a_tenant_with_several_objects_counts_once() {
    let seen = || by_the_platform(Some("2026-11-05T12:00:00Z"));
    for (scenes, by) in [
        ([seen(), completed()], "Controller"),
        ([completed(), seen()], "Controller"),
        ([seen(), seen()], "Platform"),
    ] {
        let history = history(scenes, Period::default());
        let [switch] = history.switches.as_slice() else { panic!("{history:#?}") };
        assert_eq!(switch.by.as_deref(), Some(by));
        assert_eq!(history.months.iter().map(|month| month.switches).sum::<u32>(), 1);
    }
    // The journal is of November, and the other object saw the tenant in December.
    let december = Period { since: Some(instant("2026-12-01T00:00:00Z")), until: None };
    assert_eq!(history([completed(), by_the_platform(None)], december).switches, []);
}

#[test]
fn open_attempts_are_listed_as_what_they_are() {
    let accepted = Scene::new().announced("attempt-1").accepted(Duration::ZERO).stored();
    let history = history([Scene::new().announced("attempt-2"), accepted], Period::default());
    let outcomes: Vec<_> = history
        .switches
        .iter()
        .map(|switch| (switch.outcome, switch.billed_month.as_deref(), switch.by.as_deref()))
        .collect();
    assert_eq!(
        outcomes,
        [(Outcome::Unknown, None, None), (Outcome::Accepted, Some("2026-11"), Some("Controller"))]
    );
}

#[test]
fn what_is_no_switch_on_record_is_not_listed() {
    let scenes = [
        Scene::new(),
        Scene::new().desired(None).stored(),
        Scene::new().at(SwitchAt::MonthStart).stored(),
        Scene::new().locked().stored(),
        Scene::new().mode("production").stored(),
        Scene::new().desired(Some(DesiredMode::Trial)).mode("production").stored(),
    ];
    let history = history(scenes, Period::default());
    assert!(history.switches.is_empty(), "{history:#?}");
    assert_eq!(history.switched_before, 2);
    assert!(history.limits.contains("2 tenants that were in production before"), "{}", history.limits);
}

/// A tenant that is suspended now, with this date of its switch, for an object of this age.
fn suspended(scene: Scene, date: Option<&str>, created: &str) -> Scene {
    let mut scene = scene.mode("suspended").at_both_clocks("2026-12-03T10:00:00Z");
    scene = scene.seen(|seen| seen.tenant.production_start = date.map(instant)).stored();
    scene.object.metadata.creation_timestamp = Some(time(created));
    scene
}

#[test]
fn a_suspended_tenant_keeps_its_switch_in_the_list() {
    const OLD: &str = "2026-10-01T00:00:00Z";
    const DATE: &str = "2026-12-01T00:00:00Z";
    let observed = || by_the_platform(Some(DATE));
    let again = suspended(observed(), Some(DATE), OLD).mode("production").stored();
    for (scene, listed) in [
        (suspended(observed(), Some(DATE), OLD), (1, 0, 0)),
        // The condition says AlreadyProduction when the tenant goes on.
        (again, (1, 0, 0)),
        // The controller has a journal, whatever the platform says.
        (suspended(completed(), None, OLD), (1, 0, 0)),
        // The object is younger than the switch, or as young: it has not seen it.
        (suspended(Scene::new().desired(None), Some(OLD), DATE), (0, 1, 0)),
        (suspended(Scene::new().desired(None), Some(DATE), DATE), (0, 1, 0)),
        (suspended(Scene::new().desired(None), None, OLD), (0, 0, 1)),
        // A date to come is that of another switch.
        (suspended(Scene::new().desired(None), Some("2027-01-01T00:00:00Z"), OLD), (0, 0, 1)),
    ] {
        let condition = format!("{:?}", scene.object.status.as_ref().map(|status| &status.conditions));
        let history = history([scene], Period::default());
        let found = (history.switches.len(), history.switched_before, history.undated);
        assert_eq!(found, listed, "{condition}\n{history:#?}");
        assert!(
            history.undated == 0 || history.limits.contains("1 suspended tenant: the platform gives no date")
        );
        assert!(history.switches.iter().all(|switch| switch.billed_month.is_some()), "{history:#?}");
    }
}

#[test]
fn a_period_has_its_first_instant_and_not_its_last() {
    let count = |since: Option<&str>, until: Option<&str>| {
        let period = Period { since: since.map(instant), until: until.map(instant) };
        history([completed()], period).switches.len()
    };
    let (before, after) = ("2026-11-23T09:59:59Z", "2026-11-23T10:00:01Z");
    assert_eq!([count(Some(NOW), None), count(Some(before), None), count(Some(after), None)], [1, 1, 0]);
    assert_eq!([count(None, Some(NOW)), count(None, Some(before)), count(None, Some(after))], [0, 0, 1]);
}

#[test]
fn the_last_line_says_what_cannot_be_known() {
    for scenes in [vec![], vec![completed()]] {
        let text = formats::for_terminal(&history(scenes, Period::default()));
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("Switches of objects that were deleted since are not in this list."),
            "{text}"
        );
    }
}

#[test]
fn no_format_lets_foreign_text_through() {
    let scenes = HOSTILE.iter().map(|hostile| {
        let mut scene = completed();
        let status = scene.object.status.as_mut().unwrap();
        status.observed.as_mut().unwrap().tenant_name = Some((*hostile).to_owned());
        let journal = status.switch.as_mut().unwrap();
        journal.requested_by = Some((*hostile).to_owned());
        journal.attempt_id = Some((*hostile).to_owned());
        journal.completed_at = Some(time(NOW));
        scene
    });
    let history = history(scenes, Period::default());
    let is_plain = |text: &str| text.chars().all(|letter| letter == '\n' || !is_disruptive(letter));
    assert!(is_plain(&formats::for_terminal(&history)));
    assert!(is_plain(&formats::beside_csv(&history)));
    let csv = formats::as_csv(&history).unwrap();
    assert!(is_plain(&csv.replace("\r\n", "\n")), "{csv:?}");
    assert_eq!(csv.lines().count(), HOSTILE.len() + 1);
    let is_formula = |cell: &str| cell.trim_start_matches('"').trim_start().starts_with(['=', '+', '@', '-']);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    for row in reader.records() {
        assert!(!row.unwrap().iter().any(is_formula), "{csv}");
    }
}
