use serde_json::Value;
use tracing_subscriber::{fmt, layer::SubscriberExt};

use super::*;
use crate::{
    api::TenantPricingStatus,
    platform::ErrorClass,
    pricing::scenes::{DECEMBER, NAME, NOW, PLATFORM, TENANT, error, instant, time},
    telemetry::capture::Log,
};

/// The lines that are logged meanwhile, as the log collector gets them.
fn lines(what: impl FnOnce()) -> Vec<Value> {
    let log = Log::new();
    let writer = log.clone();
    let layer = fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), what);
    log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn journal(phase: Phase) -> Journal {
    let completed = phase == Phase::Completed;
    Journal {
        phase,
        scheduled_for: Some(time(NOW)),
        intent_at: Some(time(NOW)),
        intent_generation: Some(3),
        attempts: 1,
        attempt_id: Some("7c1f".to_owned()),
        platform: Some(PLATFORM.to_owned()),
        connection: Some("platform/eu2".to_owned()),
        completed_at: completed.then(|| time(DECEMBER)),
        by: completed.then_some(SwitchedBy::Controller),
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

fn asked_line(outcome: &PutOutcome) -> Value {
    let object = object(Some(journal(Phase::InFlight)));
    let version = PricingVersion::new(1_763_000_000_123);
    let [line] = &lines(|| asked(&object, version, outcome, instant(NOW)))[..] else { panic!("one line") };
    line.clone()
}

#[test]
fn the_line_says_who_asked_when_what_was_sent_and_what_it_bills() {
    let line = asked_line(&PutOutcome::Accepted);
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
        ("bills", "November 2026"),
    ] {
        assert_eq!(line[field], value, "{field}: {line:#}");
    }
    assert_eq!((&line["generation"], &line["attempts"]), (&3.into(), &1.into()));
}

#[test]
fn what_came_back_is_told_and_bills_nothing_when_it_took_no_effect() {
    let refused = asked_line(&PutOutcome::Refused(error(ErrorClass::BusinessRules)));
    assert_eq!(refused["answer"], "refused");
    assert!(
        refused["error"].as_str().unwrap().contains("against the platform's business rules"),
        "{refused:#}"
    );
    assert_eq!(refused["bills"], Value::Null);

    let unknown = asked_line(&PutOutcome::Unknown(error(ErrorClass::Unavailable)));
    assert_eq!((&unknown["answer"], &unknown["bills"]), (&"unknown".into(), &"November 2026".into()));

    let not_sent = asked_line(&PutOutcome::NotSent(error(ErrorClass::Throttled)));
    assert_eq!(not_sent["message"], "a switch to production was announced and not sent");
    assert_eq!((&not_sent["sent"], &not_sent["bills"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_switch_that_is_proven_is_told_once_with_the_month_it_is_billed_in() {
    let (open, done) = (journal(Phase::InFlight), object(Some(journal(Phase::Completed))));
    let [line] = &lines(|| settled(&done, Some(&open)))[..] else { panic!("one line") };
    assert_eq!(line["message"], "a tenant is switched to production");
    assert_eq!((&line["completed_at"], &line["bills"]), (&DECEMBER.into(), &"December 2026".into()));
    assert_eq!((&line["requested_by"], &line["attempt"]), (&"kustomize-controller".into(), &"7c1f".into()));
    let again = lines(|| settled(&done, Some(&journal(Phase::Completed))));
    assert_eq!(again, [Value::Null; 0]);
}

#[test]
fn a_switch_that_somebody_else_did_says_so() {
    let by_platform = Journal { by: Some(SwitchedBy::Platform), ..journal(Phase::Completed) };
    let [line] = &lines(|| settled(&object(Some(by_platform)), Some(&journal(Phase::Scheduled))))[..] else {
        panic!("one line")
    };
    assert_eq!(line["message"], "a tenant was found switched to production, not by this controller");
}

#[test]
fn an_attempt_without_effect_says_who_had_asked() {
    let open = journal(Phase::InFlight);
    for after in [Some(journal(Phase::Scheduled)), None] {
        let [line] = &lines(|| settled(&object(after.clone()), Some(&open)))[..] else { panic!("one line") };
        assert_eq!(line["message"], "an announced switch to production did not take effect");
        assert_eq!((&line["requested_by"], &line["bills"]), (&"kustomize-controller".into(), &Value::Null));
    }
    let cancelled = lines(|| settled(&object(None), Some(&journal(Phase::Scheduled))));
    assert_eq!(cancelled, [Value::Null; 0], "nothing was announced");
}
