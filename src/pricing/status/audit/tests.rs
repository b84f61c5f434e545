use serde_json::Value;
use tracing_subscriber::{fmt, layer::SubscriberExt};

use super::*;
use crate::{
    api::{Journal, Phase},
    platform::ErrorClass,
    telemetry::capture::Log,
    testing::fixtures::{DECEMBER, NAME, NOW, PLATFORM, Scene, TENANT, error, instant, time},
};

/// The lines that `what` logs, as the log collector gets them.
fn lines(what: impl FnOnce()) -> Vec<Value> {
    let log = Log::new();
    let writer = log.clone();
    let layer = fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), what);
    log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn journal(phase: Phase) -> Journal {
    Journal {
        phase,
        scheduled_for: Some(time(NOW)),
        intent_at: Some(time(NOW)),
        intent_generation: Some(3),
        attempts: 1,
        attempt_id: Some("7c1f".to_owned()),
        platform: Some(PLATFORM.to_owned()),
        connection: Some("platform/eu2".to_owned()),
        accepted_at: None,
        completed_at: None,
        by: None,
        requested_by: Some("kustomize-controller".to_owned()),
    }
}

fn object(switch: Option<Journal>) -> TenantPricing {
    let spec = serde_json::from_value(serde_json::json!({"tenant": {"name": NAME}})).unwrap();
    let mut object = TenantPricing::new("acme", spec);
    object.metadata.namespace = Some("customers".to_owned());
    object.metadata.uid = Some("an-uid".to_owned());
    object.status =
        Some(TenantPricingStatus { tenant_id: Some(TENANT.to_owned()), switch, ..Default::default() });
    object
}

fn requested_line(outcome: Option<&PutOutcome>) -> Value {
    let object = object(Some(journal(Phase::InFlight)));
    let version = PricingVersion::new(1_763_000_000_123);
    let [line] = &lines(|| log_request(&object, version, outcome, instant(NOW)))[..] else {
        panic!("one line")
    };
    line.clone()
}

#[test]
fn the_line_says_who_requested_when_and_what_was_sent() {
    let line = requested_line(Some(&PutOutcome::Accepted));
    for (field, value) in [
        ("level", "INFO"),
        ("target", "audit"),
        ("message", "the platform was asked to switch a tenant to production"),
        ("namespace", "customers"),
        ("name", "acme"),
        ("uid", "an-uid"),
        ("tenant", TENANT),
        ("connection", "platform/eu2"),
        ("platform", PLATFORM),
        ("attempt", "7c1f"),
        ("requested_by", "kustomize-controller"),
        ("announced_at", NOW),
        ("answered_at", NOW),
        ("sent", r#"{"version":1763000000123,"mode":"production"}"#),
        ("answer", "accepted"),
    ] {
        assert_eq!(line[field], value, "{field}: {line:#}");
    }
    assert_eq!((&line["generation"], &line["attempts"]), (&3.into(), &1.into()));
    // There are no other fields. A new one must be checked here, so that it cannot hold a secret.
    assert_eq!(line.as_object().unwrap().len(), 18, "{line:#}");
}

#[test]
fn what_came_back_names_no_month_before_the_tenant_is_read() {
    let refused = requested_line(Some(&PutOutcome::Refused(error(ErrorClass::BusinessRules))));
    assert_eq!(refused["answer"], "refused");
    assert!(
        refused["error"].as_str().unwrap().contains("violates the platform's business rules"),
        "{refused:#}"
    );
    assert_eq!(refused["bills"], Value::Null);

    let unknown = requested_line(Some(&PutOutcome::Unknown(error(ErrorClass::Unavailable))));
    assert_eq!((&unknown["answer"], &unknown["bills"]), (&"unknown".into(), &Value::Null));

    let not_sent = requested_line(Some(&PutOutcome::NotSent(error(ErrorClass::Throttled))));
    assert_eq!(not_sent["message"], "a switch to production was announced and not sent");
    assert_eq!((&not_sent["sent"], &not_sent["bills"]), (&Value::Null, &Value::Null));

    let late = requested_line(None);
    assert_eq!((&late["answer"], &late["sent"]), (&"too_late".into(), &Value::Null));
}

/// The lines about the change from a scene's stored status to `after`'s.
fn settled_lines(before: &Scene, after: &Scene) -> Vec<Value> {
    lines(|| log_outcome(&after.object, before.status()))
}

#[test]
fn a_proven_switch_is_logged_once_with_its_billed_month() {
    let announced = Scene::new().announced("7c1f");
    let done = announced.clone().mode("production").stored();
    let [line] = &settled_lines(&announced, &done)[..] else { panic!("one line") };
    assert_eq!(line["message"], "a tenant is switched to production");
    let at = done.journal().unwrap().completed_at.as_ref().unwrap().0;
    assert_eq!(line["completed_at"], at.to_string());
    assert_eq!((&line["bills"], &line["attempt"]), (&"November 2026".into(), &"7c1f".into()));
    assert_eq!(settled_lines(&done, &done), [Value::Null; 0]);
}

#[test]
fn a_switch_that_somebody_else_did_says_so() {
    let waiting = Scene::new().not_before(DECEMBER).stored();
    let watched = Scene::new().desired(None).stored();
    for before in [waiting, watched] {
        let after = before.clone().mode("production").stored();
        let [line] = &settled_lines(&before, &after)[..] else { panic!("one line") };
        let message = "a tenant was found switched to production, not by this controller";
        assert_eq!((&line["message"], &line["bills"]), (&message.into(), &"November 2026".into()));
    }
}

#[test]
fn an_attempt_without_effect_says_who_had_asked() {
    let open = journal(Phase::InFlight);
    let before = object(Some(open)).status.unwrap();
    for after in [Some(journal(Phase::Scheduled)), None] {
        let [line] = &lines(|| log_outcome(&object(after.clone()), &before))[..] else { panic!("one line") };
        assert_eq!(line["message"], "an announced switch to production did not take effect");
        assert_eq!((&line["requested_by"], &line["bills"]), (&"kustomize-controller".into(), &Value::Null));
    }
    let waiting = object(Some(journal(Phase::Scheduled))).status.unwrap();
    let cancelled = lines(|| log_outcome(&object(None), &waiting));
    assert_eq!(cancelled, [Value::Null; 0], "nothing was announced");
}
