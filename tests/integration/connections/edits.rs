//! An edited connection: which edits make a new client.

use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{Fault, FaultAction, FaultId, Operation, Simulator, SimulatorOptions, TenantSpec},
};

use super::namespaces::{Neighbours, is_ready, is_refused};
use crate::harness::{Gateway, PATIENCE, Test, has, until_connection};

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

/// Holds the next answer with tenants.
fn hold_batch(simulator: &Simulator) -> FaultId {
    simulator.inject(Fault::new(FaultAction::hold()).on(Operation::FetchTenants).once())
}

async fn until_held(simulator: &Simulator, held: FaultId) {
    tokio::time::timeout(PATIENCE, simulator.wait_for_hits(held, 1)).await.expect("a read");
}

/// The next poll is a day away.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_a_poll_takes_effect_at_once() {
    let both = Neighbours::new("edit-in-poll").await;
    let simulator = &both.owner.simulator;
    let spec = json!({"pollInterval": "24h", "allowedNamespaces": {"from": "All"}});
    both.owner.connection("default", spec).await;
    both.controller().await;
    until_connection(&both.owner, "default", "CredentialsAccepted").await;
    both.observe("acme", "default").await;
    both.user.until("acme", "is ready", is_ready).await;
    // The edit has the resting object polled now.
    let held = hold_batch(simulator);
    let faster = json!({"spec": {"requestsPerSecond": 9}});
    both.owner.edit::<PlatformConnection>("default", faster).await;
    until_held(simulator, held).await;
    let same = json!({"spec": {"allowedNamespaces": {"from": "Same"}}});
    both.owner.edit::<PlatformConnection>("default", same).await;
    both.owner.until_connection_observed("default").await;
    simulator.release(held);
    both.user.until("acme", "is refused", is_refused).await;
    both.finish().await;
}

/// Neither a read by id nor one by name, and also not if the connection is created again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_platform_before_the_edit_says_nothing() {
    let test = Test::new("edit-in-read").await;
    let elsewhere = Simulator::start(SimulatorOptions::default()).await.unwrap();
    let mut options = test.controller_options();
    options.allowed_hosts.push(elsewhere.url());
    test.controller_with(&options).await;
    for (name, by_name, again) in
        [("by-id", false, false), ("by-name", true, false), ("created-again", false, true)]
    {
        test.connection(name, json!({"pollInterval": "24h"})).await;
        until_connection(&test, name, "CredentialsAccepted").await;
        let id = test.simulator.add_tenant(TenantSpec::customer(name));
        let held = hold_batch(&test.simulator);
        let tenant = if by_name { json!({"name": name}) } else { json!({"id": id}) };
        test.tenant_pricing(name, json!({"tenant": tenant, "connectionRef": {"name": name}})).await;
        until_held(&test.simulator, held).await;
        if again {
            let connections: Api<PlatformConnection> = Api::namespaced(test.client.clone(), &test.namespace);
            connections.delete(name, &DeleteParams::default()).await.unwrap();
            test.connection(name, json!({"pollInterval": "24h", "url": elsewhere.url()})).await;
        } else {
            test.edit::<PlatformConnection>(name, json!({"spec": {"url": elsewhere.url()}})).await;
        }
        test.until_connection_observed(name).await;
        test.simulator.release(held);
        // The credentials are those of the other platform: this one refuses them.
        test.until(name, "waits for its connection", |object| has(object, "Ready", "False")).await;
        for status in test.recorded_statuses(name) {
            let seen = (&status["tenantId"], &status["observed"]);
            assert_eq!(seen, (&Value::Null, &Value::Null), "{name}: {status}");
        }
    }
    test.finish().await;
}

/// The check of a connection writes over the edit of another client only if it was read.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_watch_of_connections_costs_few_writes() {
    let test = Test::new("stuck-connection").await;
    let proxy = test.api_proxy().await;
    test.connection("default", json!({})).await;
    let mut options = test.controller_options();
    options.kubeconfig = proxy.kubeconfig();
    test.controller_with(&options).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    proxy.freeze_watches();
    test.edit::<PlatformConnection>("default", json!({"metadata": {"labels": {"team": "a"}}})).await;
    test.secret("default", json!({"clientId": "deleted", "clientSecret": "deleted"})).await;
    until_connection(&test, "default", "CredentialsRejected").await;
    let writes = test.controller_writes().await;
    let refused = writes.iter().filter(|write| write.name == "default" && write.code == 409).count();
    assert!((1..=2).contains(&refused), "{refused} writes met the edit: {writes:?}");
    proxy.thaw_watches();
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
