//! What every reconcile works with.

use std::ops::Deref;

use kube::{Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    expectations::ReconcileState,
    schedule::Clocks,
    status::{EventPublisher, StatusChange},
};
use crate::{
    api::{PlatformConnection, TenantPricing, TenantPricingStatus},
    clock::Clock,
    cluster::{self, Caches, Key, ObjectCache, ReadError, Synced, Uid, WriteError, Written, lease::Term},
    connections::{Admission, Namespaces, Registry},
    failpoints::SideEffect,
    index::{Index, Via},
    platform::Origin,
    telemetry::Metrics,
};

/// What outlives each term: one set serves all terms, and the informers too. Cheap to clone.
#[derive(Clone)]
pub struct Dependencies {
    /// The client of the API server. It retries nothing: a write without a certain answer is resolved by reading.
    pub client: Client,
    /// The wall clock of the process. Tests move it.
    pub clock: Clock,
    /// What the process counts and measures.
    pub metrics: Metrics,
    /// The platform clients.
    pub registry: Registry,
    /// The labels of namespaces.
    pub namespaces: Namespaces,
    /// The cached connections.
    pub connections: Caches<PlatformConnection>,
    /// The cached objects.
    pub objects: ObjectCache,
    /// Whether all objects are cached.
    pub synced: Synced,
    /// The index over all objects.
    pub index: Index,
    /// What is remembered between reconciles.
    pub reconcile_state: ReconcileState,
    /// Where events are published.
    pub events: EventPublisher,
    /// The active reconciles, which end before the process does.
    pub tasks: TaskTracker,
}

/// What every reconcile works with.
#[derive(Clone)]
pub struct Context {
    dependencies: Dependencies,
    /// Enqueues other objects, because of what a reconcile read.
    pub enqueue_tx: mpsc::UnboundedSender<Key>,
    /// For how long this process leads.
    pub term: Term,
    /// Cancelled when the process shuts down, or no longer leads. Nothing new begins then.
    pub stopping: CancellationToken,
}

/// Why a reconcile failed. It is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a status.
    #[error("failed to write the status: {0}")]
    Refused(#[source] kube::Error),
    /// The object could not be read from the API server.
    #[error("failed to read the object: {0}")]
    Unread(#[source] ReadError),
    /// Whether a status was stored is not known.
    #[error("failed to learn whether the status was written: {0}")]
    Uncertain(#[source] WriteError),
}

impl Error {
    /// A stable word for logs.
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Refused(_) => "Refused",
            Self::Unread(error) => error.category(),
            Self::Uncertain(_) => "Uncertain",
        }
    }
}

impl Deref for Context {
    type Target = Dependencies;

    fn deref(&self) -> &Dependencies {
        &self.dependencies
    }
}

impl Context {
    /// The context for the reconciles of one term. `stopping` is cancelled when nothing new may begin.
    #[must_use]
    pub fn new(
        dependencies: Dependencies,
        enqueue_tx: mpsc::UnboundedSender<Key>,
        term: Term,
        stopping: CancellationToken,
    ) -> Self {
        Self { dependencies, enqueue_tx, term, stopping }
    }

    /// Where a connection leads for an object, if it admits it. While it is not known whether it does, the object
    /// counts: another one waits for it.
    pub(super) fn via(
        &self,
        connection: &PlatformConnection,
        object: &Key,
        has_just_read: bool,
    ) -> Option<Via> {
        if self.namespaces.admits(connection, object.namespace()) == Admission::Refused {
            return None;
        }
        Some(Via {
            platform: Origin::parse(&connection.spec.url).ok()?,
            uid: connection.uid().unwrap_or_default(),
            suspended: connection.spec.suspend,
            has_just_read,
        })
    }

    /// What both clocks say: the controller's, and the platform's by its last answer through a connection. Before the
    /// first answer the controller's stands for both.
    pub(crate) fn clocks(&self, connection: &Key) -> Clocks {
        let controller = self.clock.now();
        let platform = self.registry.platform_now(connection).unwrap_or(controller);
        Clocks { controller, platform }
    }

    /// Writes a status, and remembers which version it was written over.
    pub(super) async fn write_status(
        &self,
        object: &TenantPricing,
        status: &TenantPricingStatus,
        effect: SideEffect,
    ) -> Written<TenantPricing> {
        let (key, own_statuses) = (Key::of(object), self.reconcile_state.own_statuses());
        own_statuses.expect_status(&key, status);
        // The tenant was read past trial. That stays true, whatever happens to the write.
        self.index.record_completion(object, status);
        let written = cluster::write_status(&self.client, object, status, effect).await;
        match &written {
            Written::Stored(stored) => {
                let (before, after) = (object.resource_version(), stored.resource_version());
                self.reconcile_state.expect_version(&Uid::of(object), before.as_deref(), after.as_deref());
                own_statuses.record_written(&key, status, stored);
                if before == after {
                    own_statuses.withdraw(&key, status);
                }
            }
            Written::Conflict => {
                // Another client replaced this version. A repeat on it would read the platform for nothing.
                let before = object.resource_version();
                self.reconcile_state.expect_version(&Uid::of(object), before.as_deref(), None);
                own_statuses.withdraw(&key, status);
            }
            Written::Refused(_) => own_statuses.withdraw(&key, status),
            Written::Unknown(_) => {}
        }
        written
    }

    /// A status was stored: writes the audit line, counts, and publishes the events that go with the change.
    pub(super) fn status_changed(&self, change: &StatusChange<'_>) {
        change.audit();
        self.metrics.count_outcome(change.before, change.after);
        self.events.publish(change.object, change.events());
    }

    /// The object as the API server has it now, if it is still that one.
    pub(super) async fn stored(&self, object: &TenantPricing) -> Result<Option<TenantPricing>, ReadError> {
        let found: Option<TenantPricing> = cluster::read(&self.client, &Key::of(object)).await?;
        Ok(found.filter(|found| found.uid() == object.uid()))
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::http::{Request, Response};
    use futures::FutureExt;
    use kube::client::Body;
    use tower::service_fn;

    use super::*;
    use crate::{
        api::AllowedNamespaces,
        connections::Settings,
        pricing::facts::AttemptOutcome,
        testing::fixtures::{self, Scene},
    };

    impl Context {
        /// A context with an API server that never answers.
        pub(crate) fn silent() -> Self {
            let silence = |_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>();
            let (client, tasks) = (Client::new(service_fn(silence), "team"), TaskTracker::new());
            let dependencies = Dependencies {
                events: EventPublisher::new(client.clone(), tasks.clone()),
                registry: Registry::new(client.clone(), Settings::default()).0,
                namespaces: Namespaces::new(client.clone()).0,
                client,
                clock: Clock::default(),
                metrics: Metrics::default(),
                connections: Caches::new(Vec::new()),
                objects: ObjectCache::default(),
                synced: Synced::new(Vec::new()),
                index: Index::default(),
                reconcile_state: ReconcileState::default(),
                tasks,
            };
            let enqueue_tx = mpsc::unbounded_channel().0;
            Self::new(dependencies, enqueue_tx, Term::always(), CancellationToken::new())
        }
    }

    #[tokio::test]
    async fn a_connection_leads_nowhere_for_an_object_that_it_refuses() {
        let context = Context::silent();
        // The default admits the namespace of the connection alone.
        let mut connection = fixtures::connection(AllowedNamespaces::default());
        connection.metadata.namespace = Some("team".to_owned());
        let leads = |namespace: &str| context.via(&connection, &Key::new(namespace, "acme"), true).is_some();
        assert!(leads("team") && !leads("another"));
    }

    /// The watch may deliver the object from before its attempt for a while, and the answer to the write may be lost.
    #[tokio::test]
    async fn a_completion_is_known_before_it_is_stored() {
        let (context, open) = (Context::silent(), Scene::new().pricing("trial").announced("attempt-1"));
        let tenant = fixtures::tenant_key(fixtures::TENANT);
        let _affected = context.index.apply(&Key::of(&open.object), &Scene::new().stored().object);
        let is_known = || context.index.sibling_completed(&Key::new("team", "another"), &tenant).is_some();
        let outcome = AttemptOutcome::Unknown(Duration::ZERO);
        let done = open.clone().outcome(outcome).mode("production").stored().object.status.unwrap();
        assert!(!is_known());
        let write = context.write_status(&open.object, &done, SideEffect::TenantPricingStatus);
        assert!(write.now_or_never().is_none(), "the API server does not answer");
        assert!(is_known());
    }
}
