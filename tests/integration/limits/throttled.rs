//! A platform that throttles: the whole connection pauses, and no other.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, LoggedRequest, Operation};

use super::{all_until, create, is_in_production, is_ready};
use crate::harness::{PATIENCE, Test, until_connection};

/// The pause that the platform asks for. Meanwhile another connection switches six tenants, also on a busy machine.
const SECONDS: u64 = 24;

/// Whether a request speaks of one of these tenants, or of this client.
fn concerns(request: &LoggedRequest, tenants: &[String], client_id: &str) -> bool {
    request.tenants.iter().any(|tenant| tenants.contains(tenant)) || request.path.contains(client_id)
}

/// Has the first batch of connection `default` answered with `action`, and checks that nothing was sent through
/// it for `pause`, while connection `other` went on.
async fn pauses_the_whole_connection_and_no_other(name: &str, action: FaultAction, pause: Duration) {
    let test = Test::new(name).await;
    let client = test.simulator.client_id();
    let other = test.simulator.add_client(&test.simulator.root_tenant());
    let tenants = test.simulator.add_customers(26, "Customer");
    let (paused, going_on) = tenants.split_at(20);
    test.connection("default", json!({})).await;
    test.connection("other", json!({})).await;
    let values = json!({"clientId": other.client_id, "clientSecret": other.client_secret});
    test.secret("other", values).await;
    test.controller().await;
    for connection in ["default", "other"] {
        until_connection(&test, connection, "CredentialsAccepted").await;
    }
    let fault = Fault::new(action).on(Operation::FetchTenants).tenant(&paused[0]).once();
    let fault = test.simulator.inject(fault);
    create(&test, "first", &paused[..1], &json!({"mode": "production"})).await;
    let hit = tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(fault, 1)).await;
    assert!(hit.is_ok(), "no read came");
    // Work for both connections, as soon as the pause is on: by id, by name, and from a person.
    let here = json!({"mode": "production"});
    let elsewhere = json!({"mode": "production", "connectionRef": {"name": "other"}});
    let by_name = json!({"tenant": {"name": "Customer-00020"}, "mode": "trial"});
    tokio::join!(
        create(&test, "paused", &paused[1..19], &here),
        create(&test, "going-on", going_on, &elsewhere),
        async { drop(test.tenant_pricing("named", by_name).await) },
    );
    until_connection(&test, "default", "RateLimited").await;
    all_until(&test, "going-on", going_on.len(), PATIENCE, "is switched", is_in_production).await;
    all_until(&test, "first", 1, pause + PATIENCE, "is switched", is_in_production).await;
    all_until(&test, "paused", 18, pause + PATIENCE, "is switched", is_in_production).await;
    test.until("named", "is found", is_ready).await;
    until_connection(&test, "default", "CredentialsAccepted").await;

    let requests = test.simulator.requests();
    let asked = requests.iter().find(|request| matches!(request.status(), Some(429 | 503))).unwrap();
    let begun = asked.finished_after.unwrap();
    let after = || requests.iter().filter(|request| request.sequence > asked.sequence);
    // A search names no customer, only the tenant to search below.
    let ours = |request: &&LoggedRequest| {
        concerns(request, paused, &client) || request.operation == Operation::Search
    };
    let resumed = after().find(ours).unwrap().started_after;
    let paused_for = resumed.saturating_sub(begun);
    assert!(paused_for >= pause.mul_f64(0.99), "the next request came after {paused_for:?}");
    let puts_meanwhile = after().filter(|request| {
        request.operation == Operation::PutPricing
            && request.started_after < resumed
            && going_on.contains(&request.tenants[0])
    });
    assert_eq!(puts_meanwhile.count(), going_on.len(), "the other connection went on");
    assert_eq!(test.simulator.tokens(), 2, "a pause takes no other token");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_pause_the_whole_connection_and_no_other() {
    let action = FaultAction::RetryAfterSeconds { status: 429, seconds: SECONDS };
    pauses_the_whole_connection_and_no_other("throttled-429", action, Duration::from_secs(SECONDS)).await;
}

/// No other connection pauses.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_date_pauses_its_whole_connection() {
    let action = FaultAction::RetryAfterDate { status: 503, seconds: SECONDS };
    // A date has whole seconds.
    let pause = Duration::from_secs(SECONDS - 1);
    pauses_the_whole_connection_and_no_other("throttled-503", action, pause).await;
}

/// Nothing is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_stops_a_drain_until_it_is_over() {
    let test = Test::new("throttled-drain").await;
    let tenants = test.simulator.add_customers(30, "Customer");
    test.connection("default", json!({"requestsPerSecond": 50})).await;
    test.controller().await;
    let action = FaultAction::RetryAfterSeconds { status: 429, seconds: SECONDS };
    test.simulator.inject(Fault::new(action).on(Operation::PutPricing).skip(5).once());
    // The one PUT that was refused for the pace's sake may be sent once more, with an announcement of its own.
    for tenant in &tenants {
        test.expect_puts(tenant, 2);
    }
    create(&test, "customer", &tenants, &json!({"mode": "production"})).await;
    let limit = Duration::from_secs(SECONDS) + 2 * PATIENCE;
    all_until(&test, "customer", 30, limit, "is switched", is_in_production).await;
    let requests = test.simulator.requests();
    let asked = requests.iter().find(|request| request.status() == Some(429)).unwrap();
    let begun = asked.finished_after.unwrap();
    // What had been let through before it came arrives a moment later, and later still on a busy machine.
    let late = begun + Duration::from_secs(SECONDS / 4);
    let resumed = begun + Duration::from_secs(SECONDS).mul_f64(0.99);
    let meanwhile: Vec<&LoggedRequest> = requests
        .iter()
        .filter(|request| request.started_after > late && request.started_after < resumed)
        .collect();
    assert!(meanwhile.is_empty(), "{} requests in the pause: {meanwhile:#?}", meanwhile.len());
    assert_eq!((test.simulator.effective_puts(), test.simulator.total_puts()), (30, 31));
    test.finish().await;
}
