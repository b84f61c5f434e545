//! Names: found without a burst, exactly, and pinned.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction, LoggedRequest, Operation, SimulatorOptions, TenantSpec},
};

use super::{at_work, count, create, end, message, object, object_writes, until_polled, until_ready};
use crate::harness::{PATIENCE, Test, has, reason};

/// Whether a request lists all tenants below the connection's own.
fn is_listing(request: &LoggedRequest) -> bool {
    request.query.iter().any(|(key, _)| key == "subtree_root_id" || key == "after")
}

/// The greatest number of these requests that were in flight at the same time.
fn most_at_once(requests: &[LoggedRequest], which: impl Fn(&LoggedRequest) -> bool) -> usize {
    let chosen: Vec<_> = requests.iter().filter(|request| which(request)).collect();
    let in_flight_at = |instant: Duration| {
        let lasts = |request: &&&LoggedRequest| {
            request.started_after <= instant && request.finished_after.is_none_or(|end| end > instant)
        };
        chosen.iter().filter(lasts).count()
    };
    chosen.iter().map(|request| in_flight_at(request.started_after)).max().unwrap_or(0)
}

/// Each name leads to exactly its own tenant.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_names_at_once_cause_no_burst_of_searches() {
    let options = SimulatorOptions { latency: Duration::from_millis(50), ..SimulatorOptions::default() };
    let test = Test::with_simulator("fleet-names", options).await;
    let folder = test.simulator.add_tenant(TenantSpec::partner("Customer-00001"));
    let name = |number: usize| format!("Customer-{:05}", number + 1);
    let mut tenants = Vec::new();
    for number in 0..296 {
        test.simulator.add_tenant(TenantSpec::customer(name(number).to_uppercase()).below(&folder));
        tenants.push(test.simulator.add_tenant(TenantSpec::customer(name(number))));
    }
    for _ in 0..2 {
        test.simulator.add_tenant(TenantSpec::customer("Twin AG"));
    }
    let short = test.simulator.add_tenant(TenantSpec::customer("Bo").below(&folder));
    test.connection("default", json!({})).await;
    create(&test, (0..296).map(|number| json!({"tenant": {"name": name(number)}}))).await;
    for (object, name) in
        [("twin", "Twin AG"), ("absent", "Absent Ltd"), ("case", "twin ag"), ("short", "Bo")]
    {
        test.tenant_pricing(object, json!({"tenant": {"name": name}})).await;
    }
    let controller = test.controller().await;
    until_ready(&test, 296).await;
    for (number, tenant) in tenants.iter().enumerate() {
        let object = test.until(&object(number), "is pinned", |object| has(object, "Ready", "True")).await;
        let status = object.status.unwrap();
        assert_eq!(status.tenant_id.as_ref(), Some(tenant), "{}", name(number));
        assert_eq!(status.observed.unwrap().tenant_name, Some(name(number)));
    }
    let object = test.until("short", "is ready", |object| has(object, "Ready", "True")).await;
    assert_eq!(object.status.unwrap().tenant_id, Some(short));
    for (object, expected) in
        [("twin", "TenantNameAmbiguous"), ("absent", "TenantNotFound"), ("case", "TenantNotFound")]
    {
        let object = test.until(object, "is stalled", |object| has(object, "Stalled", "True")).await;
        assert_eq!(reason(&object, "Stalled"), expected, "{}", message(&object, "Stalled"));
        assert_eq!(object.status.unwrap().tenant_id, None, "nothing is pinned");
    }
    let requests = test.simulator.requests();
    let searches = count(&test, Operation::Search);
    // A loaded machine brings the objects one by one, and fewer of them share a search.
    assert!(searches < 300, "{searches} searches for 300 names");
    // Tenants are read in batches, as they are found.
    assert!(requests.len() < 600, "{} requests for 300 names", requests.len());
    assert!(most_at_once(&requests, |request| request.operation == Operation::Search) <= 1);
    assert!(most_at_once(&requests, is_listing) <= 1);

    // Pinned tenants are read by id: after a restart only those that were not found are searched for.
    end(&controller).await;
    let writes = object_writes(&test).await.len();
    test.simulator.clear_log();
    test.controller().await;
    until_polled(&test, &tenants, 1).await;
    let not_found = ["Twin AG", "Absent Ltd", "twin ag"];
    for request in test.simulator.requests().iter().filter(|it| it.operation == Operation::Search) {
        let is_again = |(key, name): &(String, String)| key == "text" && not_found.contains(&name.as_str());
        assert!(request.query.iter().any(is_again), "{request:?}");
    }
    assert_eq!(object_writes(&test).await.len(), writes, "nothing is written");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_search_delays_no_other_name_and_no_edit() {
    let test = Test::new("fleet-search").await;
    let tenants = test.simulator.add_customers(3, "Customer");
    at_work(&test, json!({})).await;
    test.tenant_pricing("by-id", json!({"tenant": {"id": tenants[0]}, "mode": "trial"})).await;
    test.until("by-id", "is ready", |object| has(object, "Ready", "True")).await;
    let held = test.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::Search));
    for (number, tenant) in tenants.iter().enumerate().skip(1) {
        let name = test.simulator.tenant(tenant).unwrap().name;
        test.tenant_pricing(&object(number), json!({"tenant": {"name": name}})).await;
    }
    test.simulator.wait_for_hits(held, 1).await;
    test.edit::<TenantPricing>("by-id", json!({"spec": {"mode": null}})).await;
    test.until("by-id", "is read", |object| reason(object, "Ready") == "Observed").await;
    assert_eq!(test.simulator.fault_hits(held), 1, "one search at a time");
    test.simulator.release(held);
    for number in 1..tenants.len() {
        let is_ready = |object: &TenantPricing| has(object, "Ready", "True");
        test.until_within(PATIENCE, &object(number), "is found", is_ready).await;
    }
    assert!(most_at_once(&test.simulator.requests(), |it| it.operation == Operation::Search) <= 1);
    test.finish().await;
}
