//! What the cluster holds: the objects, the connections, and the labels of namespaces.

pub(crate) mod apply;
pub(crate) mod unread;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter,
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{
        DeserializeGuard, ObjectMeta, PartialObjectMeta,
        object::{HasSpec, HasStatus},
    },
};

use self::unread::Unread;
use super::{input::Input, subject::Subject};
use crate::{
    api::{NamespacesFrom, PlatformConnection, TenantPricing},
    cli::cluster::{
        Cluster,
        pages::{PAGE, each, why_not_listed},
    },
    cluster::{Key, explain},
};

/// How many connections are read at once.
const CONCURRENCY: usize = 8;

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
    /// What could not be read of all this.
    pub unread: Unread,
    /// What it means that only these namespaces were read. `None`: all were.
    pub elsewhere: Option<String>,
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

/// Reads the state. Without the right to list all namespaces, it reads what the input and the base concern.
///
/// # Errors
/// A sentence about what could not be read. A missing right for one namespace is no error: see [`Unread`].
pub(crate) async fn read(cluster: &Cluster, input: &Input, base: Option<&Input>) -> Result<State, String> {
    let client = &cluster.client;
    let inputs = || iter::once(input).chain(base);
    let namespaces: BTreeSet<String> = inputs().flat_map(Input::namespaces).collect();
    let mut state = State { client: Some(client.clone()), ..State::default() };
    for guarded in objects(client, &namespaces, &mut state).await? {
        match guarded.0 {
            Ok(object) => drop(state.objects.insert(Key::of(&object), object)),
            Err(invalid) => drop(state.unread.objects.insert(of_metadata(&invalid.metadata), invalid.error)),
        }
    }
    let of_objects = state.objects.values().map(TenantPricing::connection_key);
    let named = inputs().flat_map(Input::connection_keys).chain(of_objects).collect();
    for guarded in connections(client, named, &mut state.unread).await? {
        match guarded.0 {
            Ok(connection) => drop(state.connections.insert(Key::of(&connection), connection)),
            Err(invalid) => {
                state.unread.connections.insert(of_metadata(&invalid.metadata), invalid.error);
            }
        }
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

/// The key of an object that cannot be read.
fn of_metadata(metadata: &ObjectMeta) -> Key {
    Key::new(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// The objects of all namespaces. Without the right to list those, the objects of the given namespaces, as far as the
/// user may list them.
async fn objects(
    client: &Client,
    namespaces: &BTreeSet<String>,
    state: &mut State,
) -> Result<Vec<DeserializeGuard<TenantPricing>>, String> {
    let mut all = Vec::new();
    match each(&Api::all(client.clone()), ListParams::default(), |object| all.push(object)).await {
        Ok(()) => return Ok(all),
        Err(error) if is_forbidden(&error) && !namespaces.is_empty() => {}
        Err(error) => return Err(why_not_listed::<TenantPricing>(&error)),
    }
    // It may have failed after some pages.
    all.clear();
    for namespace in namespaces {
        let api = Api::namespaced(client.clone(), namespace);
        let mut found = Vec::new();
        match each(&api, ListParams::default(), |object| found.push(object)).await {
            Ok(()) => all.append(&mut found),
            Err(error) if is_forbidden(&error) => drop(state.unread.namespaces.insert(namespace.clone())),
            Err(error) => return Err(why_not_listed::<TenantPricing>(&error)),
        }
    }
    let read = namespaces.difference(&state.unread.namespaces).map(String::as_str).collect::<Vec<_>>();
    state.elsewhere = (!read.is_empty()).then(|| {
        format!(
            "tenantpricings are read in {} only, since you may not list those of all namespaces. Others may use up the \
             budget, stand for the same tenant, or be switched because of this change.",
            read.join(", ")
        )
    });
    Ok(all)
}

/// The connections of all namespaces. Without the right to list those, the named ones, as far as the user may get them.
async fn connections(
    client: &Client,
    named: BTreeSet<Key>,
    unread: &mut Unread,
) -> Result<Vec<DeserializeGuard<PlatformConnection>>, String> {
    let mut all = Vec::new();
    match each(&Api::all(client.clone()), ListParams::default(), |connection| all.push(connection)).await {
        Ok(()) => return Ok(all),
        Err(error) if is_forbidden(&error) => {}
        Err(error) => return Err(why_not_listed::<PlatformConnection>(&error)),
    }
    let requests = named.into_iter().map(|key| async move {
        let api: Api<DeserializeGuard<PlatformConnection>> = Api::namespaced(client.clone(), key.namespace());
        match api.get_opt(key.name()).await {
            Err(error) if !is_forbidden(&error) => {
                Err(format!("failed to get PlatformConnection {key}: {}", explain(&error)))
            }
            answer => Ok((key, answer.ok())),
        }
    });
    let answers: Vec<_> = stream::iter(requests).buffered(CONCURRENCY).try_collect().await?;
    let mut found = Vec::new();
    for (key, answer) in answers {
        match answer {
            Some(connection) => found.extend(connection),
            None => drop(unread.forbidden.insert(key)),
        }
    }
    Ok(found)
}

/// The object that the API server stores for a manifest, over the stored object if there is one. What only the API
/// server and the controller write is theirs: a manifest that has it changes nothing.
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
