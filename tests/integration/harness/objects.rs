//! Making and reading the objects that most tests need.

pub mod connections;

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use k8s_openapi::{
    api::{core::v1::Secret, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Resource, ResourceExt,
    api::{
        Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, Patch, PatchParams,
        PostParams, TypeMeta,
    },
    core::NamespaceResourceScope,
    discovery::{Scope, pinned_kind},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenant_pricing_controller::api::{PlatformConnection, RECONCILE_NOW, TenantPricing};

use super::{PATIENCE, Recorder, Test};

/// Who owns what a test writes.
const MANAGER: &str = "integration-test";

impl Test {
    /// A `PlatformConnection` to the test's simulator, with the simulator's credentials in a Secret of the
    /// same name, with a rate that holds nothing back. `spec` is merged over it.
    pub async fn connection(&self, name: &str, spec: Value) {
        let (id, secret) = (self.simulator.client_id(), self.simulator.client_secret());
        self.secret(name, json!({"clientId": id, "clientSecret": secret})).await;
        let mut whole = json!({
            "url": self.simulator.url(), "credentialsSecretRef": {"name": name}, "requestsPerSecond": 1000,
        });
        merge(&mut whole, spec);
        self.create::<PlatformConnection>(name, whole).await;
    }

    /// A Secret with these values, in the place of one of the same name.
    pub async fn secret(&self, name: &str, values: Value) {
        let values: BTreeMap<String, String> = serde_json::from_value(values).unwrap();
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, string_data: Some(values), ..Secret::default() };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let written = match api.create(&PostParams::default(), &secret).await {
            Err(error) if is_conflict(&error) => api.replace(name, &PostParams::default(), &secret).await,
            created => created,
        };
        written.unwrap_or_else(|error| panic!("the Secret {name} was not written: {error}"));
    }

    /// Creates or updates the objects of a manifest, YAML or JSON, by server-side apply. All must be accepted. Takes
    /// milliseconds, where `kubectl apply` takes a good part of a second.
    pub async fn apply(&self, manifest: &str) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
        for document in documents.iter().flat_map(objects_of) {
            let types: TypeMeta = serde_json::from_value(document.clone()).unwrap();
            let kind = GroupVersionKind::try_from(types).unwrap();
            let (resource, capabilities) = pinned_kind(&self.client, &kind).await.unwrap();
            let metadata: ObjectMeta = serde_json::from_value(document["metadata"].clone()).unwrap();
            let namespace = metadata.namespace.as_deref().unwrap_or(&self.namespace);
            let api: Api<DynamicObject> = match capabilities.scope {
                Scope::Cluster => Api::all_with(self.client.clone(), &resource),
                Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
            };
            let parameters = PatchParams::apply(MANAGER).force();
            let applied = api.patch(&metadata.name.unwrap(), &parameters, &Patch::Apply(document)).await;
            applied.unwrap_or_else(|error| panic!("not applied: {error}\n{document:#}"));
        }
    }

    /// A `TenantPricing` that asks for production for the tenant of this id, with `spec` merged over it.
    pub async fn production(&self, name: &str, tenant: &str, spec: Value) -> TenantPricing {
        let mut whole = json!({"tenant": {"id": tenant}, "mode": "production"});
        merge(&mut whole, spec);
        self.tenant_pricing(name, whole).await
    }

    /// A `TenantPricing` with exactly this spec.
    pub async fn tenant_pricing(&self, name: &str, spec: Value) -> TenantPricing {
        self.create(name, spec).await
    }

    async fn create<K>(&self, name: &str, spec: Value) -> K
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
    {
        // Not as the type has it: what it would fill in or refuse is left to the API server.
        let resource = ApiResource::erase::<K>(&());
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let created = api.create(&parameters, &object).await;
        let created = created.unwrap_or_else(|error| panic!("{name} was not created: {error}\n{spec:#}"));
        created.try_parse().unwrap()
    }

    /// A merge patch that must be accepted. Takes milliseconds, where kubectl takes a good part of a second.
    pub async fn edit<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let edited = api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        let edited = edited.unwrap_or_else(|error| panic!("{name} was not edited: {error}\n{patch:#}"));
        self.until_recorded(&K::kind(&()), &edited).await;
    }

    /// Waits until this version of an object is recorded. [`Self::until`] must not take an older one for the answer to
    /// an edit.
    pub async fn until_recorded(&self, kind: &str, written: &impl ResourceExt) {
        let recorder = match kind {
            "TenantPricing" => &self.recorder,
            "PlatformConnection" => &self.connections,
            _ => return,
        };
        let version = written.resource_version().unwrap();
        let known = tokio::time::timeout(PATIENCE, recorder.until_known(&version)).await;
        assert!(known.is_ok(), "version {version} of {} was not recorded", written.name_any());
    }

    /// A merge patch of the status, by another manager than the controller.
    pub async fn edit_status<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let edited = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        let edited =
            edited.unwrap_or_else(|error| panic!("the status of {name} was not edited: {error}\n{patch:#}"));
        self.until_recorded(&K::kind(&()), &edited).await;
    }

    /// Asks for a read at once, by the annotation, without waiting for it.
    pub async fn request_reconcile(&self, name: &str, value: &str) {
        let annotations = json!({RECONCILE_NOW: value});
        self.edit::<TenantPricing>(name, json!({"metadata": {"annotations": annotations}})).await;
    }

    /// Asks for a read at once, and waits until it was made.
    pub async fn reconcile_now(&self, name: &str, value: &str) -> TenantPricing {
        self.request_reconcile(name, value).await;
        let was_read = |object: &TenantPricing| {
            object.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref())
                == Some(value)
        };
        self.until(name, "is read", was_read).await
    }

    /// The events about the object of this name, the oldest first.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| {
            event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(name))
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
    }

    /// The latest stored version of an object, unless it was deleted.
    pub fn latest(&self, name: &str) -> Option<TenantPricing> {
        self.recorder.latest(name).and_then(|object| object.try_parse().ok())
    }

    /// Every status this object ever had, in order; null for a version without one.
    pub fn recorded_statuses(&self, name: &str) -> Vec<Value> {
        let versions = self.recorder.versions().into_iter();
        let own = versions.filter(|object| object.metadata.name.as_deref() == Some(name));
        own.map(|object| object.data["status"].clone()).collect()
    }

    /// Waits until the latest stored version of the `TenantPricing` is as `condition` wants it.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&TenantPricing) -> bool,
    ) -> TenantPricing {
        self.until_within(PATIENCE, name, what, condition).await
    }

    /// Likewise, with a limit other than [`PATIENCE`].
    pub async fn until_within(
        &self,
        limit: Duration,
        name: &str,
        what: &str,
        condition: impl Fn(&TenantPricing) -> bool,
    ) -> TenantPricing {
        self.until_stored(&self.recorder, limit, name, what, condition).await
    }

    /// Waits until the latest version in a record is as `condition` wants it.
    pub(super) async fn until_stored<K: Resource + DeserializeOwned>(
        &self,
        recorder: &Recorder,
        limit: Duration,
        name: &str,
        what: &str,
        condition: impl Fn(&K) -> bool,
    ) -> K {
        let mut changes = recorder.changes();
        let met = async {
            loop {
                changes.mark_unchanged();
                let latest = recorder.latest(name).and_then(|object| object.try_parse().ok());
                if let Some(object) = latest.filter(|object| condition(object)) {
                    return object;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(limit, met).await {
            Ok(object) => object,
            Err(_) => self.out_of_patience(&format!("{name}: {what}"), limit).await,
        }
    }
}

/// The objects of a manifest: those of a `List`, or the document itself.
fn objects_of(document: &Value) -> Vec<&Value> {
    match document["items"].as_array() {
        Some(items) if document["kind"] == "List" => items.iter().flat_map(objects_of).collect(),
        _ => vec![document],
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// Merges `over` into `base`: objects field by field, everything else as a whole; null takes a field away.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(&key);
                } else {
                    merge(base.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// The condition of this type, if it is present.
pub fn condition<'a>(object: &'a TenantPricing, r#type: &str) -> Option<&'a Condition> {
    object.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == r#type)
}

/// The reason of the condition of this type; empty if it is absent.
pub fn reason<'a>(object: &'a TenantPricing, r#type: &str) -> &'a str {
    condition(object, r#type).map_or("", |condition| &condition.reason)
}

/// Whether the condition of this type is present and has this status: `True`, `False`, `Unknown`.
pub fn has(object: &TenantPricing, r#type: &str, status: &str) -> bool {
    condition(object, r#type).is_some_and(|condition| condition.status == status)
}

impl Test {
    /// Waits until the events about an object have exactly these reasons, in the order of their making.
    pub async fn until_events(&self, name: &str, reasons: &[&str]) {
        let what = format!("the events about {name} are {reasons:?}");
        self.wait_for(&what, PATIENCE, async || {
            let notes = self.event_notes(name).await;
            notes.iter().map(|(reason, _)| reason.as_str()).eq(reasons.iter().copied()).then_some(())
        })
        .await;
    }

    /// Reason and note of each event about an object, in the order of their creation.
    pub async fn event_notes(&self, name: &str) -> Vec<(String, String)> {
        let mut events = self.events(name).await;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let notes = events.into_iter();
        notes.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }
}
