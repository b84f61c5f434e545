//! The journal write has no certain answer, or comes too late: nothing is sent for it.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy},
    simulator::{Fault, FaultAction, Operation, TenantSpec},
};

use super::{announced, attempts, connected, is_switched, journal, on_put, puts};
use crate::harness::{ApiProxy, PATIENCE, Test, WriteFault, reason};

/// A test whose controller goes through a proxy to the API server.
async fn proxied(name: &str) -> (Test, ApiProxy) {
    let test = connected(name).await;
    let proxy = test.api_proxy().await;
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    test.controller_with(&options).await;
    (test, proxy)
}

/// The entry that it may have left behind is closed.
#[tokio::test(flavor = "multi_thread")]
async fn an_uncertain_or_late_journal_write_sends_nothing() {
    let (test, proxy) = proxied("journal").await;
    let seconds = Duration::from_secs;
    // The first status write of an object whose time has come is its journal. The number is that of the
    // attempts it takes at least: the first is in the store in all cases but those where it never came. On a
    // loaded machine another write can be late as well.
    let cases = [
        ("lost-answer", WriteFault::LoseAnswer, 2),
        ("error-500", WriteFault::AnswerWith(500), 2),
        ("error-503", WriteFault::AnswerWith(503), 2),
        ("gave-up-504", WriteFault::AnswerWith(504), 2),
        ("gave-up-408", WriteFault::AnswerWith(408), 2),
        ("lost-request", WriteFault::LoseRequest, 1),
        ("answered-from-the-past", WriteFault::AnswerFromThePast, 1),
        ("late-answer", WriteFault::DelayAnswer(seconds(6)), 2),
        ("too-late-answer", WriteFault::DelayAnswer(seconds(12)), 2),
        ("late-request", WriteFault::DelayRequest(seconds(6)), 2),
    ];
    let mut standing = Vec::new();
    for (name, fault, expected) in cases {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        let held = test.simulator.inject(on_put(&tenant, FaultAction::hold()));
        proxy.at_next_status_write(name, fault);
        test.production(name, &tenant, json!({})).await;
        standing.push((name, tenant, held, expected));
    }
    for (name, tenant, held, expected) in standing {
        let sent = tokio::time::timeout(2 * PATIENCE, test.simulator.wait_for_hits(held, 1)).await;
        assert!(sent.is_ok(), "{name}: no PUT{}", test.diagnosis().await);
        let before_the_put = announced(&test, name).len();
        test.simulator.release(held);
        assert!(before_the_put >= expected, "{name}: the attempt that is sent must be certain");
        let object = test.until(name, "is switched", is_switched).await;
        assert_eq!(journal(&object).unwrap().by, Some(SwitchedBy::Controller), "{name}");
        assert_eq!((attempts(&object) as usize, test.simulator.puts(&tenant)), (before_the_put, 1), "{name}");
    }
    assert!(proxy.all_happened());
    test.finish().await;
}

/// The controller gave up on the write before it reached the API server.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_journal_write_is_found_and_closed() {
    let (test, proxy) = proxied("journal-late").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    // No other write may overtake it, or it would only conflict: the next read is slow.
    let read = Fault::new(FaultAction::hold()).on(Operation::FetchTenants);
    let held = test.simulator.inject(read.skip(1).once());
    proxy.at_next_status_write("acme", WriteFault::DelayRequest(Duration::from_secs(16)));
    test.production("acme", &tenant, json!({})).await;
    let open = |object: &_| super::phase(object) == Some(Phase::InFlight);
    test.until("acme", "is announced, late", open).await;
    assert_eq!(test.simulator.puts(&tenant), 0);
    test.simulator.release(held);
    let object = test.until_within(2 * PATIENCE, "acme", "is switched", is_switched).await;
    assert!(attempts(&object) >= 2, "{:?}", journal(&object));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_breaks_does_not_cut_a_switch_in_half() {
    let (test, proxy) = proxied("watch-cut").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold()));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    proxy.cut_watches();
    test.simulator.release(held);
    let object = test.until("acme", "is switched", is_switched).await;
    assert_eq!((reason(&object, "Production"), attempts(&object)), ("SwitchedByController", 1));
    assert!(puts(&test, &tenant)[0].status() == Some(200), "the request was not broken off");
    // The watches go on: the next object is seen.
    let next = test.simulator.add_tenant(TenantSpec::customer("Beta AG"));
    test.production("beta", &next, json!({})).await;
    test.until("beta", "is switched", is_switched).await;
    test.finish().await;
}

/// The API server is unavailable right after the PUT.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_stored_once_the_api_server_is_back() {
    let (test, proxy) = proxied("api-away").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let held = test.simulator.inject(on_put(&tenant, FaultAction::hold()));
    test.production("acme", &tenant, json!({})).await;
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(held, 1)).await.expect("a PUT");
    proxy.away(true);
    test.simulator.release(held);
    // Read back, and the outcome is not written anywhere.
    let after_put = |requests: &[tenant_pricing_controller::simulator::LoggedRequest]| {
        let put = requests.iter().position(|request| request.operation == Operation::PutPricing);
        put.is_some_and(|put| {
            requests[put..]
                .iter()
                .any(|it| it.operation == Operation::FetchPricing && it.status() == Some(200))
        })
    };
    tokio::time::timeout(PATIENCE, test.simulator.wait_for_requests(after_put)).await.expect("a read");
    proxy.away(false);
    let object = test.until_within(2 * PATIENCE, "acme", "is switched", is_switched).await;
    assert_eq!((reason(&object, "Production"), attempts(&object)), ("SwitchedByController", 1));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}
