//! Reads the objects and connections that the checks are about.

use std::collections::{BTreeMap, BTreeSet};

use kube::{
    Api, Resource,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::unread::Unread;
use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::cluster::{
        Cluster,
        pages::{each, readable, why_not_listed},
        scope::Scope,
    },
    cluster::{Key, TrimmedTenantPricing},
};

/// A connection that an object names.
pub(super) enum Connection {
    /// As it is stored.
    Stored(Box<PlatformConnection>),
    /// It does not exist.
    Absent,
    /// It is there, and this version cannot read it, for this reason.
    Unreadable(String),
    /// It could not be read, for this reason.
    Unread(Unread),
}

/// What there is.
pub(super) struct Fleet {
    /// The objects, in the order of their keys.
    pub objects: BTreeMap<Key, TenantPricing>,
    /// The connections of the scope, and the others that the objects name.
    pub connections: BTreeMap<Key, Connection>,
    /// Where objects were read, in words.
    pub scope: String,
}

/// Reads what there is in a namespace, or in all of them. A user who may not read all of them gets the namespace of the
/// context.
///
/// # Errors
/// A kind cannot be listed, for this reason.
pub(super) async fn fleet(cluster: &Cluster, namespace: Option<&str>) -> Result<Fleet, Unread> {
    let mut fleet = Fleet { objects: BTreeMap::new(), connections: BTreeMap::new(), scope: String::new() };
    fleet.scope = list::<TenantPricing, TrimmedTenantPricing>(cluster, namespace, |listed| {
        let object = readable(listed);
        fleet.objects.insert(Key::of(&object), object);
    })
    .await?
    .in_words();
    let mut connections = BTreeMap::new();
    list::<PlatformConnection, DeserializeGuard<PlatformConnection>>(cluster, namespace, |listed| {
        let (key, connection) = known(listed);
        connections.insert(key, connection);
    })
    .await?;
    fleet.connections = connections;
    let mut named: BTreeSet<Key> = fleet.objects.values().map(TenantPricing::connection_key).collect();
    named.retain(|key| !fleet.connections.contains_key(key));
    for key in named {
        let connection = connection(cluster, &key).await;
        fleet.connections.insert(key, connection);
    }
    Ok(fleet)
}

/// A connection from a list, with its key.
fn known(listed: DeserializeGuard<PlatformConnection>) -> (Key, Connection) {
    let key = Key::of(&listed);
    match listed.0 {
        Ok(connection) => (key, Connection::Stored(Box::new(connection))),
        Err(unreadable) => (key, Connection::Unreadable(unreadable.error.clone())),
    }
}

async fn connection(cluster: &Cluster, key: &Key) -> Connection {
    let api: Api<DeserializeGuard<PlatformConnection>> =
        Api::namespaced(cluster.client.clone(), key.namespace());
    match api.get_opt(key.name()).await {
        Ok(Some(found)) => known(found).1,
        Ok(None) => Connection::Absent,
        Err(error) => Connection::Unread(Unread::of(&error)),
    }
}

/// Calls `take` with each object of a kind. Returns where it has read.
async fn list<Kind, Listed>(
    cluster: &Cluster,
    namespace: Option<&str>,
    mut take: impl FnMut(Listed),
) -> Result<Scope, Unread>
where
    Kind: Resource<DynamicType = ()>,
    Listed: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let mut scope = Scope { namespace: namespace.map(str::to_owned), selector: None };
    let mut listed = each(&scope.api::<Listed>(cluster), ListParams::default(), &mut take).await;
    if namespace.is_none() && matches!(&listed, Err(kube::Error::Api(status)) if status.code == 403) {
        scope.namespace = Some(cluster.namespace.clone());
        listed = each(&scope.api::<Listed>(cluster), ListParams::default(), &mut take).await;
    }
    match listed {
        Ok(()) => Ok(scope),
        Err(error) => Err(Unread::of(&error)
            .in_words(|_| format!("{}{}.", why_not_listed::<Kind>(&error), scope.advice(&error)))),
    }
}
