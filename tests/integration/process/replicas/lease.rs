//! The Lease, as users of client-go expect it.

use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tenant_pricing_controller::{clock::Clock, simulator::TenantSpec};

use super::{
    LEADS, NAME, STANDS_BY, holder, identity, leads_by_its_metrics, lease, until_leading, until_ready,
    until_said,
};
use crate::harness::{Controller, PATIENCE, Test, has};

/// A Lease that another process holds, for this many seconds.
async fn held_by_another(test: &Test, seconds: i32) {
    let now = MicroTime(Clock::system().now());
    let lease = json!({
        "metadata": {"name": NAME},
        "spec": {"holderIdentity": "another", "leaseDurationSeconds": seconds, "leaseTransitions": 7,
                 "acquireTime": now, "renewTime": now},
    });
    let leases: Api<Lease> = Api::namespaced(test.client.clone(), &test.namespace);
    leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
}

/// It is created, renewed, released and acquired again.
#[tokio::test(flavor = "multi_thread")]
async fn the_lease_is_managed_as_client_go_does() {
    let test = Test::new("lease").await;
    let first = test.controller().await;
    until_leading(&test, &first).await;
    let created = lease(&test).await.unwrap();
    assert_eq!(created.holder_identity, identity(&first));
    assert_eq!((created.lease_duration_seconds, created.lease_transitions), (Some(15), Some(0)));
    let renewed = test
        .wait_for("the lease is renewed", PATIENCE, async || {
            lease(&test).await.filter(|lease| lease.renew_time != created.renew_time)
        })
        .await;
    assert_eq!(renewed.acquire_time, created.acquire_time);
    assert_eq!(renewed.lease_transitions, Some(0));
    first.terminate().await;
    assert_eq!(first.wait(PATIENCE).await, Some(0));
    let free = lease(&test).await.unwrap();
    assert_eq!((free.holder_identity.as_deref(), free.lease_duration_seconds), (Some(""), Some(1)));

    let second = test.controller().await;
    until_leading(&test, &second).await;
    let taken = lease(&test).await.unwrap();
    assert_eq!(taken.holder_identity, identity(&second));
    assert_eq!((taken.lease_duration_seconds, taken.lease_transitions), (Some(15), Some(1)));
    assert_ne!(identity(&first), identity(&second), "no two processes have the same name");
    test.finish().await;
}

/// It writes nothing and sends no request to the platform.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_ready_with_warm_caches_and_sends_nothing() {
    let test = Test::new("standby").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.production("acme", &tenant, json!({})).await;
    // For longer than the test could take.
    held_by_another(&test, 3600).await;
    let standby = test.controller().await;
    until_said(&test, &standby, STANDS_BY, 1).await;
    until_ready(&test, &standby).await;
    // What comes while it stands by is left alone as well.
    test.production("bolt", &tenant, json!({})).await;
    test.edit::<tenant_pricing_controller::api::PlatformConnection>(
        "default",
        json!({"spec": {"pollInterval": "10s"}}),
    )
    .await;
    // Two more tries for the lease: what was to follow at once would have followed.
    let tries = lease(&test).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await; // the silence is what is tested
    assert_eq!(lease(&test).await.unwrap(), tries, "it lets the lease alone");
    assert_eq!(test.simulator.requests().len(), 0, "it asks the platform nothing");
    assert_eq!(test.writes().await.iter().filter(|write| !write.by_the_test()).count(), 0);
    assert!(!leads_by_its_metrics(&standby).await);

    // The other one releases it. The standby sees that at once.
    let leases: Api<Lease> = Api::namespaced(test.client.clone(), &test.namespace);
    let mut free = leases.get(NAME).await.unwrap();
    free.spec.as_mut().unwrap().holder_identity = Some(String::new());
    leases.replace(NAME, &PostParams::default(), &free).await.unwrap();
    until_leading(&test, &standby).await;
    assert_eq!(lease(&test).await.unwrap().lease_transitions, Some(8));
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    // The metrics are written once in a second.
    test.wait_for("the metrics say that it leads", PATIENCE, async || {
        leads_by_its_metrics(&standby).await.then_some(())
    })
    .await;
    test.finish().await;
}

/// It then works alone.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_election_it_starts_beside_no_elected_process() {
    let test = Test::new("unelected").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let elected = test.controller().await;
    until_leading(&test, &elected).await;
    // The namespace of the lease is that of the kubeconfig, unless another is named.
    let arguments = ["run", "--leader-elect=false", "--admin-address=127.0.0.1:0"];
    let refused = tokio::time::timeout(PATIENCE, test.binary(&arguments)).await.expect("the process ends");
    let message = refused.failure();
    let (holder, lease_name) = (holder(&test).await, format!("{}/{NAME}", test.namespace));
    for word in ["--leader-elect=false", &holder, &lease_name, "both would act"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    elected.terminate().await;
    assert_eq!(elected.wait(PATIENCE).await, Some(0));
    let before = lease(&test).await;
    let alone = test.controller_with(&test.controller_options().argument("--leader-elect=false")).await;
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert!(leads_by_its_metrics(&alone).await);
    assert!(!alone.log().contains(LEADS));
    assert_eq!(lease(&test).await, before, "it lets the lease alone");
    test.finish().await;
}

/// Nothing would look for the leader later.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_election_it_waits_until_the_lease_is_read() {
    let test = Test::new("unelected-waits").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.production("acme", &tenant, json!({})).await;
    held_by_another(&test, 3600).await;
    let proxy = test.api_proxy().await;
    proxy.lose_leases(true);
    let options = test.controller_options().through(proxy.kubeconfig()).argument("--leader-elect=false");
    let waiting = Controller::start(&options, &test.directory().join("waiting.log"));
    until_said(&test, &waiting, "the Lease cannot be read yet", 2).await;
    let (status, _, _) = waiting.ask_admin("/readyz").await.expect("an answer");
    assert_eq!(status, 503, "it is ready before it knows");
    proxy.lose_leases(false);
    assert_eq!(waiting.wait(PATIENCE).await, Some(1), "it starts beside a leader");
    assert!(waiting.log().contains("both would act"), "{}", waiting.log());
    assert_eq!(test.simulator.requests().len(), 0, "it asks the platform nothing");
    test.finish().await;
}

/// A leader that was cut off from the API server comes back: its old renewal does not show that it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_election_it_waits_for_a_holder_cut_off() {
    let test = Test::new("unelected-cut-off").await;
    held_by_another(&test, 15).await;
    let leases: Api<Lease> = Api::namespaced(test.client.clone(), &test.namespace);
    let renew = async |ago: i64| {
        let at = MicroTime(Clock::system().now() - jiff::SignedDuration::from_secs(ago));
        let patch = Patch::Merge(json!({"spec": {"renewTime": at}}));
        leases.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    };
    renew(600).await;
    let options = test.controller_options().argument("--leader-elect=false");
    let waiting = Controller::start(&options, &test.directory().join("waiting.log"));
    until_said(&test, &waiting, "the Lease has a holder", 1).await;
    renew(0).await;
    assert_eq!(waiting.wait(PATIENCE).await, Some(1), "it starts beside a leader");
    assert!(waiting.log().contains("both would act"), "{}", waiting.log());
    test.finish().await;
}
