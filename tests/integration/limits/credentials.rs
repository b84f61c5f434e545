//! One token serves all requests. A connection that does not work causes few requests.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction, LoggedRequest, Operation},
};

use super::{all_until, create, is_ready, requests_of};
use crate::harness::{PATIENCE, Test, has, reason, until_connection};

/// A corrected Secret works within this time.
const CORRECTED: Duration = Duration::from_secs(30);

fn waits_for_its_connection(object: &TenantPricing) -> bool {
    has(object, "Stalled", "True") && reason(object, "Stalled") == "ConnectionNotReady"
}

/// A hundred objects share one attempt.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_credentials_are_tried_once_in_half_a_minute() {
    let test = Test::new("rejected-hundred").await;
    let tenants = test.simulator.add_customers(100, "Customer");
    test.connection("default", json!({})).await;
    let id = test.simulator.client_id();
    test.secret("default", json!({"clientId": id, "clientSecret": "wrong-secret-93c1"})).await;
    test.keep_secret("wrong-secret-93c1");
    create(&test, "customer", &tenants, &json!({"mode": "trial"})).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsRejected").await;
    all_until(&test, "customer", 100, PATIENCE, "reports it", waits_for_its_connection).await;
    let twice =
        tokio::time::timeout(2 * PATIENCE, test.simulator.wait_for_requests(|requests| requests.len() >= 2));
    assert!(twice.await.is_ok(), "it is not tried again");
    test.secret("default", json!({"clientId": id, "clientSecret": test.simulator.client_secret()})).await;
    all_until(&test, "customer", 100, CORRECTED + PATIENCE, "is ready", is_ready).await;
    until_connection(&test, "default", "CredentialsAccepted").await;

    let requests = test.simulator.requests();
    let works = requests.iter().find(|request| request.status() == Some(200)).unwrap();
    let (rejected, accepted): (Vec<&LoggedRequest>, Vec<&LoggedRequest>) =
        requests.iter().partition(|request| request.sequence < works.sequence);
    assert!(rejected.iter().all(|request| request.operation == Operation::Token), "{rejected:#?}");
    for pair in rejected.windows(2) {
        let pause = pair[1].started_after.saturating_sub(pair[0].started_after);
        assert!(pause >= Duration::from_secs(20), "tried again after {pause:?}");
    }
    let tokens = accepted.iter().filter(|request| request.operation == Operation::Token).count();
    assert_eq!(tokens, 1);
    assert!(accepted.len() <= 10, "{} requests to catch up with a hundred objects", accepted.len());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_platform_is_probed_one_request_at_a_time() {
    let test = Test::new("unreachable-hundred").await;
    let tenants = test.simulator.add_customers(100, "Customer");
    test.connection("default", json!({"requestsPerSecond": 100})).await;
    create(&test, "by-id", &tenants[..60], &json!({"mode": "trial"})).await;
    for number in 0..40 {
        let name = format!("Customer-{:05}", 61 + number);
        test.tenant_pricing(&format!("by-name-{number}"), json!({"tenant": {"name": name}})).await;
    }
    // It gives a token, and from then on answers nothing.
    let outage = test.simulator.inject(Fault::new(FaultAction::DropBefore).skip(1));
    test.controller().await;
    until_connection(&test, "default", "PlatformUnavailable").await;
    let reports_it = |object: &TenantPricing| reason(object, "Reconciling") == "PlatformUnavailable";
    all_until(&test, "by-id", 60, PATIENCE, "reports it", reports_it).await;
    all_until(&test, "by-name", 40, PATIENCE, "reports it", reports_it).await;
    let probed = tokio::time::timeout(2 * PATIENCE, test.simulator.wait_for_hits(outage, 7)).await;
    assert!(probed.is_ok(), "it is not tried again");
    test.simulator.clear_faults();
    let requests = test.simulator.requests();
    let failed: Vec<&LoggedRequest> =
        requests.iter().filter(|request| request.operation != Operation::Token).collect();
    // Three failures open the circuit breaker. What was admitted before is sent at once, and then one at a time.
    let pause =
        |pair: &[&LoggedRequest]| pair[1].started_after.saturating_sub(pair[0].finished_after.unwrap());
    let is_probe = |pair: &[&LoggedRequest]| pause(pair) >= Duration::from_millis(900);
    let at_first = 3 + failed[2..].windows(2).position(is_probe).expect("it pauses");
    assert!(at_first <= 12, "{at_first} requests before anything was known");
    for pair in failed[at_first..].windows(2) {
        assert!(is_probe(pair), "two probes within {:?}: {failed:#?}", pause(pair));
    }
    // All of them are read again without any action.
    all_until(&test, "by-id", 60, 3 * PATIENCE, "is ready", is_ready).await;
    all_until(&test, "by-name", 40, 3 * PATIENCE, "is ready", is_ready).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    assert_eq!(test.simulator.tokens(), 1);
    test.finish().await;
}

/// Each lifetime of a token costs one further request for a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_fetches_one_token_for_all_objects() {
    let test = Test::new("one-token").await;
    let tenants = test.simulator.add_customers(200, "Customer");
    // By the platform's clock it is renewed at 80 % of that.
    test.simulator.inject(Fault::new(FaultAction::TokenLifetime { seconds: 25 }));
    test.connection("default", json!({"requestsPerSecond": 100, "pollInterval": "10s"})).await;
    create(&test, "customer", &tenants, &json!({"mode": "trial"})).await;
    test.controller().await;
    all_until(&test, "customer", 200, PATIENCE, "is ready", is_ready).await;
    let three = |requests: &[LoggedRequest]| {
        requests.iter().filter(|request| request.operation == Operation::Token).count() >= 3
    };
    let renewed = tokio::time::timeout(3 * PATIENCE, test.simulator.wait_for_requests(three)).await;
    assert!(renewed.is_ok(), "it is not renewed");
    let tokens = requests_of(&test, Operation::Token);
    for pair in tokens.windows(2) {
        let lived = pair[1].started_after.saturating_sub(pair[0].started_after);
        assert!(lived >= Duration::from_secs(19), "a token of 25 s was renewed after {lived:?}");
    }
    let refused = test.simulator.requests().iter().filter(|request| request.status() == Some(401)).count();
    assert_eq!(refused, 0, "it is renewed in time");
    test.finish().await;
}
