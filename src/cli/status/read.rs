//! Reads a fleet from the cluster, page by page. Nothing is written.

use kube::{Api, api::ListParams, core::DeserializeGuard};

use super::fleet::Fleet;
use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::cluster::{
        Cluster,
        pages::{each, readable, why_not_listed},
        scope::Scope,
    },
    cluster::{Key, TrimmedTenantPricing, explain},
};

/// Reads the objects of a scope, and the connections that matter to them.
///
/// # Errors
/// A sentence that says why the objects could not be listed. What is missing of the connections is noted in the fleet.
pub(crate) async fn fleet(cluster: &Cluster, scope: &Scope) -> Result<Fleet, String> {
    let mut fleet = Fleet::default();
    let objects = scope.api::<TrimmedTenantPricing>(cluster);
    let listed = each(&objects, scope.parameters(), |object| drop(fleet.apply(&readable(object)))).await;
    listed.map_err(|error| format!("{}{}", why_not_listed::<TenantPricing>(&error), scope.advice(&error)))?;
    let connections = scope.api::<DeserializeGuard<PlatformConnection>>(cluster);
    let listed = each(&connections, ListParams::default(), |listed| keep(&mut fleet, listed)).await;
    if let Err(error) = listed {
        let why = why_not_listed::<PlatformConnection>(&error);
        fleet.notes.push(format!("{why}. Their state and their budgets are not known."));
    }
    missing_connections(cluster, &mut fleet).await;
    Ok(fleet)
}

/// Adds a connection from a list or a watch. One that this version cannot read does not hide the others.
pub(crate) fn keep(fleet: &mut Fleet, listed: DeserializeGuard<PlatformConnection>) {
    let key = Key::of(&listed);
    match listed.0 {
        Ok(connection) => fleet.apply_connection(connection),
        Err(_) => fleet.is_missing(key, "Unreadable".to_owned()),
    }
}

/// Reads the connections that objects name and that lie outside the scope.
pub(crate) async fn missing_connections(cluster: &Cluster, fleet: &mut Fleet) {
    for key in fleet.unknown_connections() {
        let api: Api<DeserializeGuard<PlatformConnection>> =
            Api::namespaced(cluster.client.clone(), key.namespace());
        match api.get_opt(key.name()).await {
            Ok(Some(found)) => keep(fleet, found),
            Ok(None) => fleet.is_missing(key, "NotFound".to_owned()),
            Err(error) => {
                fleet.notes.push(format!(
                    "failed to read PlatformConnection {key}: {}. Its state and its budget are not known.",
                    explain(&error)
                ));
                fleet.is_missing(key, "NotReadable".to_owned());
            }
        }
    }
}
