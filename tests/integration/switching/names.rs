//! Names: a search is enough to observe a tenant, and never enough to switch it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction, LoggedRequest, Operation, TenantKind, TenantSpec},
};

use crate::harness::{Test, condition, has, reason};

async fn at_work(name: &str) -> Test {
    let test = Test::new(name).await;
    test.connection("default", json!({})).await;
    test.controller().await;
    test
}

fn named(name: &str) -> Value {
    json!({"tenant": {"name": name}})
}

fn production(name: &str) -> Value {
    json!({"tenant": {"name": name}, "mode": "production"})
}

/// A customer that search does not show.
fn shut(name: &str) -> TenantSpec {
    TenantSpec { ancestral_access: Some(false), ..TenantSpec::customer(name) }
}

/// The listings of all tenants that were begun.
fn listings(test: &Test) -> Vec<LoggedRequest> {
    let requests = test.simulator.requests().into_iter();
    requests.filter(|request| request.query.iter().any(|(key, _)| key == "subtree_root_id")).collect()
}

async fn stalled(test: &Test, name: &str) -> TenantPricing {
    test.until(name, "is stalled", |object| has(object, "Stalled", "True")).await
}

fn message(object: &TenantPricing) -> String {
    condition(object, "Ready").unwrap().message.clone()
}

/// The object is not switched, because each of these customers has its name.
async fn until_ambiguous(test: &Test, name: &str, customers: &[&String]) {
    let object = stalled(test, name).await;
    assert_eq!(reason(&object, "Stalled"), "TenantNameAmbiguous", "{}", message(&object));
    assert!(customers.iter().all(|id| message(&object).contains(*id)), "{}", message(&object));
    assert_eq!(test.simulator.total_puts(), 0);
}

/// What search answers from now on to any question: this tenant, as a customer of this name.
fn search_shows(test: &Test, id: &str, name: &str) {
    let hit = json!({"obj_type": "tenant", "id": id, "name": name, "kind": "customer"});
    test.simulator.inject(Fault::new(answering(&json!({"items": [hit]}))).on(Operation::Search));
}

fn answering(body: &Value) -> FaultAction {
    FaultAction::Answer {
        status: 200,
        body: body.to_string(),
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        after_effect: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_search_skips_stops_the_switch() {
    let test = at_work("names-skipped").await;
    let shown = test.simulator.add_tenant(TenantSpec::customer("Twin AG"));
    let skipped = test.simulator.add_tenant(shut("Twin AG"));
    let lone = test.simulator.add_tenant(shut("Lone AG"));
    test.tenant_pricing("twin", production("Twin AG")).await;
    until_ambiguous(&test, "twin", &[&shown, &skipped]).await;
    // One that search skips is found nevertheless, and one that has the name of a partner is the only one.
    test.simulator.add_tenant(TenantSpec::partner("Lone AG"));
    test.tenant_pricing("lone", named("Lone AG")).await;
    let object = test.until("lone", "is observed", |object| has(object, "Ready", "True")).await;
    assert_eq!(object.status.unwrap().tenant_id.as_ref(), Some(&lone));
    test.edit::<TenantPricing>("lone", json!({"spec": {"mode": "production"}})).await;
    test.until("lone", "is switched", |object| has(object, "Production", "True")).await;
    // A third one is named as well. The older object of the tenant would have the say.
    test.kubectl(&["delete", "tp", "twin"]).await.success();
    let third = test.simulator.add_tenant(shut("Twin AG"));
    test.tenant_pricing("third", production("Twin AG")).await;
    let object = stalled(&test, "third").await;
    assert!([shown, skipped, third].iter().all(|id| message(&object).contains(id)), "{}", message(&object));
    assert_eq!((test.simulator.puts(&lone), test.simulator.total_puts()), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_search_does_not_know_yet_stops_the_switch() {
    let test = at_work("names-lag").await;
    let created_at = Some(test.simulator.now() - SignedDuration::from_hours(1));
    let old = test.simulator.add_tenant(TenantSpec { created_at, ..TenantSpec::customer("Twin AG") });
    test.simulator.inject(Fault::new(FaultAction::SearchLag { seconds: 3600 }).on(Operation::Search));
    let meant = test.simulator.add_tenant(TenantSpec::customer("Twin AG"));
    test.tenant_pricing("twin", production("Twin AG")).await;
    until_ambiguous(&test, "twin", &[&old, &meant]).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_appears_before_the_due_time_stops_the_switch() {
    let test = at_work("names-meanwhile").await;
    let first = test.simulator.add_tenant(TenantSpec::customer("Twin AG"));
    let later = (test.simulator.now() + SignedDuration::from_hours(1)).to_string();
    let mut spec = production("Twin AG");
    spec["switch"] = json!({"notBefore": later});
    test.tenant_pricing("twin", spec).await;
    test.until("twin", "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    let second = test.simulator.add_tenant(shut("Twin AG"));
    test.set_time(test.simulator.now() + SignedDuration::from_hours(2));
    test.request_reconcile("twin", "1").await;
    until_ambiguous(&test, "twin", &[&first, &second]).await;
    // When one of them is gone, the name is proved by the next listing.
    test.simulator.update_tenant(&second, |tenant| tenant.name = "Another AG".to_owned());
    test.set_time(test.simulator.now() + SignedDuration::from_hours(1));
    test.request_reconcile("twin", "2").await;
    test.until("twin", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!((test.simulator.puts(&first), test.simulator.total_puts()), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_hit_of_search_is_never_pinned() {
    let test = at_work("names-wrong-hit").await;
    let names = ["Renamed AG", "Folder AG", "Deleted AG", "Shown AG", "Forbidden AG"];
    for (number, name) in names.into_iter().enumerate() {
        let wrong = match number {
            0 => test.simulator.add_tenant(TenantSpec::customer("Renamed AG (old)")),
            1 => test
                .simulator
                .add_tenant(TenantSpec { kind: TenantKind::Folder, ..TenantSpec::customer(name) }),
            4 => test.simulator.add_tenant(TenantSpec::customer("Forbidden AG (old)")),
            _ => test.simulator.add_tenant(TenantSpec { deleted: true, ..TenantSpec::customer(name) }),
        };
        if number == 4 {
            // It may not be read, in a batch or alone.
            test.simulator
                .inject(Fault::new(FaultAction::OmitTenant).on(Operation::FetchTenants).tenant(&wrong));
            let denied =
                FaultAction::Error { status: 403, code: 1002.into(), retry_after: None, after_effect: false };
            test.simulator.inject(Fault::new(denied).on(Operation::FetchTenant).tenant(&wrong));
        }
        if number == 3 {
            // It is deleted, and shown nevertheless when it is read alone.
            let view = json!({
                "id": wrong, "name": name, "kind": "customer", "enabled": true, "pricing_mode": "trial",
                "deleted_at": "2026-11-01T10:00:00",
            });
            let fault = Fault::new(answering(&view)).on(Operation::FetchTenant).tenant(&wrong);
            test.simulator.inject(fault);
        }
        let right = test.simulator.add_tenant(TenantSpec::customer(name));
        search_shows(&test, &wrong, name);
        let (with_mode, observed) = (format!("switched-{number}"), format!("observed-{number}"));
        test.tenant_pricing(&observed, named(name)).await;
        let object = test.until(&observed, "is observed", |object| has(object, "Ready", "True")).await;
        assert_eq!(object.status.unwrap().tenant_id.as_ref(), Some(&right), "{name}");
        test.tenant_pricing(&with_mode, production(name)).await;
        let object = test.until(&with_mode, "is switched", |object| has(object, "Production", "True")).await;
        assert_eq!(object.status.unwrap().tenant_id.as_ref(), Some(&right), "{name}");
        for object in [&with_mode, &observed] {
            let said = test.recorded_statuses(object);
            assert!(!said.iter().any(|status| status.to_string().contains(&wrong)), "{said:#?}");
        }
        test.simulator.clear_faults();
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_by_name_share_listings_and_by_id_need_none() {
    let test = Test::new("names-cost").await;
    let tenants = test.simulator.add_customers(40, "Customer");
    test.connection("default", json!({})).await;
    test.controller().await;
    for (number, tenant) in tenants[..20].iter().enumerate() {
        test.production(&format!("by-id-{number}"), tenant, json!({})).await;
    }
    for number in 0..20 {
        let name = format!("by-id-{number}");
        test.until(&name, "is switched", |object| has(object, "Production", "True")).await;
    }
    assert_eq!(listings(&test).len(), 0, "an id has nothing to prove");
    assert_eq!(test.simulator.requests().iter().filter(|it| it.operation == Operation::Search).count(), 0);
    let later = (test.simulator.now() + SignedDuration::from_hours(1)).to_string();
    for (number, tenant) in tenants[20..].iter().enumerate() {
        let mut spec = production(&test.simulator.tenant(tenant).unwrap().name);
        spec["switch"] = json!({"notBefore": later});
        test.tenant_pricing(&format!("by-name-{number}"), spec).await;
    }
    for number in 0..20 {
        let name = format!("by-name-{number}");
        test.until(&name, "waits", |object| reason(object, "Ready") == "SwitchScheduled").await;
    }
    assert_eq!(listings(&test).len(), 0, "a hit is enough to observe");
    test.set_time(test.simulator.now() + SignedDuration::from_hours(2));
    for number in 0..20 {
        test.request_reconcile(&format!("by-name-{number}"), "due").await;
    }
    for number in 0..20 {
        let name = format!("by-name-{number}");
        test.until(&name, "is switched", |object| has(object, "Production", "True")).await;
    }
    let listings = listings(&test).len();
    assert!((1..20).contains(&listings), "{listings} listings for 20 names");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_proved_again_after_a_restart() {
    let test = Test::new("names-restart").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    let later = (test.simulator.now() + SignedDuration::from_hours(1)).to_string();
    let mut spec = production("Acme GmbH");
    spec["switch"] = json!({"notBefore": later});
    test.tenant_pricing("acme", spec).await;
    test.until("acme", "is scheduled", |object| reason(object, "Ready") == "SwitchScheduled").await;
    controller.kill().await;
    test.simulator.clear_log();
    test.set_time(test.simulator.now() + SignedDuration::from_hours(2));
    test.controller().await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let put = test.simulator.requests().into_iter().find(|it| it.operation == Operation::PutPricing).unwrap();
    let proved = |listing: &LoggedRequest| listing.finished_after.is_some_and(|end| end < put.started_after);
    assert!(listings(&test).iter().any(proved), "{:#?}", listings(&test));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_listing_is_reported_and_a_failed_one_retried() {
    let test = at_work("names-slow").await;
    let tenants = ["Slow AG", "Fail AG"].map(|name| test.simulator.add_tenant(TenantSpec::customer(name)));
    // The first request of the kind is the read of the tenant.
    let held =
        test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenants).skip(1).once());
    test.tenant_pricing("slow", production("Slow AG")).await;
    let unproved = |object: &TenantPricing| reason(object, "Reconciling") == "TenantNameUnproved";
    let object = test.until("slow", "reports it", unproved).await;
    assert_eq!(object.status.unwrap().tenant_id.as_ref(), Some(&tenants[0]));
    assert_eq!(test.simulator.total_puts(), 0);
    test.simulator.release(held);
    test.until("slow", "is switched", |object| has(object, "Production", "True")).await;
    let error = FaultAction::error(503, 503);
    test.simulator.inject(Fault::new(error).on(Operation::FetchTenants).skip(1).times(2));
    test.tenant_pricing("fail", production("Fail AG")).await;
    test.until("fail", "is switched", |object| has(object, "Production", "True")).await;
    for tenant in &tenants {
        assert_eq!(test.simulator.puts(tenant), 1);
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_differs_in_spelling_is_shown_with_its_id() {
    let test = at_work("names-similar").await;
    for (number, (wanted, present, differs)) in [
        ("Trailing Space Ltd", "Trailing Space Ltd ", "blanks"),
        ("Caf\u{E9} Z\u{FC}rich", "Cafe\u{301} Zu\u{308}rich", "Unicode form"),
        ("acme gmbh", "Acme GmbH", "case"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = test.simulator.add_tenant(TenantSpec::customer(present));
        let name = format!("similar-{number}");
        test.tenant_pricing(&name, production(wanted)).await;
        let object = stalled(&test, &name).await;
        assert_eq!(reason(&object, "Stalled"), "TenantNotFound");
        let expected = format!("There is {present:?} (id {id}), which differs in {differs}.");
        assert!(message(&object).contains(&expected), "{}", message(&object));
    }
    // A name that search cannot find is no reason to say that there is none.
    let id = test.simulator.add_tenant(TenantSpec::customer("!!! ???"));
    test.tenant_pricing("signs", production("!!! ???")).await;
    test.until("signs", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!((test.simulator.puts(&id), test.simulator.total_puts()), (1, 1));
    test.finish().await;
}
