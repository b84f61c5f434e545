//! Switches that wait: for the first of a month, for an instant, for the end of a suspension.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy, TenantPricing},
    simulator::{Fault, FaultAction, FaultId, Operation, PRODUCTION, TenantSpec},
};

use crate::harness::{Controller, PATIENCE, Test, condition, has, reason};

const IN_NOVEMBER: &str = "2026-11-23T12:00:00Z";
const END_OF_NOVEMBER: &str = "2026-11-30T23:59:57Z";

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

/// A test whose clocks stand in November, with one tenant and a connection.
async fn in_november(name: &str, connection: serde_json::Value) -> (Test, String) {
    let test = Test::new(name).await;
    test.set_time(at(IN_NOVEMBER));
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", connection).await;
    (test, tenant)
}

fn scheduled_for(object: &TenantPricing) -> Option<Timestamp> {
    Some(object.status.as_ref()?.switch.as_ref()?.scheduled_for.as_ref()?.0)
}

fn is_scheduled(object: &TenantPricing) -> bool {
    reason(object, "Ready") == "SwitchScheduled"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_start_is_switched_once_the_month_has_begun() {
    let (test, tenant) = in_november("month-start", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
    let object = test.until("acme", "is scheduled", is_scheduled).await;
    assert_eq!(scheduled_for(&object), Some(at("2026-12-01T00:00:00Z")));
    assert!(has(&object, "Ready", "True"), "waiting for its day is not a fault");
    // Three seconds before midnight it is read once more; the rest the controller does without help.
    test.set_time(at(END_OF_NOVEMBER));
    test.reconcile_now("acme", "last-minute").await;
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let journal = object.status.unwrap().switch.unwrap();
    assert_eq!((journal.phase, journal.by), (Phase::Completed, Some(SwitchedBy::Controller)));
    let requests = test.simulator.requests();
    let put = requests.iter().find(|request| request.method == "PUT").unwrap();
    assert!(put.started >= at("2026-12-01T00:00:00Z"), "sent at {}", put.started);
    test.until_events("acme", &["SwitchScheduled", "SwitchRequested", "SwitchCompleted"]).await;
    let (_, note) = test.event_notes("acme").await.pop().unwrap();
    assert!(note.contains("December 2026"), "the month on the bill: {note}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_clock_alone_makes_a_month_start_due() {
    for (name, controller, platform) in [
        ("controller-ahead", "2026-12-01T00:10:00Z", "2026-11-30T23:50:00Z"),
        ("platform-ahead", "2026-11-30T23:50:00Z", "2026-12-01T00:10:00Z"),
    ] {
        let (test, tenant) = in_november(name, json!({})).await;
        test.controller().await;
        test.production("acme", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
        test.until("acme", "is scheduled", is_scheduled).await;
        test.simulator.set_clock(at(platform));
        test.set_controller_time(at(controller));
        test.reconcile_now("acme", "one-clock").await;
        assert_eq!(test.simulator.puts(&tenant), 0, "{name}");
        test.set_time(at("2026-12-01T00:10:00Z"));
        test.reconcile_now("acme", "both-clocks").await;
        test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
        test.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_platforms_clock_nothing_is_sent() {
    let (test, tenant) = in_november("no-date", json!({})).await;
    test.simulator.inject(Fault::new(FaultAction::MissingDate));
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "waits", |object| has(object, "Reconciling", "True")).await;
    assert_eq!(reason(&object, "Reconciling"), "ClockSkew");
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.simulator.clear_faults();
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_before_holds_a_switch_back() {
    let (test, tenant) = in_november("not-before", json!({})).await;
    test.controller().await;
    let switch = json!({"switch": {"notBefore": "2026-11-25T08:30:00Z"}});
    test.production("acme", &tenant, switch).await;
    let object = test.until("acme", "is scheduled", is_scheduled).await;
    assert_eq!(scheduled_for(&object), Some(at("2026-11-25T08:30:00Z")));
    test.set_time(at("2026-11-25T08:29:58Z"));
    test.reconcile_now("acme", "1").await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let requests = test.simulator.requests();
    let put = requests.iter().find(|request| request.method == "PUT").unwrap();
    assert!(put.started >= at("2026-11-25T08:30:00Z"), "sent at {}", put.started);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn editing_the_mode_or_deleting_cancels_a_waiting_switch() {
    let (test, _) = in_november("cancelled", json!({"switch": {"at": "MonthStart"}})).await;
    let tenants = test.simulator.add_customers(3, "Customer");
    test.controller().await;
    for (name, tenant) in ["back", "away", "deleted"].iter().zip(&tenants) {
        test.production(name, tenant, json!({})).await;
        test.until(name, "is scheduled", is_scheduled).await;
    }
    test.kubectl_patch("tp", "back", r#"{"spec":{"mode":"trial"}}"#).await.success();
    test.kubectl_patch("tp", "away", r#"{"spec":{"mode":null}}"#).await.success();
    test.kubectl(&["delete", "tp", "deleted"]).await.success();
    for (name, ready) in [("back", "InSync"), ("away", "Observed")] {
        let cancelled = |object: &TenantPricing| object.status.as_ref().unwrap().switch.is_none();
        let object = test.until(name, "is cancelled", cancelled).await;
        assert_eq!(reason(&object, "Ready"), ready);
        test.until_events(name, &["SwitchScheduled", "SwitchCancelled"]).await;
    }
    test.set_time(at("2026-12-01T00:00:10Z"));
    for name in ["back", "away"] {
        test.reconcile_now(name, "in-december").await;
    }
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_object_or_connection_holds_a_due_switch() {
    let (test, _) = in_november("held", json!({"switch": {"at": "MonthStart"}})).await;
    let tenants = test.simulator.add_customers(2, "Customer");
    test.connection("stopped", json!({"switch": {"at": "MonthStart"}})).await;
    test.controller().await;
    test.production("object", &tenants[0], json!({})).await;
    test.production("connection", &tenants[1], json!({"connectionRef": {"name": "stopped"}})).await;
    for name in ["object", "connection"] {
        test.until(name, "is scheduled", is_scheduled).await;
    }
    let suspend = |kind: &'static str, name: &'static str, value: bool| {
        let patch = format!(r#"{{"spec":{{"suspend":{value}}}}}"#);
        let test = &test;
        async move { test.kubectl(&["patch", kind, name, "--type=merge", "-p", &patch]).await.success() }
    };
    suspend("tp", "object", true).await;
    let object = test.until("object", "is suspended", |object| reason(object, "Ready") == "Suspended").await;
    assert_eq!(object.status.unwrap().switch.unwrap().phase, Phase::Scheduled, "it waits on");
    suspend("pconn", "stopped", true).await;
    test.set_time(at("2026-12-01T00:00:10Z"));
    // A switch that is due needs its connection, and names what it waits for.
    test.reconcile_now("connection", "stopped").await;
    let object = test.until("connection", "reports it", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady");
    let calls = test.simulator.requests().len();
    test.reconcile_now("connection", "stopped-again").await;
    test.reconcile_now("object", "stopped").await;
    assert_eq!(test.simulator.requests().len(), calls, "no call at all");
    assert_eq!(test.simulator.total_puts(), 0);
    suspend("tp", "object", false).await;
    suspend("pconn", "stopped", false).await;
    for name in ["object", "connection"] {
        test.until(name, "is switched", |object| has(object, "Production", "True")).await;
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_edit_of_the_connection_brings_nothing_forward() {
    let (test, tenant) = in_november("brought-forward", json!({"switch": {"at": "MonthStart"}})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is scheduled", is_scheduled).await;
    test.kubectl_patch("pconn", "default", r#"{"spec":{"switch":{"at":"Immediately"}}}"#).await.success();
    test.reconcile_now("acme", "edited").await;
    let object = test.until("acme", "is scheduled", is_scheduled).await;
    assert_eq!(scheduled_for(&object), Some(at("2026-12-01T00:00:00Z")));
    // An edit of the object is a new request, by the connection as it is now.
    test.kubectl_patch("tp", "acme", r#"{"spec":{"switch":{"at":"Immediately"}}}"#).await.success();
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_start_missed_for_a_month_is_scheduled_again() {
    let (test, tenant) = in_november("missed", json!({})).await;
    // Born on the first, it stays in trial into the new year by the platform's rules when moved there.
    test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.production_start_date = None);
    let controller = test.controller().await;
    test.production("acme", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
    test.until("acme", "is scheduled", is_scheduled).await;
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    test.set_time(at("2027-01-05T00:00:00Z"));
    test.controller().await;
    let again = |object: &TenantPricing| scheduled_for(object) == Some(at("2027-02-01T00:00:00Z"));
    test.until("acme", "is scheduled again", again).await;
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.finish().await;
}

/// The platform switches the tenant while its own switch waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_by_the_platform_is_not_reported_as_ours() {
    let (test, tenant) = in_november("by-platform", json!({})).await;
    let start = test.simulator.tenant(&tenant).unwrap().pricing.production_start_date.unwrap();
    let watched = test.simulator.add_tenant(TenantSpec::customer("Watched"));
    test.controller().await;
    let later = (start + SignedDuration::from_hours(24 * 40)).to_string();
    test.production("acme", &tenant, json!({"switch": {"notBefore": later}})).await;
    test.tenant_pricing("watched", json!({"tenant": {"id": watched}})).await;
    test.until("acme", "is scheduled", is_scheduled).await;
    let object = test.until("watched", "is seen", |object| has(object, "Ready", "True")).await;
    let forecast = object.status.unwrap().observed.unwrap().production_start_date.unwrap().0;
    assert_eq!(forecast, start, "the forecast is the platform's");
    test.set_time(start + SignedDuration::from_secs(10));
    test.reconcile_now("acme", "after").await;
    test.reconcile_now("watched", "after").await;
    let object = test.until("acme", "is in production", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByPlatform");
    let journal = object.status.unwrap().switch.unwrap();
    assert_eq!((journal.phase, journal.by), (Phase::Completed, Some(SwitchedBy::Platform)));
    assert_eq!(journal.completed_at.unwrap().0, start);
    let object = test.until("watched", "is in production", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByPlatform");
    assert!(object.status.unwrap().switch.is_none(), "nothing was asked");
    test.until_events("acme", &["SwitchScheduled", "SwitchedByPlatform"]).await;
    test.until_events("watched", &["SwitchedByPlatform"]).await;
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_switched_in_a_namespace_that_is_being_deleted() {
    let (test, scheduled) = in_november("terminating", json!({})).await;
    let held = test.simulator.add_tenant(TenantSpec::customer("Bolt & Sons"));
    test.controller().await;
    test.production("scheduled", &scheduled, json!({"switch": {"at": "MonthStart"}})).await;
    test.production("held", &held, json!({"suspend": true})).await;
    test.until("scheduled", "is scheduled", is_scheduled).await;
    test.until("held", "is suspended", |object| reason(object, "Ready") == "Suspended").await;
    // No controller empties it here, so the namespace stays as it is while it is deleted.
    test.kubectl(&["delete", "namespace", &test.namespace, "--wait=false"]).await.success();
    test.edit::<TenantPricing>("held", json!({"spec": {"suspend": false}})).await;
    test.set_time(at("2026-12-01T00:00:10Z"));
    for name in ["held", "scheduled"] {
        let object = test.reconcile_now(name, "in-december").await;
        assert!(object.status.as_ref().unwrap().switch.is_none(), "{name}");
        assert_eq!(reason(&object, "Ready"), "Observed", "{name}");
        let message = crate::harness::condition(&object, "Ready").unwrap().message.clone();
        assert!(message.contains("The namespace is being deleted"), "{message}");
    }
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

/// A finalizer of another program may keep it for long.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_being_deleted_requests_nothing() {
    let (test, tenant) = in_november("kept", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({"switch": {"at": "MonthStart"}})).await;
    test.until("acme", "is scheduled", is_scheduled).await;
    let finalizers = |value: &'static str| {
        let (test, patch) = (&test, format!(r#"{{"metadata":{{"finalizers":{value}}}}}"#));
        async move { test.kubectl_patch("tp", "acme", &patch).await.success() }
    };
    // Another manager's finalizer keeps it over the day on which it was to be switched.
    finalizers(r#"["example.com/hold"]"#).await;
    test.kubectl(&["delete", "tp", "acme", "--wait=false"]).await.success();
    let cancelled = |object: &TenantPricing| object.status.as_ref().unwrap().switch.is_none();
    test.until("acme", "is cancelled", cancelled).await;
    test.until_events("acme", &["SwitchScheduled", "SwitchCancelled"]).await;
    test.set_time(at("2026-12-01T00:00:10Z"));
    test.reconcile_now("acme", "in-december").await;
    assert_eq!(test.simulator.puts(&tenant), 0);
    finalizers("[]").await;
    test.finish().await;
}

/// A switch that takes effect in November and is heard of in December, in a test with one controller at work.
async fn over_midnight(name: &str) -> (Test, String, FaultId, Controller) {
    let test = Test::new(name).await;
    test.set_time(at("2026-11-30T23:30:00Z"));
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    let fault = Fault::new(FaultAction::hold_after_effect()).on(Operation::PutPricing).tenant(&tenant).once();
    let held = test.simulator.inject(fault);
    test.production("acme", &tenant, json!({})).await;
    let took_effect =
        async || test.simulator.tenant(&tenant).filter(|tenant| tenant.pricing.mode == PRODUCTION).map(drop);
    test.wait_for("the effect of the PUT", PATIENCE, took_effect).await;
    (test, tenant, held, controller)
}

/// All that names the month on the bill names the platform's.
async fn is_billed_for_november(test: &Test, tenant: &str) {
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let start = test.simulator.tenant(tenant).unwrap().pricing.production_start_date.unwrap();
    let status = object.status.as_ref().unwrap();
    let journal = status.switch.as_ref().unwrap();
    assert_eq!(journal.by, Some(SwitchedBy::Controller));
    let observed = status.observed.as_ref().unwrap().production_start_date.as_ref();
    assert_eq!(journal.completed_at.as_ref(), observed, "the two dates in one object");
    assert_eq!(journal.completed_at.as_ref().unwrap().0.as_second(), start.as_second());
    let said = &condition(&object, "Ready").unwrap().message;
    assert!(said.contains("November 2026"), "{said}");
    test.until_events("acme", &["SwitchRequested", "SwitchCompleted"]).await;
    let (_, note) = test.event_notes("acme").await.pop().unwrap();
    assert!(note.contains("November 2026"), "{note}");
    let lines: Vec<_> = test.controllers().iter().flat_map(Controller::log_entries).collect();
    let billed: Vec<_> = lines.iter().filter_map(|line| line["bills"].as_str()).collect();
    assert_eq!(billed, ["November 2026"], "the audit lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_the_months_end_bills_the_month_of_the_effect() {
    let (test, tenant, held, _controller) = over_midnight("midnight").await;
    test.set_time(at("2026-12-01T00:00:02Z"));
    test.simulator.release(held);
    is_billed_for_november(&test, &tenant).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_over_the_months_end_bills_the_month_of_the_effect() {
    let (test, tenant, _held, controller) = over_midnight("midnight-crash").await;
    // An event in flight dies with the process.
    test.until_events("acme", &["SwitchRequested"]).await;
    controller.kill().await;
    test.set_time(at("2026-12-03T09:00:00Z"));
    test.controller().await;
    is_billed_for_november(&test, &tenant).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_a_year_ahead_names_the_platforms_month() {
    let (test, tenant) = in_november("year-ahead", json!({})).await;
    test.set_controller_time(at("2027-11-23T12:00:00Z"));
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    is_billed_for_november(&test, &tenant).await;
    test.finish().await;
}
