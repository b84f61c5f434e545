//! What connections cost that do not work, and those that are edited without end.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;
use tenant_pricing_controller::{
    api::PlatformConnection,
    simulator::{LoggedRequest, Operation},
};

use crate::harness::{PATIENCE, Test, until_connection};

/// The number of connections whose Secret is missing.
const MANY: usize = 200;

/// What each may take. A root store of its own took more than 200 KiB.
const EACH: u64 = 100 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_secret_take_little_memory() {
    let test = Test::new("many-connections").await;
    let mut options = test.controller_options();
    options.allowed_hosts.push("connections.example.com".to_owned());
    let controller = test.controller_with(&options).await;
    test.connection("default", json!({})).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let before = controller.peak_memory().await;
    let api: Api<PlatformConnection> = Api::namespaced(test.client.clone(), &test.namespace);
    stream::iter(0..MANY)
        .for_each_concurrent(8, async |number| {
            let connection = json!({
                "apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
                "metadata": {"name": format!("many-{number}")},
                "spec": {"url": "https://connections.example.com", "credentialsSecretRef": {"name": "none"}},
            });
            let connection = serde_json::from_value(connection).unwrap();
            api.create(&PostParams::default(), &connection).await.unwrap();
        })
        .await;
    test.wait_for("each reports that its Secret is missing", 4 * PATIENCE, async || {
        let all = api.list(&ListParams::default()).await.unwrap().items;
        let missing = |connection: &&PlatformConnection| {
            let conditions = connection.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| condition.reason == "SecretNotFound")
        };
        (all.iter().filter(missing).count() == MANY).then_some(())
    })
    .await;
    let grown = controller.peak_memory().await.saturating_sub(before);
    assert!(grown <= MANY as u64 * EACH, "{grown} bytes for {MANY} connections");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_ask_for_one_token_in_ten_seconds() {
    let test = Test::new("edit-storm").await;
    test.connection("default", json!({})).await;
    test.controller().await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    test.secret("another", json!({"clientId": id, "clientSecret": secret})).await;
    let started = Instant::now();
    let mut edits = 0_usize;
    // The absence of requests over this time is what is tested.
    while started.elapsed() < Duration::from_secs(25) || edits <= 20 {
        let name = ["another", "default"][edits % 2];
        let patch = json!({"spec": {"credentialsSecretRef": {"name": name}}});
        test.edit::<PlatformConnection>("default", patch).await;
        edits += 1;
    }
    until_connection(&test, "default", "CredentialsAccepted").await;
    let requests = test.simulator.requests();
    let tokens: Vec<&LoggedRequest> =
        requests.iter().filter(|request| request.operation == Operation::Token).collect();
    assert!(tokens.len() >= 2, "{edits} edits, {} tokens", tokens.len());
    for pair in tokens.windows(2) {
        let pause = pair[1].started_after.saturating_sub(pair[0].started_after);
        assert!(pause >= Duration::from_millis(9500), "two tokens within {pause:?}");
    }
    test.finish().await;
}
