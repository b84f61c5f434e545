//! How many tenants a connection has in each mode: soon, and not often.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use kube::api::{Api, WatchEvent, WatchParams};
use serde_json::json;
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantCounts},
    simulator::Operation,
};

use crate::harness::{PATIENCE, Test, has, until_connection};

/// The counters move at most once in this time. A watch event may come a little later or sooner.
const PAUSE: Duration = Duration::from_millis(9_700);

/// Each move of the counters and when it was heard of.
type Moves = Arc<Mutex<Vec<(Instant, Option<TenantCounts>)>>>;

/// Follows the counters of the connection `default`, which must not be there yet.
async fn follow(test: &Test) -> Moves {
    let api: Api<PlatformConnection> = Api::namespaced(test.client.clone(), &test.namespace);
    let moves = Moves::default();
    let (kept, mut events) = (moves.clone(), api.watch(&WatchParams::default(), "0").await.unwrap().boxed());
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            let (WatchEvent::Added(connection) | WatchEvent::Modified(connection)) = event else { continue };
            let tenants = connection.status.and_then(|status| status.tenants);
            let mut moves = kept.lock().unwrap();
            if moves.last().and_then(|(_, last)| last.as_ref()) != tenants.as_ref() {
                moves.push((Instant::now(), tenants));
            }
        }
    });
    moves
}

async fn until_counted(test: &Test, moves: &Moves, trial: u32, production: u32) {
    let expected = Some(TenantCounts { trial, production, suspended: 0, unknown: 0 });
    test.wait_for(&format!("the counters are {expected:?}"), PATIENCE, async || {
        let moves = moves.lock().unwrap();
        moves.last().is_some_and(|(_, last)| *last == expected).then_some(())
    })
    .await;
}

async fn status_writes_of_connections(test: &Test) -> usize {
    let writes = test.controller_writes().await;
    writes.iter().filter(|write| write.resource.starts_with("platformconnections")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_change_once_in_ten_seconds_and_end_correct() {
    let test = Test::new("counters").await;
    let moves = follow(&test).await;
    let tenants = test.simulator.add_customers(6, "Customer");
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    for (number, tenant) in tenants.iter().enumerate() {
        test.tenant_pricing(&format!("tenant-{number}"), json!({"tenant": {"id": tenant}})).await;
    }
    until_counted(&test, &moves, 6, 0).await;
    for (number, tenant) in tenants.iter().enumerate().take(3) {
        test.production(&format!("switched-{number}"), tenant, json!({})).await;
        test.kubectl(&["delete", "tp", &format!("tenant-{number}")]).await.success();
        let name = format!("switched-{number}");
        test.until(&name, "is switched", |object| has(object, "Production", "True")).await;
    }
    until_counted(&test, &moves, 3, 3).await;
    let (from_zero, verified) = {
        let moves = moves.lock().unwrap();
        for pair in moves.windows(2).filter(|pair| pair[0].1.is_some()) {
            let pause = pair[1].0.duration_since(pair[0].0);
            assert!(pause >= PAUSE, "they moved twice within {pause:?}: {moves:#?}");
        }
        let tried = test.simulator.requests();
        (moves.len(), tried.iter().filter(|request| request.operation == Operation::FetchClient).count())
    };
    assert!(from_zero >= 2, "they moved in between");
    assert_eq!(verified, 1, "the platform is not asked for the sake of the counters");

    // After a restart, the process finds what it has written.
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    let writes = status_writes_of_connections(&test).await;
    test.simulator.clear_log();
    test.controller().await;
    test.simulator
        .wait_for_requests(|all| all.iter().any(|request| request.operation == Operation::FetchClient))
        .await;
    for number in 0..3 {
        test.reconcile_now(&format!("switched-{number}"), "again").await;
    }
    assert_eq!(status_writes_of_connections(&test).await, writes, "nothing is new");
    test.finish().await;
}
