//! What the cluster holds: the objects, the connections, and the labels of namespaces.

pub(crate) mod apply;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{
        DeserializeGuard, NamespaceResourceScope, ObjectMeta, PartialObjectMeta,
        object::{HasSpec, HasStatus},
    },
};
use serde::de::DeserializeOwned;

use super::{input::Input, subject::Subject};
use crate::{
    api::{NamespacesFrom, PlatformConnection, TenantPricing},
    cli::cluster::{
        Cluster,
        pages::{PAGE, each, why_not_listed},
    },
    cluster::Key,
};

/// The state of the cluster.
#[derive(Default)]
pub(crate) struct State {
    /// The objects by key.
    pub objects: HashMap<Key, TenantPricing>,
    /// The connections by key.
    pub connections: HashMap<Key, PlatformConnection>,
    /// The labels of the namespaces that matter.
    pub namespaces: HashMap<String, BTreeMap<String, String>>,
    /// The client, for the Secrets of stored connections.
    pub client: Option<Client>,
    /// What is not known of the cluster, as sentences: objects that this version cannot read, and other namespaces.
    pub unknown: Vec<String>,
}

impl State {
    /// The stored objects that are no subject.
    pub(crate) fn others(&self, subjects: &[Subject]) -> Vec<TenantPricing> {
        let known: BTreeSet<&Key> = subjects.iter().map(|subject| &subject.key).collect();
        let mut others: Vec<(&Key, &TenantPricing)> =
            self.objects.iter().filter(|(key, _)| !known.contains(*key)).collect();
        others.sort_by_key(|(key, _)| *key);
        others.into_iter().map(|(_, object)| object.clone()).collect()
    }
}

/// Reads the state. Without the right to list all namespaces, it reads those of the input.
///
/// # Errors
/// A sentence about what could not be read.
pub(crate) async fn read(cluster: &Cluster, input: &Input) -> Result<State, String> {
    let client = &cluster.client;
    let namespaces = input.namespaces();
    let mut state = State { client: Some(client.clone()), ..State::default() };
    for object in list::<TenantPricing>(client, &namespaces, &mut state.unknown).await? {
        state.objects.insert(Key::of(&object), object);
    }
    for connection in list::<PlatformConnection>(client, &namespaces, &mut state.unknown).await? {
        state.connections.insert(Key::of(&connection), connection);
    }
    let by_label =
        |connection: &PlatformConnection| connection.spec.allowed_namespaces.from == NamespacesFrom::Selector;
    let of_input = input.connection_manifests.iter();
    let mut of_input =
        of_input.filter_map(|manifest| manifest.value.pointer("/spec/allowedNamespaces/from")?.as_str());
    if state.connections.values().any(by_label) || of_input.any(|from| from == "Selector") {
        state.namespaces = labels(client, namespaces).await;
    }
    Ok(state)
}

/// The labels of all namespaces. Without the right to list them, those of the given ones, as far as they can be read.
async fn labels(client: &Client, given: BTreeSet<String>) -> HashMap<String, BTreeMap<String, String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let mut found: Vec<PartialObjectMeta<Namespace>> = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let Ok(page) = api.list_metadata(&parameters).await else {
            found = Vec::new();
            for namespace in &given {
                found.extend(api.get_metadata_opt(namespace).await.ok().flatten());
            }
            break;
        };
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => break,
        }
    }
    let labels = found.into_iter().map(|found| found.metadata);
    labels.filter_map(|metadata| Some((metadata.name?, metadata.labels.unwrap_or_default()))).collect()
}

/// What it means that a kind was read in these namespaces only.
fn elsewhere<K: Resource<DynamicType = ()>>(namespaces: &BTreeSet<String>) -> String {
    let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    format!(
        "{} are read in {} only, since you may not list those of all namespaces. Others may use up the budget, stand for \
         the same tenant, or be switched because of this change.",
        K::plural(&()),
        names.join(", ")
    )
}

/// The objects of a kind. One that cannot be read does not hide the others.
async fn list<K>(
    client: &Client,
    namespaces: &BTreeSet<String>,
    unknown: &mut Vec<String>,
) -> Result<Vec<K>, String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let mut all: Vec<DeserializeGuard<K>> = Vec::new();
    match each(&Api::all(client.clone()), ListParams::default(), |object| all.push(object)).await {
        Err(kube::Error::Api(status)) if status.code == 403 && !namespaces.is_empty() => {
            // It may have failed after some pages.
            all.clear();
            for namespace in namespaces {
                let api = Api::namespaced(client.clone(), namespace);
                let listed = each(&api, ListParams::default(), |object| all.push(object)).await;
                listed.map_err(|error| why_not_listed::<K>(&error))?;
            }
            unknown.push(elsewhere::<K>(namespaces));
        }
        listed => listed.map_err(|error| why_not_listed::<K>(&error))?,
    }
    let mut read = Vec::with_capacity(all.len());
    for object in all {
        match object.0 {
            Ok(object) => read.push(object),
            Err(invalid) => unknown.push(format!(
                "The stored {} {}/{} cannot be read by this version, so the plan leaves it out: {}.",
                K::kind(&()),
                invalid.metadata.namespace.as_deref().unwrap_or_default(),
                invalid.metadata.name.as_deref().unwrap_or_default(),
                invalid.error,
            )),
        }
    }
    Ok(read)
}

/// The object that the API server stores for a manifest, over the stored object if there is one. What only the API server
/// and the controller write is theirs: a manifest that has it changes nothing.
pub(crate) fn applied<K>(stored: Option<&K>, mut object: K) -> K
where
    K: Resource + HasSpec<Spec: PartialEq> + HasStatus<Status: Clone>,
{
    let is_changed = stored.is_some_and(|stored| stored.spec() != object.spec());
    let known = stored.map(|stored| stored.meta().clone()).unwrap_or_default();
    let generation =
        known.generation.map_or(1, |generation| generation.saturating_add(i64::from(is_changed)));
    let given = std::mem::take(object.meta_mut());
    *object.meta_mut() = ObjectMeta {
        name: given.name,
        namespace: given.namespace,
        generate_name: given.generate_name,
        labels: given.labels,
        annotations: given.annotations,
        owner_references: given.owner_references,
        finalizers: given.finalizers.or(known.finalizers),
        generation: Some(generation),
        uid: known.uid,
        resource_version: known.resource_version,
        creation_timestamp: known.creation_timestamp,
        deletion_timestamp: known.deletion_timestamp,
        deletion_grace_period_seconds: known.deletion_grace_period_seconds,
        managed_fields: known.managed_fields,
        self_link: known.self_link,
    };
    *object.status_mut() = stored.and_then(|stored| stored.status().cloned());
    object
}
