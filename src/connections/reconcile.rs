//! Tries a connection and records what that showed. Its objects are woken by the change of its status.

use std::{sync::Arc, time::Duration};

use kube::{Client, core::DeserializeGuard, runtime::controller::Action};

use super::{
    registry::{Registry, Unusable},
    report::{self, Tried},
};
use crate::{
    api::{ConnectionReason, PlatformConnection},
    clock::Clock,
    cluster::{self, Written},
};

/// A connection that does not work is tried again so often: a corrected Secret works within this time.
const RETRY: Duration = Duration::from_secs(30);

/// After a write that met a newer object, the watch has caught up within so long.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Why the state of a connection could not be recorded. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused the status.
    #[error("failed to write the status: {0}")]
    Refused(#[source] kube::Error),
    /// Whether the status was stored is not known.
    #[error("failed to learn whether the status was written: {0}")]
    Uncertain(String),
}

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
) -> Result<Action, Error> {
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
        match cluster::write_status(&context.client, connection, &status).await {
            Written::Stored(_) => {}
            Written::Conflict => return Ok(Action::requeue(CATCH_UP)),
            Written::Refused(error) => return Err(Error::Refused(error)),
            Written::Unknown(error) => return Err(Error::Uncertain(error)),
        }
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
