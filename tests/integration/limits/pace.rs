//! `requestsPerSecond` limits all requests together. However low it is, a switch can be sent.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::simulator::{LoggedRequest, Operation};

use super::{all_until, assert_pace, create, edit_connection, is_in_production, is_ready, requests_of};
use crate::harness::{PATIENCE, Test, until_connection};

/// Every request counts, the one for the token too.
fn requests(test: &Test) -> Vec<LoggedRequest> {
    test.simulator.requests()
}

/// How often the controller wrote to any of the objects.
async fn status_writes_of_all(test: &Test) -> usize {
    let writes = test.controller_writes().await;
    writes.iter().filter(|write| write.resource.starts_with("tenantpricings")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_switches_at_once_keep_the_pace_and_all_happen() {
    let test = Test::new("pace-forty").await;
    let tenants = test.simulator.add_customers(40, "Customer");
    test.connection("default", json!({"requestsPerSecond": 5})).await;
    test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    // Five requests each, at five in a second.
    let limit = Duration::from_secs(40) + 2 * PATIENCE;
    all_until(&test, "customer", 40, limit, "is switched", is_in_production).await;
    let requests = requests(&test);
    assert_pace(&requests, 5, 0);
    assert_eq!((test.simulator.total_puts(), test.simulator.tokens()), (40, 1));
    let reads = requests_of(&test, Operation::FetchTenants).len();
    assert!(reads <= 40, "{reads} requests to read 40 tenants");
    let others = requests.len() - reads;
    // Twice as many would be another read for each. A loaded machine repeats a few that became too old.
    assert!(others <= 40 * 6, "{others} further requests for 40 switches");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_in_a_second_is_enough_for_a_switch() {
    let test = Test::new("pace-one").await;
    let tenants = test.simulator.add_customers(1, "Customer");
    test.connection("default", json!({"requestsPerSecond": 1})).await;
    test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    all_until(&test, "customer", 1, 2 * PATIENCE, "is switched", is_in_production).await;
    assert_pace(&requests(&test), 1, 1);
    assert_eq!((test.simulator.total_puts(), test.simulator.tokens()), (1, 1));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_pace_holds_from_then_on_and_takes_no_other_token() {
    let test = Test::new("pace-edited").await;
    let tenants = test.simulator.add_customers(48, "Customer");
    test.connection("default", json!({"requestsPerSecond": 1})).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    create(&test, "early", &tenants[..40], &json!({"mode": "production"})).await;
    test.wait_for("the first switch", 2 * PATIENCE, async || {
        (test.simulator.total_puts() >= 1).then_some(())
    })
    .await;
    // What is left would take three minutes.
    assert!(test.simulator.total_puts() <= 4, "{} switches at once", test.simulator.total_puts());
    edit_connection(&test, json!({"requestsPerSecond": 50})).await;
    all_until(&test, "early", 40, PATIENCE, "is switched", is_in_production).await;

    edit_connection(&test, json!({"requestsPerSecond": 2})).await;
    test.simulator.clear_log();
    create(&test, "late", &tenants[40..], &json!({"mode": "production"})).await;
    all_until(&test, "late", 8, 2 * PATIENCE, "is switched", is_in_production).await;
    let slow = requests(&test);
    assert!(slow.len() >= 40, "five for each switch: {}", slow.len());
    assert_pace(&slow, 2, 1);
    assert_eq!(test.simulator.tokens(), 0, "the token of before is as good as ever");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_connection_enqueues_its_objects_without_a_storm() {
    let test = Test::new("pace-events").await;
    let tenants = test.simulator.add_customers(150, "Customer");
    test.connection("default", json!({})).await;
    test.controller().await;
    create(&test, "customer", &tenants, &json!({"mode": "trial"})).await;
    all_until(&test, "customer", 150, PATIENCE, "is ready", is_ready).await;
    let written = status_writes_of_all(&test).await;
    test.simulator.clear_log();
    edit_connection(&test, json!({"pollInterval": "1h"})).await;
    let all_read = |requests: &[LoggedRequest]| {
        let reads = requests.iter().filter(|request| request.operation == Operation::FetchTenants);
        let mut seen: Vec<&String> = reads.flat_map(|request| &request.tenants).collect();
        seen.sort();
        seen.dedup();
        seen.len() == 150
    };
    let all = tokio::time::timeout(PATIENCE, test.simulator.wait_for_requests(all_read)).await;
    assert!(all.is_ok(), "not all were read");
    // The annotation's echo comes after whatever the edit set off.
    test.reconcile_now("customer-0", "after").await;
    let batches = requests_of(&test, Operation::FetchTenants).len();
    assert!(batches <= 3 + 1, "{batches} requests for 150 objects and one more read");
    assert!(test.simulator.reads() <= batches + 1, "and one for the connection itself");
    assert_eq!(status_writes_of_all(&test).await, written + 1, "the echo, and no other object was written");
    test.finish().await;
}
