//! Which namespaces a connection admits, while their labels change and they come and go.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::TenantSpec,
};

use crate::harness::{
    Controller, ControllerOptions, PATIENCE, Test, condition, give_rights, has, reason, until_connection,
};

/// Where namespaces cannot be watched they are read every 30 s.
const READ_AGAIN: Duration = Duration::from_secs(60);

/// The connections stand in the namespace of `owner`, the objects in that of `user`, and so does the controller.
pub(super) struct Neighbours {
    pub owner: Test,
    pub user: Test,
}

impl Neighbours {
    pub async fn new(name: &str) -> Self {
        let owner = Test::new(&format!("{name}-owner")).await;
        Self { owner, user: Test::new(&format!("{name}-user")).await }
    }

    pub async fn controller(&self) -> Controller {
        self.controller_for(&[&self.user.namespace, &self.owner.namespace]).await
    }

    /// A controller that loses no Lease: all objects are read once more when one is got back.
    async fn controller_without_election(&self) -> Controller {
        let options = self.options(&[&self.user.namespace, &self.owner.namespace]);
        self.user.controller_with(&options.argument("--leader-elect=false")).await
    }

    pub async fn controller_for(&self, namespaces: &[&String]) -> Controller {
        self.user.controller_with(&self.options(namespaces)).await
    }

    fn options(&self, namespaces: &[&String]) -> ControllerOptions {
        let mut options = self.user.controller_options();
        options.namespaces = namespaces.iter().map(|namespace| (*namespace).clone()).collect();
        options.allowed_hosts = vec![self.owner.simulator.url()];
        options
    }

    /// An object that observes a new tenant through a connection of this name.
    pub async fn observe(&self, name: &str, connection: &str) -> String {
        let tenant = self.owner.simulator.add_tenant(TenantSpec::customer(name));
        let reference = json!({"name": connection, "namespace": self.owner.namespace});
        let spec = json!({"tenant": {"id": tenant}, "connectionRef": reference});
        self.user.tenant_pricing(name, spec).await;
        tenant
    }

    pub async fn label(&self, label: &str) {
        let arguments = ["label", "--overwrite", "namespace", &self.user.namespace, label];
        self.user.kubectl(&arguments).await.success();
    }

    pub async fn finish(self) {
        self.user.finish().await;
        self.owner.finish().await;
    }
}

pub(super) fn by_label(key: &str, value: &str) -> Value {
    json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {key: value}}}})
}

pub(super) fn is_refused(object: &TenantPricing) -> bool {
    reason(object, "Stalled") == "ConnectionNotAllowed"
}

pub(super) fn is_ready(object: &TenantPricing) -> bool {
    has(object, "Ready", "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_acts_per_tenant_with_an_unwatched_connection() {
    let both = Neighbours::new("unwatched").await;
    both.owner.connection("far", json!({"allowedNamespaces": {"from": "All"}})).await;
    both.controller_for(&[&both.user.namespace]).await;
    let tenant = both.observe("older", "far").await;
    both.user.edit::<TenantPricing>("older", json!({"spec": {"mode": "trial"}})).await;
    both.user.until("older", "is in sync", |object| reason(object, "Ready") == "InSync").await;
    let reference = json!({"name": "far", "namespace": both.owner.namespace});
    let spec = json!({"tenant": {"id": tenant}, "mode": "trial", "connectionRef": reference});
    both.user.tenant_pricing("younger", spec).await;
    let is_duplicate = |object: &TenantPricing| reason(object, "Stalled") == "DuplicateTenant";
    both.user.until("younger", "leaves it to the older one", is_duplicate).await;
    both.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_another_namespace_has_to_admit_the_object() {
    let both = Neighbours::new("admission").await;
    both.owner.connection("same", json!({})).await;
    both.owner.connection("all", json!({"allowedNamespaces": {"from": "All"}})).await;
    both.owner.connection("selected", by_label("team", "a")).await;
    both.controller().await;
    let mut tenants = Vec::new();
    for name in ["same", "all", "selected"] {
        tenants.push(both.observe(name, name).await);
        both.user.edit::<TenantPricing>(name, json!({"spec": {"mode": "production"}})).await;
    }
    both.user.until("all", "is switched", |object| has(object, "Production", "True")).await;
    for name in ["same", "selected"] {
        let object = both.user.until(name, "is refused", is_refused).await;
        let message = &condition(&object, "Stalled").unwrap().message;
        for word in [&format!("{}/{name}", both.owner.namespace), &both.user.namespace, "allowedNamespaces"] {
            assert!(message.contains(word), "{message}");
        }
    }
    both.label("team=a").await;
    both.user.until("selected", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!((both.owner.simulator.puts(&tenants[0]), both.owner.simulator.total_puts()), (0, 2));
    both.finish().await;
}

/// It changes only the objects that it concerns.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_label_or_selector_acts_at_once() {
    let both = Neighbours::new("relabelled").await;
    both.owner.connection("all", json!({"allowedNamespaces": {"from": "All"}})).await;
    both.owner.connection("selected", by_label("team", "a")).await;
    both.label("team=a").await;
    both.controller_without_election().await;
    // What comes with their first change of state is over.
    until_connection(&both.owner, "all", "CredentialsAccepted").await;
    until_connection(&both.owner, "selected", "CredentialsAccepted").await;
    let through_all = both.observe("through-all", "all").await;
    both.observe("selected", "selected").await;
    both.user.until("through-all", "is ready", is_ready).await;
    both.user.until("selected", "is ready", is_ready).await;
    both.owner.simulator.clear_log();
    // The next periodic read comes after ten minutes.
    both.label("team=b").await;
    both.user.until("selected", "is refused", is_refused).await;
    both.label("team=a").await;
    both.user.until("selected", "is admitted again", is_ready).await;
    both.owner.edit::<PlatformConnection>("selected", json!({"spec": by_label("team", "c")})).await;
    both.user.until("selected", "is refused", is_refused).await;
    both.label("team=c").await;
    both.user.until("selected", "is admitted again", is_ready).await;
    let requests = both.owner.simulator.requests();
    let was_read = requests.iter().any(|request| request.tenants.contains(&through_all));
    assert!(!was_read, "the labels do not concern an object whose connection does not ask for them");
    both.finish().await;
}

/// Nor is one that comes together with the label of its namespace.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_created_with_its_namespace_is_not_refused_first() {
    let both = Neighbours::new("together").await;
    both.owner.connection("selected", by_label("team", "a")).await;
    both.controller().await;
    // The namespace is known already, as one that is not admitted.
    both.observe("before", "selected").await;
    both.user.until("before", "is refused", is_refused).await;
    both.label("team=a").await;
    both.observe("after", "selected").await;
    both.user.until("after", "is ready", is_ready).await;
    let refused = |status: &Value| status.to_string().contains("ConnectionNotAllowed");
    let statuses = both.user.recorded_statuses("after");
    assert!(!statuses.iter().any(refused), "it was refused by labels of a moment before: {statuses:#?}");
    both.user.until("before", "is ready", is_ready).await;
    both.finish().await;
}

/// It acts within half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn without_namespace_watches_a_changed_label_acts_soon() {
    let both = Neighbours::new("confined").await;
    both.owner.connection("selected", by_label("team", "a")).await;
    both.user.kubectl(&["create", "serviceaccount", "controller"]).await.success();
    give_rights(&both.user, &both.user.namespace).await;
    give_rights(&both.owner, &both.user.namespace).await;
    let mut options = both.user.controller_options();
    options.kubeconfig = both.user.service_account_kubeconfig("controller").await;
    options.namespaces = vec![both.user.namespace.clone(), both.owner.namespace.clone()];
    options.allowed_hosts = vec![both.owner.simulator.url()];
    let controller = both.user.controller_with(&options).await;
    both.observe("selected", "selected").await;
    both.user.until("selected", "is refused", is_refused).await;
    both.label("team=a").await;
    both.user.until_within(READ_AGAIN, "selected", "is admitted", is_ready).await;
    both.label("team=b").await;
    both.user.until_within(READ_AGAIN, "selected", "is refused", is_refused).await;
    let entries = controller.log_entries();
    let missing = entries.iter().filter(|entry| entry["missing_right"] == "list namespaces");
    assert_eq!(missing.count(), 1, "it is said once:\n{}", controller.log());
    both.finish().await;
}

/// Objects stall while the namespace and its connection are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_namespace_brings_its_connection_back() {
    let test = Test::new("going").await;
    let namespace = format!("{}-platform", test.namespace);
    let everything = connection_in(&test, &namespace);
    let manifest = everything.to_string();
    test.apply(&manifest).await;
    let mut options = test.controller_options();
    options.namespaces = vec![test.namespace.clone(), namespace.clone()];
    test.controller_with(&options).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let reference = json!({"name": "eu2", "namespace": namespace});
    test.tenant_pricing("acme", json!({"tenant": {"id": tenant}, "connectionRef": reference})).await;
    test.until("acme", "is ready", is_ready).await;
    remove_namespace(&test, &namespace).await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotFound");
    let message = &condition(&object, "Stalled").unwrap().message;
    assert!(message.contains(&format!("{namespace}/eu2")), "{message}");
    test.apply(&manifest).await;
    test.until("acme", "is ready", is_ready).await;
    let path = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].reason}";
    test.wait_for("the connection is checked again", PATIENCE, async || {
        let reasons = test.kubectl(&["get", "pconn", "-n", &namespace, "-o", path]).await.success();
        (reasons == "CredentialsAccepted").then_some(())
    })
    .await;
    test.finish().await;
}

/// The namespace, the Secret and a connection `eu2` for all.
fn connection_in(test: &Test, namespace: &str) -> Value {
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client", "namespace": namespace},
         "stringData": {"clientId": id, "clientSecret": secret}},
        {"apiVersion": "tenantpricing.io/v1alpha1", "kind": "PlatformConnection",
         "metadata": {"name": "eu2", "namespace": namespace},
         "spec": {"url": test.simulator.url(), "credentialsSecretRef": {"name": "client"},
                  "allowedNamespaces": {"from": "All"}}},
    ]})
}

/// Does what the controller manager would do when a namespace is deleted: there is none here.
async fn remove_namespace(test: &Test, name: &str) {
    let namespaces: Api<Namespace> = Api::all(test.client.clone());
    namespaces.delete(name, &DeleteParams::default()).await.unwrap();
    test.kubectl(&["delete", "pconn,secret", "--all", "--namespace", name]).await.success();
    let mut namespace = namespaces.get(name).await.unwrap();
    namespace.spec.get_or_insert_default().finalizers = None;
    namespaces.replace_subresource("finalize", name, &PostParams::default(), &namespace).await.unwrap();
    test.wait_for("the namespace is gone", PATIENCE, async || {
        namespaces.get_opt(name).await.unwrap().is_none().then_some(())
    })
    .await;
}
