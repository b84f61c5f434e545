//! An object that its connection does not admit never causes a request to the platform.

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
};

use super::namespaces::{Neighbours, by_label, is_ready, is_refused};
use crate::harness::{PATIENCE, Test, has, reason, until_connection};

/// Intervals that are waited for: their number is what the tests count in.
const INTERVALS: usize = 3;

/// The shortest poll interval that the CRD admits.
const SHORTEST: &str = "10s";

/// Objects that one connection refuses, and how the platform would hear of them.
struct Refused {
    both: Neighbours,
    ids: Vec<String>,
    names: Vec<String>,
    objects: Vec<String>,
}

impl Refused {
    async fn new(name: &str) -> Self {
        Self { both: Neighbours::new(name).await, ids: Vec::new(), names: Vec::new(), objects: Vec::new() }
    }

    /// A connection with the shortest poll interval, and an object of the owner's own that shows its pace.
    async fn connection(&self, name: &str, spec: Value) {
        let mut whole = json!({"pollInterval": SHORTEST});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.both.owner.connection(name, whole).await;
        let own = self.both.owner.simulator.add_tenant(TenantSpec::customer(pacemaker(name)));
        let spec = json!({"tenant": {"id": own}, "connectionRef": {"name": name}});
        self.both.owner.tenant_pricing(&pacemaker(name), spec).await;
    }

    /// One object by id, one by name, one by an id that does not exist.
    async fn objects(&mut self, connection: &str) {
        let reference = json!({"name": connection, "namespace": self.both.owner.namespace});
        let named = format!("Named {connection} GmbH");
        let id = self.both.owner.simulator.add_tenant(TenantSpec::customer("By Id GmbH"));
        let by_name = self.both.owner.simulator.add_tenant(TenantSpec::customer(&named));
        let unknown = format!("{:08x}-0000-4000-8000-000000000000", rand::random::<u32>());
        for (name, tenant) in
            [("id", json!({"id": id})), ("name", json!({"name": named})), ("unknown", json!({"id": unknown}))]
        {
            let name = format!("{connection}-{name}");
            let spec = json!({"tenant": tenant, "mode": "production", "connectionRef": reference});
            self.both.user.tenant_pricing(&name, spec).await;
            self.objects.push(name);
        }
        self.ids.extend([id, by_name, unknown]);
        self.names.push(named);
    }

    async fn until_refused(&self) {
        for name in &self.objects {
            self.both.user.until(name, "is refused", is_refused).await;
        }
    }

    /// Requests about the tenants of the refused objects since the log was cleared, by id or by name.
    fn requests(&self) -> Vec<String> {
        let requests = self.both.owner.simulator.requests().into_iter();
        let about = requests.filter(|request| {
            request.tenants.iter().any(|tenant| self.ids.contains(tenant))
                || request.query.iter().any(|(_, value)| {
                    self.ids.iter().any(|id| value.contains(id)) || self.names.contains(value)
                })
        });
        about.map(|request| format!("{} {}", request.sequence, request.path)).collect()
    }

    /// Waits until the owner's own objects were read in this many intervals.
    async fn intervals(&self, connections: &[&str], count: usize) {
        let simulator = &self.both.owner.simulator;
        for connection in connections {
            let name = pacemaker(connection);
            let own = simulator.customers().into_iter().find(|tenant| tenant.name == name).unwrap().id;
            let what = format!("the own object of {connection} is read {count} times");
            self.both
                .owner
                .wait_for(&what, PATIENCE * 4, async || {
                    let requests = simulator.requests().into_iter();
                    let reads = requests.filter(|request| request.tenants.contains(&own)).count();
                    (reads >= count).then_some(())
                })
                .await;
        }
    }
}

fn pacemaker(connection: &str) -> String {
    format!("own-{connection}")
}

/// Neither at once, nor later, nor after a start.
#[tokio::test(flavor = "multi_thread")]
async fn refused_objects_cause_no_request_at_any_time() {
    let mut refused = Refused::new("no-request").await;
    refused.connection("same", json!({})).await;
    refused.connection("selected", by_label("team", "a")).await;
    let controller = refused.both.controller().await;
    refused.both.owner.until(&pacemaker("same"), "is ready", is_ready).await;
    refused.objects("same").await;
    refused.objects("selected").await;
    refused.until_refused().await;
    refused.intervals(&["same"], INTERVALS).await;
    assert_eq!(refused.requests(), [""; 0], "before the restart");
    controller.kill().await;
    refused.both.owner.simulator.clear_log();
    refused.both.controller().await;
    refused.intervals(&["same"], INTERVALS).await;
    assert_eq!(refused.requests(), [""; 0], "after the restart");
    // A changed label acts at once, without any poll.
    refused.both.label("team=a").await;
    for name in ["selected-id", "selected-name"] {
        let switched = |object: &TenantPricing| has(object, "Production", "True");
        refused.both.user.until(name, "is admitted and switched", switched).await;
    }
    refused.both.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_admission_ends_the_requests_also_over_a_start() {
    let mut refused = Refused::new("withdrawn").await;
    refused.connection("opened", json!({"allowedNamespaces": {"from": "All"}})).await;
    refused.connection("selected", by_label("team", "a")).await;
    refused.both.label("team=a").await;
    let controller = refused.both.controller().await;
    for name in ["opened", "selected"] {
        until_connection(&refused.both.owner, name, "CredentialsAccepted").await;
        refused.objects(name).await;
    }
    for name in ["opened-id", "opened-name", "selected-id", "selected-name"] {
        let switched = |object: &TenantPricing| has(object, "Production", "True");
        refused.both.user.until(name, "is switched", switched).await;
    }
    let same = json!({"spec": {"allowedNamespaces": {"from": "Same"}}});
    refused.both.owner.edit::<PlatformConnection>("opened", same).await;
    refused.both.label("team=b").await;
    refused.until_refused().await;
    refused.both.owner.simulator.clear_log();
    refused.intervals(&["opened"], INTERVALS).await;
    assert_eq!(refused.requests(), [""; 0], "after the withdrawal");
    controller.kill().await;
    refused.both.owner.simulator.clear_log();
    let controller = refused.both.controller().await;
    refused.intervals(&["opened"], INTERVALS).await;
    assert_eq!(refused.requests(), [""; 0], "after a start");
    // Withdrawn while no controller runs, for an object whose status still shows it as admitted.
    let all = json!({"spec": {"allowedNamespaces": {"from": "All"}}});
    refused.both.owner.edit::<PlatformConnection>("opened", all).await;
    refused.both.user.until("opened-id", "is admitted", is_ready).await;
    controller.kill().await;
    let same = json!({"spec": {"allowedNamespaces": {"from": "Same"}}});
    refused.both.owner.edit::<PlatformConnection>("opened", same).await;
    refused.both.owner.simulator.clear_log();
    refused.both.controller().await;
    refused.both.user.until("opened-id", "is refused", is_refused).await;
    refused.intervals(&["opened"], 1).await;
    assert_eq!(refused.requests(), [""; 0], "withdrawn while no controller ran");
    refused.both.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refused_objects_take_nothing_of_the_owners_pace() {
    let both = Neighbours::new("hundred").await;
    both.owner.connection("default", json!({"pollInterval": SHORTEST, "requestsPerSecond": 1})).await;
    both.controller().await;
    until_connection(&both.owner, "default", "CredentialsAccepted").await;
    let reference = json!({"name": "default", "namespace": both.owner.namespace});
    for number in 0..100 {
        let unknown = format!("{:08x}-0000-4000-8000-{number:012x}", rand::random::<u32>());
        let spec = json!({"tenant": {"id": unknown}, "connectionRef": reference});
        both.user.tenant_pricing(&format!("refused-{number}"), spec).await;
    }
    for number in 0..100 {
        both.user.until(&format!("refused-{number}"), "is refused", is_refused).await;
    }
    both.owner.simulator.clear_log();
    let tenant = both.owner.simulator.add_tenant(TenantSpec::customer("Own GmbH"));
    both.owner.production("own", &tenant, json!({})).await;
    both.owner.until("own", "is switched", |object| has(object, "Production", "True")).await;
    let requests = both.owner.simulator.requests();
    let others: Vec<_> = requests.iter().filter(|request| !request.tenants.contains(&tenant)).collect();
    assert!(others.iter().all(|request| request.tenants.is_empty()), "{others:#?}");
    both.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_in_an_unwatched_namespace_is_found() {
    let both = Neighbours::new("unwatched-later").await;
    both.controller_for(&[&both.user.namespace]).await;
    both.observe("by-and-by", "later").await;
    let missing = |object: &TenantPricing| reason(object, "Stalled") == "ConnectionNotFound";
    both.user.until("by-and-by", "has no connection", missing).await;
    both.owner.connection("later", json!({"allowedNamespaces": {"from": "All"}})).await;
    both.user.until_within(PATIENCE * 4, "by-and-by", "is ready", is_ready).await;
    both.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_connection_is_not_reported_as_missing() {
    let test = Test::new("forbidden").await;
    let elsewhere = Test::new("forbidden-there").await;
    test.kubectl(&["create", "serviceaccount", "controller"]).await.success();
    crate::harness::give_rights(&test, &test.namespace).await;
    let mut options = test.controller_options();
    options.kubeconfig = test.service_account_kubeconfig("controller").await;
    test.controller_with(&options).await;
    elsewhere.connection("far", json!({"allowedNamespaces": {"from": "All"}})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let reference = json!({"name": "far", "namespace": elsewhere.namespace});
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}, "connectionRef": reference})).await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotFound");
    let message = crate::harness::condition(&object, "Stalled").unwrap().message.clone();
    assert!(message.contains("may not read") && message.contains("403"), "{message}");
    test.finish().await;
    elsewhere.finish().await;
}
