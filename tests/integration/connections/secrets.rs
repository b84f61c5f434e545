//! The Secret of a connection that works is deleted or changed, and no object asks for anything.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use serde_json::json;
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
};

use crate::harness::{Test, has, reason, until_connection_within};

/// A change is noticed within 30 s, on a busy machine.
const NOTICED: Duration = Duration::from_secs(45);

/// A connection whose only object is in production, so that nothing is asked for a day.
async fn at_rest(name: &str) -> Test {
    let test = Test::new(name).await;
    test.connection("default", json!({})).await;
    test.controller().await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("At rest").mode("production"));
    test.tenant_pricing("rest", json!({"tenant": {"id": tenant}})).await;
    test.until("rest", "is ready", |object| has(object, "Ready", "True")).await;
    until_connection_within(&test, NOTICED, "default", "CredentialsAccepted").await;
    test
}

async fn stalled(test: &Test) -> bool {
    let api: Api<PlatformConnection> = Api::namespaced(test.client.clone(), &test.namespace);
    let status = api.get("default").await.unwrap().status.unwrap();
    status.conditions.iter().any(|condition| condition.type_ == "Stalled" && condition.status == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_deleted_at_rest_is_noticed_and_stops_switches() {
    let test = at_rest("secret-deleted").await;
    let secrets: Api<Secret> = Api::namespaced(test.client.clone(), &test.namespace);
    secrets.delete("default", &DeleteParams::default()).await.unwrap();
    until_connection_within(&test, NOTICED, "default", "SecretNotFound").await;
    assert!(stalled(&test).await);
    let before = test.simulator.requests().len();
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Too late"));
    test.production("late", &tenant, json!({})).await;
    let object = test.until("late", "is held", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady");
    assert_eq!(test.simulator.requests().len(), before, "nothing is sent with the token that still lives");
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    test.secret("default", json!({"clientId": id, "clientSecret": secret})).await;
    let switched = |object: &TenantPricing| has(object, "Production", "True");
    test.until_within(2 * NOTICED, "late", "is switched", switched).await;
    until_connection_within(&test, NOTICED, "default", "CredentialsAccepted").await;
    assert!(!stalled(&test).await);
    assert_eq!(
        test.recorded_statuses("rest").iter().filter(|status| !status["conditions"].is_null()).count(),
        1
    );
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_changed_at_rest_is_tried_at_once() {
    let test = at_rest("secret-changed").await;
    let id = test.simulator.client_id();
    let wrong = "wrong-secret-77aa";
    test.keep_secret(wrong);
    test.secret("default", json!({"clientId": id, "clientSecret": wrong})).await;
    until_connection_within(&test, NOTICED, "default", "CredentialsRejected").await;
    assert!(stalled(&test).await);
    let other = test.simulator.add_client(&test.simulator.root_tenant());
    test.keep_secret(&other.client_secret);
    test.secret("default", json!({"clientId": other.client_id, "clientSecret": other.client_secret})).await;
    until_connection_within(&test, NOTICED, "default", "CredentialsAccepted").await;
    let tokens = test.simulator.tokens();
    // Another annotation on the Secret is no change of the credentials.
    test.kubectl(&["annotate", "secret", "default", "rotated-by=test"]).await.success();
    let read = tokio::time::sleep(Duration::from_secs(35));
    read.await;
    assert_eq!(test.simulator.tokens(), tokens, "an annotation asks for no token");
    test.finish().await;
}
