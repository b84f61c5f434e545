//! Tries a connection and records what that showed. Its objects are woken by the change of its status.

use std::{sync::Arc, time::Duration};

use kube::{Client, core::DeserializeGuard, runtime::controller::Action};
use tokio_util::task::TaskTracker;

use super::{
    registry::{Registry, Unusable},
    report::{self, Tried},
};
use crate::{
    api::{ConnectionReason, PlatformConnection},
    clock::Clock,
    cluster::{self, CATCH_UP, Written},
};

/// A connection that does not work is tried again so often: a corrected Secret works within this time.
const RETRY: Duration = Duration::from_secs(30);

/// Why the state of a connection could not be recorded. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused the status.
    #[error("failed to write the status: {0}")]
    Refused(#[source] kube::Error),
    /// Whether the status was stored is not known.
    #[error("failed to learn whether the status was written: {0}")]
    Uncertain(String),
    /// The pass panicked.
    #[error("the pass was broken off")]
    BrokenOff,
}

/// What the reconcile of a connection works with.
pub struct ConnectionContext {
    /// The way to the API server.
    pub client: Client,
    /// What time it is.
    pub clock: Clock,
    /// The platform clients.
    pub registry: Registry,
    /// The passes under way, which end before the process does.
    pub tasks: TaskTracker,
}

/// Tries one connection, in a task of its own: a panic ends no more than that.
///
/// # Errors
/// The status could not be written; it is tried again.
pub async fn reconcile(
    connection: Arc<DeserializeGuard<PlatformConnection>>,
    context: Arc<ConnectionContext>,
) -> Result<Action, Error> {
    let tasks = context.tasks.clone();
    in_a_task(&tasks, async move {
        match &connection.0 {
            Ok(connection) => pass(connection, &context).await,
            Err(error) => {
                let (namespace, name) = (&error.metadata.namespace, &error.metadata.name);
                tracing::warn!(namespace, name, %error, "a connection cannot be read; it is left alone");
                Ok(Action::await_change())
            }
        }
    })
    .await
}

async fn in_a_task(
    tasks: &TaskTracker,
    pass: impl Future<Output = Result<Action, Error>> + Send + 'static,
) -> Result<Action, Error> {
    tasks.spawn(pass).await.unwrap_or(Err(Error::BrokenOff))
}

async fn pass(connection: &PlatformConnection, context: &ConnectionContext) -> Result<Action, Error> {
    let tried = try_out(connection, context).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_pass_and_no_more() {
        let tasks = TaskTracker::new();
        let broken = in_a_task(&tasks, async { panic!("a pass that breaks off") }).await;
        assert!(matches!(broken, Err(Error::BrokenOff)));
        let next = in_a_task(&tasks, async { Ok(Action::requeue(RETRY)) }).await;
        assert_eq!(next.unwrap(), Action::requeue(RETRY));
        tasks.close();
        tasks.wait().await;
    }
}
