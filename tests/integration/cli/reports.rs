//! The commands that report what all TenantPricings are doing and have done: `status`, `history`, `events`.

mod events;
mod history;
mod status;
mod story;
mod watching;

use serde_json::json;
use tenant_pricing_controller::simulator::TenantSpec;

use crate::harness::{Test, has, reason};

/// The time of the switch that [`fleet`] schedules.
const SCHEDULED: &str = "2031-05-01T00:00:00Z";

/// The end of the trial of the tenant that [`fleet`] only observes.
const TRIAL_ENDS: &str = "2031-03-01T00:00:00Z";

/// A fleet in which something is switched, scheduled, stalled and observed. One switch was sent.
async fn fleet(test: &Test) {
    let customer = |name: &str| TenantSpec {
        production_start_date: TRIAL_ENDS.parse().ok(),
        ..TenantSpec::customer(name)
    };
    let [acme, bolt, core] = ["Acme GmbH", "=Bolt\u{1b}[31m & Sons", "Core, \"Ltd\""]
        .map(|name| test.simulator.add_tenant(customer(name)));
    let dawn = test.simulator.add_tenant(TenantSpec { mode: Some("production".into()), ..customer("Dawn") });
    test.connection("default", json!({"switch": {"budget": {"count": 7, "window": "744h"}}})).await;
    test.controller().await;
    test.production("acme", &acme, json!({})).await;
    test.production("bolt", &bolt, json!({"switch": {"notBefore": SCHEDULED}})).await;
    test.tenant_pricing("core", json!({"tenant": {"id": core}})).await;
    test.tenant_pricing("dawn", json!({"tenant": {"id": dawn}, "mode": "trial"})).await;
    for (name, is) in
        [("acme", "InSync"), ("bolt", "SwitchScheduled"), ("core", "Observed"), ("dawn", "ReversalRefused")]
    {
        test.until(name, is, |object| reason(object, "Ready") == is).await;
    }
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.until_events("acme", &["SwitchRequested", "SwitchCompleted"]).await;
    test.until_events("dawn", &["ReversalRefused"]).await;
}
