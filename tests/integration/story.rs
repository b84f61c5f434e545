//! The main job: a line in a manifest becomes one switch on the platform.

use serde_json::json;
use tenant_pricing_controller::simulator::TenantSpec;

use crate::harness::{Test, has, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_trial_is_switched_once() {
    let test = Test::new("switched-once").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    assert_eq!(reason(&object, "Ready"), "InSync");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}
