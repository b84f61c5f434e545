//! The one write and the automatic switch.

use jiff::SignedDuration;
use reqwest::Method;

use super::*;
use crate::simulator::TenantKind;

#[tokio::test]
async fn a_trial_shows_when_the_platform_will_switch_it() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let pricing = caller.pricing(&acme).await;
    assert_eq!(pricing["mode"], "trial");
    assert_eq!(pricing["currency"], "EUR");
    assert_eq!(pricing["production_start_date"], "2027-01-01T00:00:00");
    assert!(pricing["version"].as_i64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn the_switch_is_done_once_and_stamped() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let before = caller.pricing(&acme).await;
    let heard = caller.switch(&acme).await;
    let after = heard.json();
    assert_eq!(heard.status, 200);
    assert_eq!(after, caller.pricing(&acme).await);
    assert_eq!(after["mode"], "production");
    assert!(after["production_start_date"].as_str().unwrap().starts_with("2026-11-15T10:0"));
    assert!(after["version"].as_i64() > before["version"].as_i64());
    assert_eq!(caller.switch(&acme).await.error(), (400, 1027));
    assert_eq!(caller.simulator.effective_puts(), 1);
}

#[tokio::test]
async fn a_stale_version_is_refused_and_changes_nothing() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let version = caller.pricing(&acme).await["version"].as_i64().unwrap();
    let put = |version: i64| caller.put(&acme, json!({"version": version, "mode": "production"}));
    assert_eq!(put(version - 1).await.error(), (409, 1001));
    assert_eq!(put(version + 1).await.error(), (409, 1001));
    assert_eq!(caller.mode(&acme), "trial");
    assert_eq!(put(version).await.status, 200);
}

#[tokio::test]
async fn every_write_changes_the_version_with_or_without_a_mode() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let first = caller.pricing(&acme).await["version"].clone();
    let second = caller.put(&acme, json!({"version": first, "mode": "trial"})).await.json();
    assert_eq!(second["mode"], "trial");
    assert!(second["version"].as_i64() > first.as_i64());
    assert_eq!(second["production_start_date"], "2027-01-01T00:00:00");
    assert_eq!(caller.put(&acme, json!({"version": first})).await.error(), (409, 1001));
}

#[tokio::test]
async fn the_body_must_be_what_the_contract_describes() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let version = caller.pricing(&acme).await["version"].clone();
    for body in [
        json!({"mode": "production"}),
        json!({"version": "1", "mode": "production"}),
        json!({"version": 1.5, "mode": "production"}),
        json!({"version": version, "mode": "gold"}),
        json!({"version": version, "mode": null}),
        json!({"version": version, "mode": "production", "production_start_date": null}),
        json!({"version": version, "mode": "production", "currency": "XXX"}),
        json!([]),
    ] {
        assert_eq!(caller.put(&acme, body.clone()).await.error(), (400, 400), "{body}");
    }
    let path = format!("/tenants/{acme}/pricing");
    let broken = caller.request(Method::PUT, &path).header("content-type", "application/json").body("{");
    assert_eq!(Heard::from(broken.send().await.unwrap()).await.error(), (400, 400));
    let text = caller.request(Method::PUT, &path).body(r#"{"version": 1}"#);
    assert_eq!(Heard::from(text.send().await.unwrap()).await.error(), (415, 415));
    let long = caller.request(Method::PUT, &path).body("x".repeat(1024 * 1024 + 1));
    assert_eq!(Heard::from(long.send().await.unwrap()).await.error(), (413, 413));
    assert_eq!(caller.mode(&acme), "trial");
    assert_eq!(caller.simulator.effective_puts(), 0);
}

#[tokio::test]
async fn a_currency_can_be_set_and_an_explicit_null_clears_it() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let version = caller.pricing(&acme).await["version"].clone();
    let usd = caller.put(&acme, json!({"version": version, "currency": "USD"})).await.json();
    assert_eq!(usd["currency"], "USD");
    let kept = caller.put(&acme, json!({"version": usd["version"]})).await.json();
    assert_eq!(kept["currency"], "USD");
    let cleared = caller.put(&acme, json!({"version": kept["version"], "currency": null})).await.json();
    assert_eq!(cleared["currency"], Value::Null);
}

#[tokio::test]
async fn a_tenant_that_cannot_be_changed_is_refused_with_its_code() {
    let caller = Caller::new().await;
    let simulator = &caller.simulator;
    let unknown = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
    let locked = simulator.add_tenant(TenantSpec::customer("Locked").locked_by(unknown));
    let deprovisioning = caller.add("Going");
    simulator.update_tenant(&deprovisioning, |tenant| tenant.deprovisioning = true);
    let orphan = caller.add("Orphan");
    simulator.update_tenant(&orphan, |tenant| tenant.parent_disabled = true);
    let partner = simulator.add_tenant(TenantSpec::partner("Closed").disabled());
    let below = simulator.add_tenant(TenantSpec::customer("Below").below(&partner));
    let unit = simulator.add_tenant(TenantSpec::customer("Unit").kind(TenantKind::Unit));
    let suspended = simulator.add_tenant(TenantSpec::customer("Suspended").mode("suspended"));
    for (tenant, expected) in [
        (&locked, (403, 1012)),
        (&deprovisioning, (409, 1011)),
        (&orphan, (403, 1003)),
        (&below, (403, 1003)),
        (&unit, (400, 1027)),
        (&suspended, (400, 1027)),
    ] {
        let name = simulator.tenant(tenant).unwrap().name;
        assert_eq!(caller.switch(tenant).await.error(), expected, "{name}");
    }
    assert_eq!(caller.put(unknown, json!({"version": 1})).await.error(), (404, 1005));
    assert_eq!(caller.put("ACME", json!({"version": 1})).await.error(), (400, 400));
    assert_eq!(simulator.effective_puts(), 0);

    let own = simulator.add_tenant(TenantSpec::customer("Own lock").locked_by(simulator.root_tenant()));
    assert_eq!(caller.switch(&own).await.status, 200);
    let disabled = simulator.add_tenant(TenantSpec::customer("Disabled").disabled());
    assert_eq!(caller.switch(&disabled).await.status, 200, "no rule says that a disabled tenant is refused");
}

#[tokio::test]
async fn the_platform_switches_automatically_when_the_trial_ends() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let late = caller.simulator.add_tenant(TenantSpec::partner("A partner has no trial to end"));
    let before = caller.pricing(&acme).await;
    caller.simulator.set_clock(instant("2026-12-31T23:59:00Z"));
    assert_eq!(caller.mode(&acme), "trial");

    caller.simulator.set_clock(instant("2027-01-01T00:00:00Z"));
    let mut caller = caller;
    caller.token = caller.new_token().await;
    let after = caller.pricing(&acme).await;
    assert_eq!(after["mode"], "production");
    assert_eq!(after["production_start_date"], before["production_start_date"]);
    assert_eq!(after["version"], json!(instant("2027-01-01T00:00:00Z").as_millisecond()));
    assert_eq!(caller.mode(&late), "trial");
    assert_eq!(caller.simulator.total_puts(), 0);
}

#[tokio::test]
async fn a_switch_that_was_due_stays_done_when_the_clock_is_set_back() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.advance(SignedDuration::from_hours(24 * 60));
    caller.simulator.advance(SignedDuration::from_hours(-24 * 60));
    assert_eq!(caller.mode(&acme), "production");
}

#[tokio::test]
async fn a_mode_changed_by_hand_takes_version_and_date_with_it() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let before = caller.simulator.tenant(&acme).unwrap().pricing;
    caller.simulator.update_tenant(&acme, |tenant| tenant.pricing.mode = "production".to_owned());
    let after = caller.simulator.tenant(&acme).unwrap().pricing;
    assert!(after.version > before.version);
    assert!(after.production_start_date.unwrap() <= caller.simulator.now());

    caller.simulator.update_tenant(&acme, |tenant| tenant.pricing.mode = "trial".to_owned());
    let back = caller.simulator.tenant(&acme).unwrap().pricing;
    assert_eq!((back.mode.as_str(), back.production_start_date), ("trial", before.production_start_date));
}
