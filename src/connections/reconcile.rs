//! Tries a connection and records what that showed. Its objects are woken by the change of its status.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::DeserializeGuard,
    runtime::controller::Action,
};
use serde_json::json;

use super::{
    registry::{Registry, Unusable},
    report::{self, Tried},
};
use crate::{
    api::{ConnectionReason, PlatformConnection},
    clock::Clock,
    pricing::FIELD_MANAGER,
};

/// A connection that does not work is tried again so often: a corrected Secret works within this time.
const RETRY: Duration = Duration::from_secs(30);

/// What the reconcile of a connection works with.
pub struct ConnectionContext {
    /// The way to the API server.
    pub client: Client,
    /// What time it is.
    pub clock: Clock,
    /// The platform clients.
    pub registry: Registry,
}

/// Tries one connection.
///
/// # Errors
/// The status could not be written; it is tried again.
pub async fn reconcile(
    connection: Arc<DeserializeGuard<PlatformConnection>>,
    context: Arc<ConnectionContext>,
) -> Result<Action, kube::Error> {
    let connection = match &connection.0 {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(object = error.metadata.name, %error, "a connection cannot be read; it is left alone");
            return Ok(Action::await_change());
        }
    };
    let tried = try_out(connection, &context).await;
    let status = report::status(connection, &tried, context.clock.now());
    if connection.status.as_ref() != Some(&status) {
        write(&context.client, connection, &status).await?;
    }
    Ok(match tried {
        Tried::Accepted(_) | Tried::Suspended | Tried::Unusable(..) => Action::await_change(),
        Tried::Failed(error) => Action::requeue(error.retry_after().map_or(RETRY, |pause| pause.max(RETRY))),
    })
}

async fn try_out(connection: &PlatformConnection, context: &ConnectionContext) -> Tried {
    let handle = match context.registry.open(connection) {
        Ok(handle) => handle,
        Err(Unusable::Suspended) => return Tried::Suspended,
        Err(Unusable::Client(error)) => return Tried::Failed(error),
        Err(Unusable::Url(message)) => return Tried::Unusable(ConnectionReason::HostNotAllowed, message),
    };
    match handle.client.verify().await {
        Ok(tenant) => {
            handle.in_order();
            Tried::Accepted(tenant.value)
        }
        Err(error) => {
            handle.in_trouble();
            Tried::Failed(error)
        }
    }
}

async fn write(
    client: &Client,
    connection: &PlatformConnection,
    status: &crate::api::PlatformConnectionStatus,
) -> Result<(), kube::Error> {
    let namespace = connection.namespace().unwrap_or_default();
    let api: Api<PlatformConnection> = Api::namespaced(client.clone(), &namespace);
    let patch = json!({
        "apiVersion": PlatformConnection::api_version(&()),
        "kind": PlatformConnection::kind(&()),
        "metadata": {
            "name": connection.name_any(),
            "namespace": namespace,
            "uid": connection.uid(),
            "resourceVersion": connection.resource_version(),
        },
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&connection.name_any(), &parameters, &Patch::Apply(&patch)).await.map(drop)
}
