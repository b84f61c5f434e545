//! What the cluster holds: the objects, the connections, and the labels of namespaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::{input::Input, outcome::Subject};
use crate::{
    api::{NamespacesFrom, PlatformConnection, TenantPricing},
    cli::cluster::{
        Cluster,
        pages::{each, why_not_listed},
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
    /// The stored objects that this version cannot read, as sentences.
    pub unreadable: Vec<String>,
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
    for object in list::<TenantPricing>(client, &namespaces, &mut state.unreadable).await? {
        state.objects.insert(Key::of(&object), object);
    }
    for connection in list::<PlatformConnection>(client, &namespaces, &mut state.unreadable).await? {
        state.connections.insert(Key::of(&connection), connection);
    }
    let by_label =
        |connection: &PlatformConnection| connection.spec.allowed_namespaces.from == NamespacesFrom::Selector;
    if state.connections.values().chain(input.connections.values()).any(by_label) {
        let api: Api<Namespace> = Api::all(client.clone());
        for namespace in namespaces {
            if let Ok(Some(found)) = api.get_metadata_opt(&namespace).await {
                state.namespaces.insert(namespace, found.metadata.labels.unwrap_or_default());
            }
        }
    }
    Ok(state)
}

/// The objects of a kind. One that cannot be read does not hide the others.
async fn list<K>(
    client: &Client,
    namespaces: &BTreeSet<String>,
    unreadable: &mut Vec<String>,
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
            for namespace in namespaces {
                let api = Api::namespaced(client.clone(), namespace);
                let listed = each(&api, ListParams::default(), |object| all.push(object)).await;
                listed.map_err(|error| why_not_listed::<K>(&error))?;
            }
        }
        listed => listed.map_err(|error| why_not_listed::<K>(&error))?,
    }
    let mut read = Vec::with_capacity(all.len());
    for object in all {
        match object.0 {
            Ok(object) => read.push(object),
            Err(invalid) => unreadable.push(format!(
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

/// The stored object with the spec of a manifest, as it will be after the manifest is applied.
pub(crate) fn applied(stored: Option<&TenantPricing>, mut object: TenantPricing) -> TenantPricing {
    let Some(stored) = stored else {
        object.metadata.generation = Some(1);
        object.status = None;
        return object;
    };
    let is_changed = stored.spec != object.spec;
    let generation = stored.metadata.generation.unwrap_or(1);
    object.metadata.uid = stored.uid();
    object.metadata.creation_timestamp = stored.creation_timestamp();
    object.metadata.deletion_timestamp.clone_from(&stored.metadata.deletion_timestamp);
    object.metadata.managed_fields.clone_from(&stored.metadata.managed_fields);
    object.metadata.generation = Some(if is_changed { generation.saturating_add(1) } else { generation });
    object.status.clone_from(&stored.status);
    object
}
