//! Reads the connection of an object, and finds out how the object reaches its platform through it.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};

use super::Cluster;
use crate::{
    api::{ConditionType, NamespacesFrom, PlatformConnection, StalledReason, TenantPricing, conditions},
    cli::platform::facts::access,
    cluster::explain,
    connections::{Admission, admission_by_labels},
    pricing::facts::Access,
};

/// What is known about the connection of an object.
pub(crate) struct Resolved {
    /// The connection. `None`: it does not exist, or it cannot be read.
    pub connection: Option<PlatformConnection>,
    /// How the object reaches its platform. `None`: the connection cannot be read.
    pub access: Option<Access>,
}

/// Reads the connection of an object. What cannot be known is added to `unknown`, in sentences.
pub(crate) async fn resolve(
    cluster: &Cluster,
    object: &TenantPricing,
    unknown: &mut Vec<String>,
) -> Resolved {
    let key = object.connection_key();
    let api: Api<PlatformConnection> = Api::namespaced(cluster.client.clone(), key.namespace());
    let connection = match api.get_opt(key.name()).await {
        Ok(Some(connection)) => connection,
        Ok(None) => return Resolved { connection: None, access: Some(Access::NotFound) },
        Err(error) => {
            unknown.push(format!("What PlatformConnection {key} says: {}.", explain(&error)));
            return Resolved { connection: None, access: None };
        }
    };
    let namespace = object.namespace().unwrap_or_default();
    let labels = if connection.spec.allowed_namespaces.from == NamespacesFrom::Selector {
        let api: Api<Namespace> = Api::all(cluster.client.clone());
        let found = api.get_metadata_opt(&namespace).await.ok().flatten();
        found.map(|found| found.metadata.labels.unwrap_or_default())
    } else {
        None
    };
    let admission = match admission_by_labels(&connection, &namespace, labels.as_ref()) {
        Admission::Undecided => {
            unknown.push(format!(
                "Whether PlatformConnection {key} admits the namespace: its labels could not be read. The status is taken \
                 as right."
            ));
            if is_refused(object) { Admission::Refused } else { Admission::Admitted }
        }
        known => known,
    };
    let access = Some(access(&connection, admission));
    Resolved { connection: Some(connection), access }
}

/// Whether the status says that the connection does not admit the object.
fn is_refused(object: &TenantPricing) -> bool {
    let status = object.status.as_ref();
    let stalled = status.and_then(|status| conditions::find(&status.conditions, ConditionType::Stalled));
    stalled.is_some_and(|stalled| stalled.reason == StalledReason::ConnectionNotAllowed.as_str())
}
