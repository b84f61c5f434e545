//! What the contract leaves open: every possible answer is available.

use super::*;
use crate::simulator::{ExpiryForm, Fault, FaultAction, TimeFormat};

#[tokio::test]
async fn a_version_conflict_has_either_status_and_code_form() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.inject(Fault::new(FaultAction::VersionConflict { status: 400 }));
    assert_eq!(caller.put(&acme, json!({"version": 1})).await.error(), (400, 1001));
    caller.simulator.inject(Fault::new(FaultAction::TextErrorCodes));
    assert_eq!(caller.put(&acme, json!({"version": 1})).await.json()["error"]["code"], "1001");
}

#[tokio::test]
async fn production_on_production_can_be_taken_or_refused_in_any_way() {
    let caller = Caller::new().await;
    let acme = caller.simulator.add_tenant(TenantSpec::customer("Acme").mode("production"));
    let action = FaultAction::ProductionAgain { status: 409, code: 1100.into() };
    let refused = caller.simulator.inject(Fault::new(action).once());
    assert_eq!(caller.switch(&acme).await.error(), (409, 1100));
    assert_eq!(caller.simulator.fault_hits(refused), 1);
    caller.simulator.inject(Fault::new(FaultAction::ProductionAgain { status: 200, code: 0.into() }));
    let before = caller.simulator.tenant(&acme).unwrap().pricing;
    assert_eq!(caller.switch(&acme).await.status, 200);
    let after = caller.simulator.tenant(&acme).unwrap().pricing;
    assert!(after.version > before.version);
    assert_eq!(after.production_start_date, before.production_start_date);
}

#[tokio::test]
async fn production_can_be_taken_back_where_the_fault_says_so() {
    let caller = Caller::new().await;
    let acme = caller.simulator.add_tenant(TenantSpec::customer("Acme").mode("production"));
    let back = async || {
        let version = caller.pricing(&acme).await["version"].clone();
        caller.put(&acme, json!({"version": version, "mode": "trial"})).await
    };
    assert_eq!(back().await.error(), (400, 1027));
    caller.simulator.inject(Fault::new(FaultAction::BackToTrial { status: 200, code: 0.into() }));
    assert_eq!(back().await.status, 200);
    assert_eq!(caller.mode(&acme), "trial");
}

#[tokio::test]
async fn a_suspended_or_locked_tenant_can_take_a_write() {
    let caller = Caller::new().await;
    let suspended = caller.simulator.add_tenant(TenantSpec::customer("S").mode("suspended"));
    let locked = TenantSpec::customer("L").locked_by("0fcd4a69-8a40-4de8-b711-d9c83dc000f7");
    let locked = caller.simulator.add_tenant(locked);
    caller.simulator.inject(Fault::new(FaultAction::LockedWrite { status: 423, code: 1012.into() }).once());
    assert_eq!(caller.switch(&locked).await.error(), (423, 1012));
    caller.simulator.inject(Fault::new(FaultAction::LockedWrite { status: 200, code: 0.into() }));
    caller.simulator.inject(Fault::new(FaultAction::SuspendedWrite { status: 200, code: 0.into() }));
    assert_eq!(caller.switch(&locked).await.status, 200);
    assert_eq!(caller.switch(&suspended).await.status, 200);
}

#[tokio::test]
async fn more_fields_than_the_contract_allows_can_be_taken() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let mut body = caller.pricing(&acme).await;
    body["mode"] = json!("production");
    assert_eq!(caller.put(&acme, body.clone()).await.error(), (400, 400));
    caller.simulator.inject(Fault::new(FaultAction::AcceptUnknownFields));
    assert_eq!(caller.put(&acme, body).await.status, 200);
}

#[tokio::test]
async fn a_null_currency_can_be_ignored() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.simulator.inject(Fault::new(FaultAction::KeepCurrency));
    let version = caller.pricing(&acme).await["version"].clone();
    assert_eq!(
        caller.put(&acme, json!({"version": version, "currency": null})).await.json()["currency"],
        "EUR"
    );
}

#[tokio::test]
async fn the_production_start_can_be_null_only_in_production() {
    let caller = Caller::new().await;
    let (trial, production) =
        (caller.add("T"), caller.simulator.add_tenant(TenantSpec::customer("P").mode("production")));
    caller.simulator.inject(Fault::new(FaultAction::NullProductionStart));
    assert_eq!(caller.pricing(&production).await["production_start_date"], Value::Null);
    assert!(caller.pricing(&trial).await["production_start_date"].is_string());
    let item = caller.get(&format!("/tenants/{production}")).await.json();
    assert_eq!(item["production_start_date"], Value::Null);
}

#[tokio::test]
async fn an_instant_comes_in_each_of_the_four_forms() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    for (format, expected) in [
        (TimeFormat::NoZone, "2027-01-01T00:00:00"),
        (TimeFormat::Utc, "2027-01-01T00:00:00Z"),
        (TimeFormat::Offset, "2027-01-01T02:00:00+02:00"),
        (TimeFormat::Fraction, "2027-01-01T00:00:00.000000"),
    ] {
        caller.simulator.clear_faults();
        caller.simulator.inject(Fault::new(FaultAction::TimeFormat { format }));
        assert_eq!(caller.pricing(&acme).await["production_start_date"], expected);
        let batch = caller.get(&format!("/tenants?uuids={acme}")).await.json();
        assert_eq!(batch["items"][0]["production_start_date"], expected);
    }
}

#[tokio::test]
async fn the_lifetime_of_a_token_comes_in_each_form_and_any_length() {
    let caller = Caller::new().await;
    for (form, relative, absolute) in [
        (ExpiryForm::ExpiresIn, true, false),
        (ExpiryForm::ExpiresOn, false, true),
        (ExpiryForm::Both, true, true),
        (ExpiryForm::Neither, false, false),
    ] {
        caller.simulator.clear_faults();
        caller.simulator.inject(Fault::new(FaultAction::TokenExpiry { form }));
        let token = caller.fetch_token().await.json();
        assert_eq!(
            (token.get("expires_in").is_some(), token.get("expires_on").is_some()),
            (relative, absolute)
        );
    }
    caller.simulator.clear_faults();
    caller.simulator.inject(Fault::new(FaultAction::TokenLifetime { seconds: 30 }));
    assert_eq!(caller.fetch_token().await.json()["expires_in"], 30);
}

#[tokio::test]
async fn a_stale_read_shows_the_pricing_before_its_last_change() {
    let caller = Caller::new().await;
    let (acme, untouched) = (caller.add("Acme"), caller.add("Untouched"));
    let before = caller.pricing(&acme).await;
    caller.switch(&acme).await;
    let stale = caller.simulator.inject(Fault::new(FaultAction::StaleRead).times(2));
    assert_eq!(caller.pricing(&acme).await, before);
    let batch = caller.get(&format!("/tenants?uuids={acme},{untouched}")).await.json();
    assert!(batch["items"].as_array().unwrap().iter().all(|item| item["pricing_mode"] == "trial"));
    assert_eq!(caller.simulator.fault_hits(stale), 2);
    assert_eq!(caller.pricing(&acme).await["mode"], "production");
}

#[tokio::test]
async fn the_pricing_mode_can_be_missing_or_an_unknown_word() {
    let caller = Caller::new().await;
    let acme = caller.simulator.add_tenant(TenantSpec::customer("Acme").mode("frozen"));
    assert_eq!(caller.pricing(&acme).await["mode"], "frozen");
    assert_eq!(caller.switch(&acme).await.error(), (400, 1027));
    let other = caller.add("Other");
    caller.simulator.inject(Fault::new(FaultAction::HidePricingMode).tenant(&acme));
    let batch = caller.get(&format!("/tenants?uuids={acme},{other}")).await.json();
    let items = batch["items"].as_array().unwrap();
    let with_mode: Vec<&str> = items
        .iter()
        .filter(|item| item.get("pricing_mode").is_some())
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(with_mode, [other], "a fault for one tenant leaves the others of the batch alone");
}

#[tokio::test]
async fn search_can_lag_behind() {
    let caller = Caller::new().await;
    caller.add("Acme");
    let root = caller.simulator.root_tenant();
    caller.simulator.inject(Fault::new(FaultAction::SearchLag { seconds: 60 }));
    let hits = async || {
        let answer = caller.get(&format!("/search?tenant={root}&text=acme")).await.json();
        answer["items"].as_array().unwrap().len()
    };
    assert_eq!(hits().await, 0);
    caller.simulator.advance(jiff::SignedDuration::from_secs(61));
    assert_eq!(hits().await, 2);
}

#[tokio::test]
async fn pages_can_be_small_and_cursors_lead_in_a_circle() {
    let caller = Caller::new().await;
    caller.simulator.add_customers(5, "shop");
    let root = caller.simulator.root_tenant();
    caller.simulator.inject(Fault::new(FaultAction::PageLimit { limit: 2 }));
    let first = caller.get(&format!("/tenants?subtree_root_id={root}&limit=1000")).await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["paging"]["cursors"]["after"].as_str().unwrap();
    caller.simulator.inject(Fault::new(FaultAction::RepeatedCursor));
    let second = caller.get(&format!("/tenants?after={cursor}")).await.json();
    assert_eq!(second["paging"]["cursors"]["after"].as_str(), Some(cursor));
}

#[tokio::test]
async fn a_change_of_pricing_can_count_as_an_update() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let since = caller.simulator.now();
    // A version counts in milliseconds, and a switch may take less than one.
    caller.simulator.advance(jiff::SignedDuration::from_secs(1));
    caller.switch(&acme).await;
    let query = format!("uuids={acme}&updated_since={since}");
    assert!(caller.ids(&query).await.is_empty());
    caller.simulator.inject(Fault::new(FaultAction::PricingCountsAsUpdate));
    assert_eq!(caller.ids(&query).await, [acme]);
}
