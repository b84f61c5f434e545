use serde_json::json;

use super::*;
use crate::{
    cli::{
        edit::{change::Field, settled::settled as ended},
        output::escape::{HOSTILE, is_disruptive},
        plan::document::{Change, Entry, Outcome, TenantView},
    },
    testing::fixtures::{NOW, Scene, instant},
};

fn forecast() -> Forecast {
    let entry = Entry {
        namespace: "team".to_owned(),
        name: "acme".to_owned(),
        source: None,
        change: Change::Update,
        tenant: TenantView::default(),
        outcome: Outcome::SwitchLater,
        at: Some(instant("2026-12-01T00:00:00Z")),
        in_days: Some(8),
        billed_month: Some("2026-12".to_owned()),
        reason: "SwitchScheduled".to_owned(),
        message: "The switch takes place on a day.".to_owned(),
        asks_for_production: true,
        not_watched: None,
    };
    Forecast { entry, unknown: vec!["Something.".to_owned()] }
}

#[test]
fn a_summary_says_what_changes_and_what_is_billed() {
    let object = Scene::new().desired(None).stored().object;
    let differences = [Difference { field: Field::Mode, from: json!(null), to: json!("production") }];
    let text = summary(&object, &differences, &forecast());
    for line in [
        "Object:      team/acme",
        "Tenant:      Acme GmbH (0fcd4a69-8a40-4de8-b711-d9c83dc000f7)",
        "Mode:        trial",
        "State:       Ready (Observed)",
        "Edit:        spec.mode: not set -> production",
        "Outcome:     switch later, 2026-12-01T00:00:00Z (in 8 days)",
        "Billed from: 2026-12",
        "The switch takes place on a day.",
        "- Something.",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn an_outcome_has_the_condition_and_the_bill() {
    let object = Scene::new().announced("attempt-1").mode("production").stored().object;
    let (settled, condition) = ended(&object).unwrap();
    let text = outcome(&object, settled, condition, instant(NOW));
    assert!(text.starts_with("team/acme: Done (InSync). "), "{text}");
    assert!(text.contains("\nBilled: November 2026 was the first month on the bill"), "{text}");
    let stalled = Scene::new().locked().stored().object;
    let (settled, condition) = ended(&stalled).unwrap();
    let text = outcome(&stalled, settled, condition, instant(NOW));
    assert!(text.starts_with("team/acme: Stalled: a person must act (TenantLocked). "), "{text}");
}

#[test]
fn hostile_names_and_messages_stay_text() {
    for name in HOSTILE {
        let mut forecast = forecast();
        forecast.entry.message = (*name).to_owned();
        forecast.unknown.push((*name).to_owned());
        let mut object = Scene::new().desired(None).stored().object;
        let observed = object.status.as_mut().unwrap().observed.as_mut().unwrap();
        observed.tenant_name = Some((*name).to_owned());
        let text = summary(&object, &[], &forecast);
        assert!(!text.chars().any(|character| character != '\n' && is_disruptive(character)), "{text:?}");
    }
}
