//! What every pass works with.

use std::ops::Deref;

use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    facts::{Look, Memory, may_stand_for},
    memory::{Asked, Memories, OpenEntry, completed_attempt},
    observe::Observation,
    protocol,
    publish::EventPublisher,
    schedule::Clocks,
};
use crate::{
    api::{PlatformConnection, TenantPricing, TenantPricingStatus},
    clock::Clock,
    cluster::{self, Filled, Key, Objects, READ_TIMEOUT, Stores, Uid, Written, lease::Term},
    connections::{self, Admission, Namespaces, Registry},
    failpoints::SideEffect,
    index::{Index, TenantKey, Via},
    platform::Origin,
    telemetry::Metrics,
};

/// What outlives each term: one set of these serves all of them, and the informers too. Cheap to clone.
#[derive(Clone)]
pub struct Dependencies {
    /// The way to the API server. It retries nothing: a write without a certain answer is resolved by reading.
    pub client: Client,
    /// What time it is.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// The platform clients.
    pub registry: Registry,
    /// The labels of namespaces.
    pub namespaces: Namespaces,
    /// The cached connections.
    pub connections: Stores<PlatformConnection>,
    /// The cached objects.
    pub objects: Objects,
    /// Whether all of them are cached.
    pub filled: Filled,
    /// What is known of all of them at once.
    pub index: Index,
    /// What is remembered between passes.
    pub memories: Memories,
    /// Where events are published.
    pub events: EventPublisher,
    /// The passes under way, which end before the process does.
    pub tasks: TaskTracker,
}

/// What every pass works with.
#[derive(Clone)]
pub struct Context {
    dependencies: Dependencies,
    /// Has other objects worked on anew, because of what a pass saw.
    pub calls: mpsc::UnboundedSender<Key>,
    /// For how long this process leads.
    pub term: Term,
    /// Cancelled when the process is to end, or leads no longer: nothing new is begun.
    pub stopping: CancellationToken,
}

/// Why a pass came to nothing. It is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a status.
    #[error("failed to write the status: {0}")]
    Refused(#[source] kube::Error),
    /// The object could not be read from the API server.
    #[error("failed to read the object: {0}")]
    Unread(String),
    /// Whether a status was stored is not known.
    #[error("failed to learn whether the status was written: {0}")]
    Uncertain(String),
}

impl Deref for Context {
    type Target = Dependencies;

    fn deref(&self) -> &Dependencies {
        &self.dependencies
    }
}

impl Context {
    /// What the passes of one term work with. `stopping` is cancelled when nothing new is to be begun.
    #[must_use]
    pub fn new(
        dependencies: Dependencies,
        calls: mpsc::UnboundedSender<Key>,
        term: Term,
        stopping: CancellationToken,
    ) -> Self {
        Self { dependencies, calls, term, stopping }
    }

    /// What is remembered of an object, its open attempt included.
    /// `observation` is what was read for it: the connection need not be cached, as one of a namespace that is not
    /// watched never is.
    pub(super) fn recall(&self, object: &TenantPricing, asked: &Asked, observation: &Observation) -> Memory {
        let uid = Uid::of(object);
        if let Some(attempt) = completed_attempt(object) {
            // The answer to the write that completed it may have been lost.
            self.memories.resolved(attempt);
        }
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let memory = Memory {
            namespace_terminates: self.namespaces.is_terminating(namespace),
            ..self.memories.recall(&uid, asked, OpenEntry::of(object, self.clock.now()))
        };
        let known = |tenant: &TenantKey| (self.memories.is_quiet(tenant), self.memories.accepted(tenant));
        let own = object.connection_key();
        let via = |connection: &Key, other: &Key| {
            if *connection == own {
                // The tenant was read through it just now, so it works, whatever its status still says.
                return self.via(observation.connection.as_ref()?, other, true);
            }
            let cached = self.connections.get(connection.namespace(), connection.name())?;
            let connection = cached.0.as_ref().ok()?;
            if connections::needs_a_person(connection) { None } else { self.via(connection, other, false) }
        };
        protocol::beside_others(memory, object, observation.tenant(), &self.index, known, via)
    }

    /// A tenant was read for an object, which from now on has its say in it.
    pub(super) fn seen(&self, object: &TenantPricing, observation: &Observation) {
        let (Look::Seen(seen), Some(connection)) = (&observation.look, &observation.connection) else {
            return;
        };
        // What a name misled to is not the object's tenant.
        if !may_stand_for(object, seen) {
            return;
        }
        let tenant = &seen.tenant.id;
        let through = connection.metadata.uid.as_deref().unwrap_or_default();
        for other in self.index.seen(&Key::of(object), tenant, through) {
            // It fails only when the process ends.
            let _ = self.calls.send(other);
        }
    }

    /// Where a connection leads for an object, if it admits it. While it is not known whether it does, the object
    /// counts: another one waits for it.
    fn via(&self, connection: &PlatformConnection, object: &Key, has_just_read: bool) -> Option<Via> {
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
        let (key, mends) = (Key::of(object), self.memories.mends());
        mends.expects(&key, status);
        let written = cluster::write_status(&self.client, object, status, effect).await;
        match &written {
            Written::Stored(stored) => {
                let (before, after) = (object.resource_version(), stored.resource_version());
                self.memories.overwrote(&Uid::of(object), before.as_deref(), after.as_deref());
                mends.wrote(&key, status, stored);
                if before == after {
                    mends.withdraws(&key, status);
                }
            }
            Written::Conflict | Written::Refused(_) => mends.withdraws(&key, status),
            Written::Unknown(_) => {}
        }
        written
    }

    /// The object as the API server has it now, if it is still that one.
    pub(super) async fn stored(&self, object: &TenantPricing) -> Result<Option<TenantPricing>, String> {
        let api: Api<TenantPricing> =
            Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        match tokio::time::timeout(READ_TIMEOUT, api.get_opt(&object.name_any())).await {
            Ok(Ok(found)) => Ok(found.filter(|found| found.uid() == object.uid())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", READ_TIMEOUT.as_secs())),
        }
    }
}
