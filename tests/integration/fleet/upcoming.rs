//! Automatic switches of the platform are announced in time, and distinguished from the controller's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{at_work, metric, object_writes};
use crate::harness::{Controller, PATIENCE, Test, has, reason};

/// Upcoming automatic switches are checked once a minute.
const A_MINUTE: Duration = Duration::from_secs(90);

const AHEAD: &str = "AutomaticSwitchUpcoming";

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

async fn reasons(test: &Test, name: &str) -> Vec<String> {
    test.event_notes(name).await.into_iter().map(|(reason, _)| reason).collect()
}

/// Waits until this many automatic switches are upcoming, of tenants whose objects want trial, production and nothing.
/// They are counted as the watch shows the statuses.
async fn until_upcoming(test: &Test, controller: &Controller, expected: (f64, f64, f64)) {
    test.wait_for(&format!("{expected:?} automatic switches are upcoming"), PATIENCE, async || {
        let upcoming = async |desired: &str| {
            let label = format!("desired=\"{desired}\"");
            metric(test, controller, "tenantpricing_automatic_switches_upcoming", &[&label]).await
        };
        let counted = (upcoming("trial").await, upcoming("production").await, upcoming("none").await);
        (counted == expected).then_some(())
    })
    .await;
}

/// The announcement costs no status write. The switch of the platform is not reported as ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_trial_is_announced_a_week_ahead() {
    let test = Test::new("fleet-forecast").await;
    let start: Timestamp = "2026-11-10T12:00:00Z".parse().unwrap();
    test.set_time(start);
    let controller = at_work(&test, json!({})).await;
    let ending = |name: &str, after: i64| {
        let ends = start + days(after);
        test.simulator.add_tenant(TenantSpec::customer(name).production_start_date(ends))
    };
    let (soon, later, never) = (ending("Soon", 5), ending("Later", 10), ending("Never", 40));
    let (planned, ours) = (ending("Planned", 10), ending("Ours", 40));
    test.tenant_pricing("soon", json!({"tenant": {"id": soon}})).await;
    test.tenant_pricing("later", json!({"tenant": {"id": later}, "mode": "trial"})).await;
    test.tenant_pricing("never", json!({"tenant": {"id": never}, "mode": "trial"})).await;
    let before_it_ends = (start + days(9)).to_string();
    test.production("planned", &planned, json!({"switch": {"notBefore": before_it_ends}})).await;
    test.production("ours", &ours, json!({})).await;
    for name in ["soon", "later", "never", "planned", "ours"] {
        test.until(name, "is ready", |object| has(object, "Ready", "True")).await;
    }
    // The forecast is the platform's own date, in the status and in the column.
    let columns = "custom-columns=DATE:.status.observed.productionStartDate";
    let shown = test.kubectl(&["get", "tp", "later", "--no-headers", "-o", columns]).await.success();
    assert_eq!(shown.trim(), (start + days(10)).to_string());
    let table = test.kubectl(&["get", "tp", "later", "-o", "wide"]).await.success();
    assert!(table.contains("TRIAL ENDS") && table.contains(shown.trim()), "{table}");
    // One that is already near is announced as soon as it is seen.
    test.until_events("soon", &[AHEAD]).await;
    let (_, note) = test.event_notes("soon").await.pop().unwrap();
    let date = (start + days(5)).to_string();
    assert!(note.contains(&date) && note.contains("the whole of November 2026"), "{note}");
    until_upcoming(&test, &controller, (0.0, 0.0, 1.0)).await;

    let writes = object_writes(&test).await.len();
    test.set_time(start + days(4));
    let announced = test.wait_for("the week before is announced", A_MINUTE, async || {
        reasons(&test, "later").await.contains(&AHEAD.to_owned()).then_some(())
    });
    announced.await;
    assert_eq!(object_writes(&test).await.len(), writes, "only the time has changed");
    assert_eq!(reasons(&test, "soon").await, [AHEAD], "announced once");
    assert_eq!(reasons(&test, "never").await, [""; 0]);
    assert_eq!(reasons(&test, "planned").await, ["SwitchScheduled"], "it is switched before");
    // Three of them: the planned one is one that the platform would switch as well.
    until_upcoming(&test, &controller, (1.0, 1.0, 1.0)).await;

    // The platform does what it said; we have switched another one.
    test.set_time(start + days(5) + SignedDuration::from_secs(10));
    let object = test.reconcile_now("soon", "after").await;
    assert_eq!(reason(&object, "Production"), "SwitchedByPlatform");
    test.until_events("soon", &[AHEAD, "SwitchedByPlatform"]).await;
    let object = test.until("ours", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    test.until_events("ours", &["SwitchRequested", "SwitchCompleted"]).await;
    let switches = async |result: &str| {
        let label = format!("result=\"{result}\"");
        metric(&test, &controller, "tenantpricing_switches_total", &[&label]).await
    };
    // A reconcile is counted after its status can be seen.
    test.wait_for("both are counted", PATIENCE, async || {
        let counted = (switches("completed").await, switches("found_switched_by_platform").await);
        (counted == (1.0, 1.0)).then_some(())
    })
    .await;
    until_upcoming(&test, &controller, (1.0, 1.0, 0.0)).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_finds_what_the_platform_switched_automatically() {
    let test = Test::new("fleet-automatic").await;
    let tenants = test.simulator.add_customers(3, "Customer");
    let controller = at_work(&test, json!({"pollInterval": "10s"})).await;
    super::create(&test, super::in_trial(&tenants)).await;
    super::until_ready(&test, tenants.len()).await;
    let ends = test.simulator.now() + SignedDuration::from_secs(1);
    test.simulator.update_tenant(&tenants[1], |tenant| tenant.pricing.production_start_date = Some(ends));
    let name = super::object(1);
    let switched = |object: &TenantPricing| has(object, "Production", "True");
    let object = test.until_within(PATIENCE, &name, "is in production", switched).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByPlatform");
    // It asks for trial, which is impossible by now.
    assert_eq!(reason(&object, "Stalled"), "ReversalRefused");
    let label = "result=\"found_switched_by_platform\"";
    test.wait_for("it is counted", PATIENCE, async || {
        let counted = metric(&test, &controller, "tenantpricing_switches_total", &[label]).await;
        (counted > 0.0).then_some(())
    })
    .await;
    for other in [super::object(0), super::object(2)] {
        let written = object_writes(&test).await.into_iter().filter(|write| write.name == other).count();
        assert_eq!(written, 1, "{other}");
    }
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}
