//! Connections: each failure has its condition, its message, and its remedy.

mod addresses;
mod claims;
mod counters;
mod edits;
mod foreign;
mod many;
mod namespaces;
mod refused;
mod secrets;
mod selectors;

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, Operation, TenantSpec};

use crate::harness::{Test, has, reason, until_connection};

/// A corrected Secret works within this time, on a busy machine.
const CORRECTED: Duration = Duration::from_secs(50);

/// The Secret is missing or cannot be used.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_secret_is_named_and_works_once_corrected() {
    let test = Test::new("secrets").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let spec = |secret: &str| json!({"credentialsSecretRef": {"name": format!("{secret}-secret")}});
    test.connection("missing", spec("later")).await;
    test.connection("keyless", spec("keyless")).await;
    test.connection("empty", spec("empty")).await;
    test.connection("rejected", spec("rejected")).await;
    test.secret("keyless-secret", json!({"clientId": test.simulator.client_id()})).await;
    test.secret("empty-secret", json!({"clientId": test.simulator.client_id(), "clientSecret": "\n"})).await;
    let wrong = "wrong-secret-5d1f";
    test.secret("rejected-secret", json!({"clientId": test.simulator.client_id(), "clientSecret": wrong}))
        .await;
    test.kubectl_with(
        &["apply", "-f", "-"],
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"binary-secret"},"data":{"clientId":"/////w==","clientSecret":"/////w=="}}"#,
    )
    .await
    .success();
    test.connection("binary", spec("binary")).await;
    let controller = test.controller().await;
    test.production("acme", &tenant, json!({"connectionRef": {"name": "missing"}})).await;
    for (name, expected, word) in [
        ("missing", "SecretNotFound", "later"),
        ("keyless", "SecretInvalid", "clientSecret"),
        ("empty", "SecretInvalid", "clientSecret"),
        ("binary", "SecretInvalid", "clientId"),
        ("rejected", "CredentialsRejected", "30 s"),
    ] {
        let said = until_connection(&test, name, expected).await;
        assert!(said.contains(word), "{name}: {said}");
    }
    let object = test.until("acme", "reports it", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady");
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    // A trailing newline, as `echo` leaves it, does no harm.
    test.secret(
        "later-secret",
        json!({"clientId": format!("{id}\n"), "clientSecret": format!("{secret}\n")}),
    )
    .await;
    test.secret("rejected-secret", json!({"clientId": id, "clientSecret": secret})).await;
    test.until_within(CORRECTED, "acme", "is switched", |object| has(object, "Production", "True")).await;
    until_connection(&test, "rejected", "CredentialsAccepted").await;
    assert!(!controller.log().contains(wrong), "a secret that does not work is still a secret");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_allowed_is_never_called() {
    let test = Test::new("hosts").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let port = test.simulator.address().port();
    // The same server by another name, which the allow-list does not have.
    test.connection("default", json!({"url": format!("http://localhost:{port}")})).await;
    let controller = test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    let said = until_connection(&test, "default", "HostNotAllowed").await;
    assert!(said.contains("localhost") && said.contains("--allowed-hosts"), "{said}");
    // A user who may write a connection need not know the hosts of the list.
    assert!(!said.contains("127.0.0.1"), "{said}");
    let object = test.until("acme", "reports it", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotReady");
    let status = serde_json::to_string(&object.status).unwrap();
    assert!(!status.contains("127.0.0.1"), "{status}");
    test.reconcile_now("acme", "1").await;
    let entries = controller.log_entries();
    let said: Vec<_> = entries.iter().filter(|entry| entry["allowed_hosts"].is_string()).collect();
    let said: Vec<_> = said.iter().filter(|entry| entry["name"] == "default").collect();
    assert_eq!(said.len(), 1, "the log shows the list, once: {said:#?}");
    assert!(said[0]["allowed_hosts"].as_str().unwrap().contains("127.0.0.1") && said[0]["level"] == "WARN");
    assert_eq!(test.simulator.requests().len(), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_connection_is_named_and_found_once_created() {
    let test = Test::new("no-connection").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotFound");
    test.connection("default", json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_asks_for_a_pause_is_given_it() {
    let test = Test::new("paused").await;
    let tenants = test.simulator.add_customers(2, "Customer");
    test.connection("default", json!({})).await;
    test.controller().await;
    test.tenant_pricing("calm", json!({"tenant": {"id": tenants[0]}})).await;
    test.until("calm", "is ready", |object| has(object, "Ready", "True")).await;
    let pause = Fault::new(FaultAction::RetryAfterSeconds { status: 429, seconds: 6 });
    test.simulator.inject(pause.on(Operation::FetchTenants).once());
    test.production("acme", &tenants[1], json!({})).await;
    let object = test.until("acme", "reports it", |object| has(object, "Reconciling", "True")).await;
    assert_eq!(reason(&object, "Reconciling"), "RateLimited");
    until_connection(&test, "default", "RateLimited").await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let requests = test.simulator.requests();
    let asked = requests.iter().find(|request| request.status() == Some(429)).unwrap();
    let next = requests.iter().find(|request| request.sequence > asked.sequence).unwrap();
    let paused = next.started_after.saturating_sub(asked.finished_after.unwrap());
    assert!(paused >= Duration::from_millis(5900), "the next call came after {paused:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_tokens_are_renewed_once_and_nothing_is_said_of_it() {
    let test = Test::new("revoked").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is ready", |object| has(object, "Ready", "True")).await;
    test.simulator.revoke_tokens();
    test.simulator.update_tenant(&tenant, |tenant| tenant.name = "Acme AG".into());
    test.request_reconcile("acme", "1").await;
    let object = test
        .until("acme", "is read", |object| {
            object.status.as_ref().unwrap().last_handled_reconcile_at.is_some()
        })
        .await;
    assert_eq!(object.status.unwrap().observed.unwrap().tenant_name.as_deref(), Some("Acme AG"));
    assert_eq!(test.simulator.tokens(), 2);
    test.finish().await;
}
