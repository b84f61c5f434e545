//! Only the pinned tenant is switched.

use jiff::Timestamp;
use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use super::{at_work, is_switched};
use crate::harness::{Test, has, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_another_tenant_later_is_never_followed() {
    let test = at_work("renamed").await;
    let pinned = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.tenant_pricing("acme", json!({"tenant": {"name": "Acme GmbH"}})).await;
    let object = test.until("acme", "is found", |object| has(object, "Ready", "True")).await;
    assert_eq!(object.status.unwrap().tenant_id, Some(pinned.clone()));
    test.simulator.update_tenant(&pinned, |tenant| tenant.name = "Beta AG".to_owned());
    let other = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "TenantChanged");
    assert_eq!(test.simulator.total_puts(), 0);
    // Renamed back, and alone with the name, it is the one that was meant; after the switch a name is only a name.
    test.simulator.update_tenant(&other, |tenant| tenant.name = "Delta AG".to_owned());
    test.simulator.update_tenant(&pinned, |tenant| tenant.name = "Acme GmbH".to_owned());
    test.reconcile_now("acme", "renamed-back").await;
    test.until("acme", "is switched", is_switched).await;
    test.simulator.update_tenant(&pinned, |tenant| tenant.name = "Gamma SE".to_owned());
    test.reconcile_now("acme", "renamed-again").await;
    let object = test.until("acme", "is in order", |object| has(object, "Ready", "True")).await;
    assert_eq!(object.status.unwrap().observed.unwrap().tenant_name.as_deref(), Some("Gamma SE"));
    assert_eq!((test.simulator.puts(&pinned), test.simulator.puts(&other)), (1, 0));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pinned_tenant_is_not_replaced_by_a_namesake() {
    let test = at_work("deleted-pinned").await;
    let pinned = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.tenant_pricing("acme", json!({"tenant": {"name": "Acme GmbH"}})).await;
    test.until("acme", "is found", |object| has(object, "Ready", "True")).await;
    test.simulator.update_tenant(&pinned, |tenant| tenant.deleted_at = Some(Timestamp::UNIX_EPOCH));
    let other = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "TenantNotFound");
    assert_eq!((test.simulator.total_puts(), test.simulator.puts(&other)), (0, 0));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_once_in_production_is_not_switched_on_restart() {
    for mode in ["production", "suspended"] {
        let test = Test::new(&format!("proven-{mode}")).await;
        test.connection("default", json!({})).await;
        let controller = test.controller().await;
        let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH").mode(mode));
        test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
        test.until("acme", "is observed", |object| has(object, "Ready", "True")).await;
        controller.kill().await;
        test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.mode = "trial".into());
        test.edit::<TenantPricing>("acme", json!({"spec": {"mode": "production"}})).await;
        test.controller().await;
        let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
        assert_eq!(reason(&object, "Stalled"), "UnexpectedTrial");
        assert_eq!(test.simulator.total_puts(), 0);
        test.finish().await;
    }
}
