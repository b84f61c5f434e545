//! Which namespaces may use a connection.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    core::{Selector, SelectorExt},
};

use crate::{
    api::{NamespacesFrom, PlatformConnection},
    cluster::READ_TIMEOUT,
};

/// Whether a connection admits a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It does.
    Admitted,
    /// It does not.
    Refused,
    /// The namespace's labels cannot be read now.
    Undecided,
}

/// Whether `connection` admits the objects of `namespace`. For a selector the namespace's labels are read
/// from the API server, not from a cache.
pub async fn admits(client: &Client, connection: &PlatformConnection, namespace: &str) -> Admission {
    let allowed = &connection.spec.allowed_namespaces;
    match allowed.from {
        NamespacesFrom::All => Admission::Admitted,
        NamespacesFrom::Same if connection.metadata.namespace.as_deref() == Some(namespace) => {
            Admission::Admitted
        }
        NamespacesFrom::Same => Admission::Refused,
        NamespacesFrom::Selector => {
            // A selector that does not parse picks nothing; the connection's own condition says so.
            let selector = allowed.selector.clone().and_then(|selector| Selector::try_from(selector).ok());
            let Some(selector) = selector else { return Admission::Refused };
            match labels(client, namespace).await {
                Ok(Some(labels)) if selector.matches(&labels) => Admission::Admitted,
                Ok(_) => Admission::Refused,
                Err(()) => Admission::Undecided,
            }
        }
    }
}

async fn labels(client: &Client, namespace: &str) -> Result<Option<BTreeMap<String, String>>, ()> {
    let api: Api<Namespace> = Api::all(client.clone());
    match tokio::time::timeout(READ_TIMEOUT, api.get_metadata_opt(namespace)).await {
        Ok(Ok(found)) => Ok(found.map(|namespace| namespace.metadata.labels.unwrap_or_default())),
        Ok(Err(error)) => {
            tracing::warn!(namespace, %error, "failed to read a namespace's labels");
            Err(())
        }
        Err(_) => Err(()),
    }
}

#[cfg(test)]
mod tests;
