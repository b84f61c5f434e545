//! An edited connection: which edits make a new client.

use serde_json::{Value, json};
use tenant_pricing_controller::api::{PlatformConnection, TenantPricing};
use tenant_pricing_controller::simulator::TenantSpec;

use crate::harness::{Gateway, Test, has, until_connection};

const AUTHORITY: &str = include_str!("../../../src/platform/tests/tls/authority.pem");

/// Edits the connection and waits until its status reflects the edit, and its object was read since.
async fn edited(test: &Test, spec: Value, request: &str) {
    test.edit::<PlatformConnection>("default", json!({"spec": spec})).await;
    test.until_connection_observed("default").await;
    until_connection(test, "default", "CredentialsAccepted").await;
    test.reconcile_now("acme", request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_another_way_to_the_platform_takes_another_token() {
    let test = Test::new("edited").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let gateway = Gateway::to(test.simulator.address()).await;
    test.connection("default", json!({})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(gateway.url());
    test.controller_with(&options).await;
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}})).await;
    test.until("acme", "is ready", |object| has(object, "Ready", "True")).await;
    for (number, spec) in [
        json!({"requestsPerSecond": 50}),
        json!({"pollInterval": "1h"}),
        json!({"switch": {"at": "MonthStart", "budget": {"count": 3, "window": "2h"}}}),
        json!({"allowedNamespaces": {"from": "All"}}),
    ]
    .into_iter()
    .enumerate()
    {
        edited(&test, spec.clone(), &format!("same-{number}")).await;
        assert_eq!(test.simulator.tokens(), 1, "after {spec}");
    }
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    test.secret("another", json!({"clientId": id, "clientSecret": secret})).await;
    for (number, spec) in [
        json!({"credentialsSecretRef": {"name": "another"}}),
        json!({"caBundle": AUTHORITY}),
        json!({"url": gateway.url()}),
    ]
    .into_iter()
    .enumerate()
    {
        edited(&test, spec.clone(), &format!("another-{number}")).await;
        assert_eq!(test.simulator.tokens(), number + 2, "after {spec}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_one_data_centre_use_their_own_credentials() {
    let test = Test::new("two-connections").await;
    let other = test.simulator.add_client(&test.simulator.root_tenant());
    test.connection("one", json!({})).await;
    test.connection("other", json!({})).await;
    let values = json!({"clientId": other.client_id, "clientSecret": other.client_secret});
    test.secret("other", values).await;
    test.controller().await;
    for name in ["one", "other"] {
        until_connection(&test, name, "CredentialsAccepted").await;
        let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
        test.production(name, &tenant, json!({"connectionRef": {"name": name}})).await;
        test.until(name, "is switched", |object| has(object, "Production", "True")).await;
    }
    assert_eq!(test.simulator.tokens(), 2, "one for each");
    // The end of one is not the end of the other.
    test.edit::<PlatformConnection>("one", json!({"spec": {"suspend": true}})).await;
    until_connection(&test, "one", "Suspended").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("later"));
    test.production("later", &tenant, json!({"connectionRef": {"name": "one"}})).await;
    let held = |object: &TenantPricing| has(object, "Stalled", "True");
    test.until("later", "is held", held).await;
    test.edit::<TenantPricing>("later", json!({"spec": {"connectionRef": {"name": "other"}}})).await;
    test.until("later", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!((test.simulator.tokens(), test.simulator.total_puts()), (2, 3));
    test.finish().await;
}
