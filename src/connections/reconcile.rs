//! Checks a connection, and records the result and its number of tenants in each mode. The change of the status
//! triggers its objects.

mod check_slots;
mod unreadable;

use std::{sync::Arc, time::Duration};

use kube::{Client, core::DeserializeGuard, runtime::controller::Action};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::check_slots::{CheckSlots, MAX_CHECK_SLOTS};
use super::{
    check_cache::{CheckCache, LastCheck},
    namespaces::selector_fault,
    registry::{ConnectionHandle, ConnectionProblem, Registry},
    status::{self, CheckResult},
    statuses::Statuses,
    tenant_counts::CountUpdates,
};
use crate::{
    api::{ConnectionReason, PlatformConnection, TenantCounts},
    clock::Clock,
    cluster::{self, CACHE_CATCH_UP, Key, WriteError, Written, lease::LeadershipFlag},
    failpoints::SideEffect,
    platform::Review,
};

/// How often a standby checks whether it leads, for each connection.
const STANDBY: Duration = Duration::from_secs(5);

/// How often a check that finds no slot is tried again.
const NO_SLOT: Duration = Duration::from_millis(500);

/// Counts the tenants of a connection by mode. Returns `None` while not all objects are known.
pub type CountTenants = Box<dyn Fn(&Key) -> Option<TenantCounts> + Send + Sync>;

/// Why the status of a connection could not be written. The reconcile is retried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused the status.
    #[error("failed to write the status: {0}")]
    Refused(#[source] kube::Error),
    /// Whether the status was stored is not known.
    #[error("failed to learn whether the status was written: {0}")]
    Uncertain(#[source] WriteError),
    /// The reconcile panicked.
    #[error("the reconcile panicked")]
    Panicked,
}

/// The dependencies of the reconcile of a connection.
pub struct ConnectionContext {
    /// The client for the API server.
    pub client: Client,
    /// The wall clock of the process. Tests move it.
    pub clock: Clock,
    /// The platform clients.
    pub registry: Registry,
    /// The results of the last checks.
    pub checks: CheckCache,
    /// The slots of the checks that wait for a platform.
    pub slots: CheckSlots,
    /// The authors of the statuses.
    pub statuses: Statuses,
    /// When the counters of tenants are updated.
    pub tenant_counts: CountUpdates,
    /// Counts the tenants.
    pub count: CountTenants,
    /// The reconciles in progress, which end before the process does.
    pub tasks: TaskTracker,
    /// Whether this process leads. A standby sends the platform nothing.
    pub leads: LeadershipFlag,
    /// Cancelled at shutdown: a reconcile then no longer waits for a platform that does not answer.
    pub stopping: CancellationToken,
}

impl ConnectionContext {
    /// Forgets a connection that is gone.
    pub fn forget(&self, connection: &Key) {
        self.registry.close(connection);
        self.checks.forget(connection);
        self.statuses.forget(connection);
        self.tenant_counts.forget(connection);
    }
}

/// Checks one connection, in a task of its own: a panic ends only that task.
///
/// # Errors
/// The status could not be written. The caller retries.
pub async fn reconcile(
    connection: Arc<DeserializeGuard<PlatformConnection>>,
    context: Arc<ConnectionContext>,
) -> Result<Action, Error> {
    let tasks = context.tasks.clone();
    in_a_task(&tasks, async move {
        match &connection.0 {
            Ok(connection) => reconcile_readable(connection, &context).await,
            Err(error) => {
                let (namespace, name) = (&error.metadata.namespace, &error.metadata.name);
                tracing::warn!(namespace, name, %error, "a connection cannot be read; nothing is sent through it");
                unreadable::report(&Key::of(connection.as_ref()), &context).await
            }
        }
    })
    .await
}

async fn in_a_task(
    tasks: &TaskTracker,
    reconcile: impl Future<Output = Result<Action, Error>> + Send + 'static,
) -> Result<Action, Error> {
    tasks.spawn(reconcile).await.unwrap_or(Err(Error::Panicked))
}

async fn reconcile_readable(
    connection: &PlatformConnection,
    context: &ConnectionContext,
) -> Result<Action, Error> {
    if !context.leads.is_leading() {
        // Each connection is also checked when this process begins to lead. The check is new, because another leader
        // may have written since the last result.
        context.checks.forget(&Key::of(connection));
        return Ok(Action::requeue(STANDBY));
    }
    if let Some(pause) = context.statuses.pause(&Key::of(connection)) {
        return Ok(Action::requeue(pause));
    }
    context.statuses.mark_overwritten(&Key::of(connection));
    if let Some(action) = check_and_write(connection, context).await? {
        return Ok(action);
    }
    // The watch lags behind an edit or an own write. A repeat on the cached version would be refused like this one.
    let stored = cluster::read(&context.client, &Key::of(connection)).await;
    let again = match &stored {
        Ok(Some(stored)) => check_and_write(stored, context).await?,
        _ => None,
    };
    Ok(again.unwrap_or_else(|| Action::requeue(CACHE_CATCH_UP)))
}

/// Checks the connection and writes the result. `None`: the stored connection is another version.
async fn check_and_write(
    connection: &PlatformConnection,
    context: &ConnectionContext,
) -> Result<Option<Action>, Error> {
    let tried = match context.stopping.run_until_cancelled(check(connection, context)).await {
        Some(Some(tried)) => tried,
        Some(None) => return Ok(Some(Action::requeue(NO_SLOT))),
        None => return Ok(Some(Action::requeue(STANDBY))),
    };
    let key = Key::of(connection);
    let counts = if context.tenant_counts.may_write(&key) { (context.count)(&key) } else { None };
    let status = status::status(connection, &tried, counts, context.clock.now());
    if connection.status.as_ref() != Some(&status) {
        if !context.leads.is_leading() {
            return Ok(Some(Action::requeue(STANDBY)));
        }
        context.statuses.expect_status(&key, &status);
        let effect = SideEffect::ConnectionStatus;
        let written = cluster::write_status(&context.client, connection, &status, effect).await;
        match &written {
            Written::Stored(stored)
                if stored.metadata.resource_version != connection.metadata.resource_version => {}
            Written::Unknown(_) => {}
            _ => context.statuses.withdraw(&key, &status),
        }
        match written {
            Written::Stored(_) => {}
            Written::Conflict => return Ok(None),
            Written::Refused(error) => return Err(Error::Refused(error)),
            Written::Unknown(error) => return Err(Error::Uncertain(error)),
        }
        if connection.status.as_ref().and_then(|before| before.tenants.as_ref()) != status.tenants.as_ref() {
            context.tenant_counts.written(&key);
        }
    }
    Ok(Some(context.checks.pause(connection).map_or_else(Action::await_change, Action::requeue)))
}

/// Checks the connection through the platform, unless the last result still holds. `None`: the check is due, and has no
/// slot yet.
async fn check(connection: &PlatformConnection, context: &ConnectionContext) -> Option<CheckResult> {
    let tried = match usable(connection, context) {
        Err(unusable) => unusable,
        Ok(handle) => {
            let known = context.checks.last(connection, handle.is_unhealthy());
            let take_slot = || context.slots.take(&Key::of(connection), handle.client.origin());
            if let LastCheck::Holds(last) = known {
                return Some(last);
            }
            let slot = if matches!(known, LastCheck::Nothing) { Some(take_slot()?) } else { None };
            match (handle.client.review_credentials().await, known) {
                (Ok(Review::Same), LastCheck::WithSecret(last)) => {
                    context.checks.secret_unchanged(connection);
                    return Some(last);
                }
                (Ok(_), _) => {
                    // The last result is that of another Secret: it must not hold while there is no slot.
                    let Some(_slot) = slot.or_else(take_slot) else {
                        context.checks.forget(&Key::of(connection));
                        return None;
                    };
                    verify(&handle, context).await
                }
                (Err(error), _) => {
                    handle.mark_unhealthy();
                    CheckResult::failed(error, context.clock.now())
                }
            }
        }
    };
    context.checks.record(connection, &tried);
    Some(tried)
}

/// Checks the credentials.
async fn verify(handle: &ConnectionHandle, context: &ConnectionContext) -> CheckResult {
    match handle.client.verify().await {
        Ok(tenant) => {
            handle.mark_healthy();
            CheckResult::Accepted(tenant.value)
        }
        Err(error) => {
            handle.mark_unhealthy();
            CheckResult::failed(error, context.clock.now())
        }
    }
}

/// The connection's handle, unless its spec makes it unusable.
fn usable(
    connection: &PlatformConnection,
    context: &ConnectionContext,
) -> Result<ConnectionHandle, CheckResult> {
    let handle = context.registry.open(connection).map_err(|unusable| match unusable {
        ConnectionProblem::Suspended => CheckResult::Suspended,
        ConnectionProblem::Client(error) => CheckResult::Failed(error),
        ConnectionProblem::Url(message) => CheckResult::Unusable(ConnectionReason::HostNotAllowed, message),
        ConnectionProblem::Unreadable(message) => {
            CheckResult::Unusable(ConnectionReason::Unreadable, message)
        }
    })?;
    match selector_fault(connection) {
        None => Ok(handle),
        Some(fault) => {
            let message = format!(
                "spec.allowedNamespaces.selector: {fault}. No namespace is admitted until it is corrected."
            );
            Err(CheckResult::Unusable(ConnectionReason::SelectorInvalid, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_only_one_reconcile() {
        let tasks = TaskTracker::new();
        let panicked = in_a_task(&tasks, async { panic!("a reconcile that panics") }).await;
        assert!(matches!(panicked, Err(Error::Panicked)));
        let next = in_a_task(&tasks, async { Ok(Action::requeue(CACHE_CATCH_UP)) }).await;
        assert_eq!(next.unwrap(), Action::requeue(CACHE_CATCH_UP));
        tasks.close();
        tasks.wait().await;
    }
}
