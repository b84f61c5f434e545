//! `status --watch` and `events --watch`: each change, as it comes.

use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::super::watch::Watch;
use crate::harness::{Test, has};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_each_change_as_a_line() {
    let test = Test::new("watching").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is observed", |object| has(object, "Ready", "True")).await;
    let reader = test.reader().await;
    let mut status = Watch::start(reader.command(&["status", "--watch"]));
    let mut events = Watch::start(reader.command(&["events", "--watch", "--for", "acme"]));
    let first = status.until(&["/acme", "trial", "Ready", "Observed"]).await;
    assert!(!first.contains('\u{1b}'), "no drawing without a terminal: {first:?}");
    events.until(&["LAST SEEN"]).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
    events.until(&["SwitchRequested", "/acme"]).await;
    events.until(&["SwitchCompleted", "/acme"]).await;
    status.until(&["/acme", "production", "Ready", "InSync"]).await;
    test.kubectl(&["delete", "tp", "acme"]).await.success();
    status.until(&["/acme", "Deleted"]).await;
    reader.wrote_nothing(1).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_the_report_is_drawn_again() {
    const CLEARED: &str = "\u{1b}[2J";
    let test = Test::new("watching-terminal").await;
    let reader = test.reader().await;
    let id = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    test.tenant_pricing("acme", json!({"tenant": {"id": id}})).await;
    let mut status = Watch::start(reader.on_a_terminal(&["status", "--watch", "-o", "wide"]));
    status.until(&[CLEARED, "1 TenantPricing in namespace"]).await;
    status.until(&["/acme", "NotSeen"]).await;
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "trial"}})).await;
    status.until(&[CLEARED, "1 TenantPricing in namespace"]).await;
    status.until(&["/acme", "trial", "NotSeen"]).await;
    test.kubectl(&["delete", "tp", "acme"]).await.success();
    status.until(&[CLEARED, "0 TenantPricings in namespace"]).await;
    reader.wrote_nothing(0).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_refused_ends_with_the_way_out() {
    let test = Test::new("watching-refused").await;
    let reader = test.reader().await;
    for arguments in [["status", "--watch", "-A"], ["events", "--watch", "-A"]] {
        let refused = reader.run(&arguments).await.failure();
        assert!(refused.contains("403") && refused.contains("with -n, in place of -A"), "{refused}");
    }
    reader.wrote_nothing(0).await;
    test.finish().await;
}
