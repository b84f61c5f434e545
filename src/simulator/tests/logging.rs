//! The log that tests assert on.

use super::*;
use crate::simulator::{Fault, FaultAction, Operation};

#[tokio::test]
async fn every_request_is_in_the_log_with_what_came_of_it() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.switch(&acme).await;
    caller.get(&format!("/tenants?uuids={acme}&access_token=abc")).await;
    let log = caller.simulator.requests();
    let operations: Vec<Operation> = log.iter().map(|entry| entry.operation).collect();
    assert_eq!(operations, [Operation::FetchPricing, Operation::PutPricing, Operation::FetchTenants]);
    let put = &log[1];
    assert_eq!((put.status(), put.took_effect, put.method.as_str()), (Some(200), true, "PUT"));
    assert_eq!(put.path, format!("/api/2/tenants/{acme}/pricing"));
    assert_eq!(put.body.as_ref().unwrap()["mode"], "production");
    assert_eq!(put.tenants, std::slice::from_ref(&acme));
    assert!(put.finished.unwrap() >= put.started && log[0].finished_after.unwrap() <= put.started_after);
    assert_eq!(log[2].query[1], ("access_token".to_owned(), "[taken out]".to_owned()));
    assert_eq!(log[2].tenants, [acme]);
}

#[tokio::test]
async fn puts_reads_and_tokens_are_counted_apart() {
    let caller = Caller::new().await;
    let (acme, other) = (caller.add("Acme"), caller.add("Other"));
    caller.switch(&acme).await;
    caller.switch(&acme).await;
    caller.fetch_token().await;
    let simulator = &caller.simulator;
    assert_eq!((simulator.puts(&acme), simulator.puts(&other), simulator.total_puts()), (2, 0, 2));
    assert_eq!((simulator.effective_puts(), simulator.reads(), simulator.tokens()), (1, 2, 1));
    simulator.clear_log();
    assert_eq!((simulator.total_puts(), simulator.reads(), simulator.requests().len()), (0, 0, 0));
}

#[tokio::test]
async fn a_refused_put_is_logged_as_one_that_changed_nothing() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    caller.put(&acme, json!({"version": 1, "mode": "production"})).await;
    let put = caller.simulator.requests().pop().unwrap();
    assert_eq!((put.status(), put.took_effect), (Some(409), false));
    assert_eq!(caller.simulator.puts(&acme), 1);
}

#[tokio::test]
async fn two_puts_in_flight_for_one_tenant_are_reported() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    let version = caller.pricing(&acme).await["version"].clone();
    let body = json!({"version": version, "mode": "production"});
    let hold = caller.simulator.inject(Fault::new(FaultAction::hold()).on(Operation::PutPricing));
    let release = async {
        caller.simulator.wait_for_hits(hold, 2).await;
        caller.simulator.release(hold);
    };
    let both =
        async { tokio::join!(caller.put(&acme, body.clone()), caller.put(&acme, body.clone()), release) };
    let (one, two, ()) = soon(both).await;
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "the version lets one of them take effect");
    assert_eq!(caller.simulator.overlapping_puts(), 1);
    assert_eq!(caller.simulator.effective_puts(), 1);
    let log = caller.simulator.requests();
    assert!(
        log.iter()
            .filter(|entry| entry.operation == Operation::PutPricing)
            .all(|put| put.overlapping_puts == 1)
    );
}

#[tokio::test]
async fn one_after_another_is_no_overlap() {
    let caller = Caller::new().await;
    let acme = caller.add("Acme");
    for _ in 0..20 {
        caller.put(&acme, json!({"version": 1})).await;
    }
    assert_eq!(caller.simulator.overlapping_puts(), 0);
}

#[tokio::test]
async fn the_simulator_s_own_interface_is_not_in_the_log() {
    let caller = Caller::new().await;
    caller.http.get(format!("{}/simulator/summary", caller.simulator.url())).send().await.unwrap();
    assert!(caller.simulator.requests().is_empty());
}
