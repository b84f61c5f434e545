//! One platform client for each connection, rebuilt only when the connection's way to the platform changes.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use kube::{Client, ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::mpsc;

use super::{credentials::SecretCredentials, name_resolver::NameResolver};
use crate::{
    api::PlatformConnection,
    clock::Clock,
    cluster::Key,
    platform::{
        AllowedHosts, Answer, ClientOptions, ErrorClass, History, NameMatches, Origin, PlatformClient,
        PlatformError, ProxyUrl, PutPermit, Resolver,
    },
    telemetry::Metrics,
};

/// What holds for all connections.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The hosts that may be talked to.
    pub allowed_hosts: AllowedHosts,
    /// The proxy to the platform, if there is one.
    pub proxy: Option<ProxyUrl>,
    /// Who knows the addresses of the platform's hosts.
    pub lookup: Resolver,
    /// What is counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
}

/// The platform clients of all connections. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    settings: Settings,
    handles: Arc<Mutex<Handles>>,
    unhealthy_connections: mpsc::UnboundedSender<ObjectRef<PlatformConnection>>,
}

#[derive(Default)]
struct Handles {
    open: HashMap<Key, (Route, ConnectionHandle)>,
    /// By connection and its uid.
    histories: HashMap<Key, (Option<String>, History)>,
    /// The URLs whose host is not allowed, as far as the log says so.
    refused: HashMap<Key, String>,
    /// The newest spec of each connection that any part of the program has seen.
    newest: HashMap<Key, Newest>,
}

struct Newest {
    uid: Option<String>,
    generation: Option<i64>,
    suspended: bool,
}

/// What a client is built from: while it stays the same, so does the client, with its token and connections.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    uid: Option<String>,
    url: String,
    secret: String,
    ca_bundle: Option<Arc<str>>,
}

impl Route {
    fn of(connection: &PlatformConnection) -> Self {
        Self {
            uid: connection.uid(),
            url: connection.spec.url.clone(),
            secret: connection.spec.credentials_secret_ref.name.clone(),
            ca_bundle: connection.spec.ca_bundle.as_deref().map(Into::into),
        }
    }
}

/// A way to the platform through one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectionHandle {
    /// The client.
    pub client: PlatformClient,
    names: NameResolver,
    health: Arc<Health>,
}

#[derive(Debug)]
struct Health {
    connection: ObjectRef<PlatformConnection>,
    unhealthy: AtomicBool,
    unhealthy_connections: mpsc::UnboundedSender<ObjectRef<PlatformConnection>>,
}

impl Registry {
    /// An empty registry, and the stream of the connections through which something went wrong.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
    ) -> (Self, mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>) {
        let (unhealthy_connections, receiver) = mpsc::unbounded_channel();
        (Self { client, settings, handles: Arc::default(), unhealthy_connections }, receiver)
    }

    /// The way to the platform through `connection`.
    ///
    /// # Errors
    /// What only a person can mend, in a sentence: the connection is suspended, its URL is not one or not
    /// allowed, its certificates cannot be read.
    pub fn open(&self, connection: &PlatformConnection) -> Result<ConnectionHandle, ConnectionProblem> {
        if self.handles().revise(connection) {
            return Err(ConnectionProblem::Suspended);
        }
        let origin = Origin::parse(&connection.spec.url)
            .map_err(|error| ConnectionProblem::Url(format!("spec.url: {error}.")))?;
        let namespace = connection.namespace().unwrap_or_default();
        let key = Key::of(connection);
        let route = Route::of(connection);
        if let Some(handle) = known(&self.handles(), &key, &route) {
            handle.client.set_rate(rate(connection));
            return Ok(handle);
        }
        // Without the lock: certificates are read here, and nobody else need wait for that. A failure is not
        // kept, because what was short for a moment, such as open files, may be there the next time.
        let credentials =
            SecretCredentials { client: self.client.clone(), namespace, name: route.secret.clone() };
        let options = ClientOptions {
            origin,
            allowed_hosts: self.settings.allowed_hosts.clone(),
            ca_bundle: route.ca_bundle.clone(),
            proxy: self.settings.proxy.clone(),
            resolver: self.settings.lookup.clone(),
            requests_per_second: rate(connection),
            metrics: Some(self.settings.metrics.of_connection(&key)),
            clock: self.settings.clock.clone(),
            history: self.handles().history(&key, route.uid.as_ref()),
        };
        let client = PlatformClient::new(options, Arc::new(credentials)).map_err(|error| {
            self.log_refusal(&key, &route, &error);
            ConnectionProblem::Client(error)
        })?;
        let handle = ConnectionHandle {
            names: NameResolver::start(client.clone(), self.settings.clock.clone()),
            client,
            health: Arc::new(Health {
                connection: ObjectRef::from_obj(connection),
                unhealthy: AtomicBool::new(false),
                unhealthy_connections: self.unhealthy_connections.clone(),
            }),
        };
        let mut handles = self.handles();
        // The emergency stop may be newer than the spec that this client was made from.
        if handles.revise(connection) {
            return Err(ConnectionProblem::Suspended);
        }
        // The first one wins: there is one token and one pause for each connection.
        if let Some(handle) = known(&handles, &key, &route) {
            return Ok(handle);
        }
        handle.client.activate();
        handles.refused.remove(&key);
        if let Some((_, before)) = handles.open.insert(key, (route, handle.clone())) {
            before.names.stop();
        }
        Ok(handle)
    }

    /// A connection was seen. If it is suspended, none of its clients sends a further request. If its way to the
    /// platform changed, no further name is looked up by the client that has gone that way.
    pub fn revise(&self, connection: &PlatformConnection) {
        self.handles().revise(connection);
    }

    /// This process leads no longer: no name is looked up any more, through any connection.
    pub fn give_up_lookups(&self) {
        self.handles().open.values().for_each(|(_, handle)| handle.names.give_up());
    }

    /// What the platform's clock says now, by its last answer through a connection.
    #[must_use]
    pub fn platform_now(&self, connection: &Key) -> Option<Timestamp> {
        self.handles().open.get(connection)?.1.client.platform_now()
    }

    /// Drops the client of a connection that is gone.
    pub fn close(&self, connection: &Key) {
        let mut handles = self.handles();
        if let Some((_, handle)) = handles.open.remove(connection) {
            handle.names.stop();
        }
        handles.newest.remove(connection);
        handles.histories.remove(connection);
        handles.refused.remove(connection);
    }

    /// Says in the log, once for each URL of a connection, what its status does not show: which hosts are allowed.
    fn log_refusal(&self, connection: &Key, route: &Route, error: &PlatformError) {
        if error.class() != ErrorClass::HostNotAllowed
            || self.handles().refused.insert(connection.clone(), route.url.clone()).as_ref()
                == Some(&route.url)
        {
            return;
        }
        tracing::warn!(
            namespace = connection.namespace(),
            name = connection.name(),
            url = route.url,
            allowed_hosts = %self.settings.allowed_hosts,
            "the host of a PlatformConnection is not allowed; nothing is sent through it"
        );
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handles {
    /// Takes note of a connection's spec, unless a newer one is known. Returns whether the emergency stop is on.
    fn revise(&mut self, connection: &PlatformConnection) -> bool {
        let (key, route) = (Key::of(connection), Route::of(connection));
        let (generation, suspended) = (connection.metadata.generation, connection.spec.suspend);
        // A cache may be behind what was read from the API server.
        let newer =
            self.newest.get(&key).filter(|known| known.uid == route.uid && known.generation > generation);
        if let Some(newer) = newer {
            return suspended || newer.suspended;
        }
        self.newest.insert(key.clone(), Newest { uid: route.uid.clone(), generation, suspended });
        self.history(&key, route.uid.as_ref()).stop(suspended);
        if self.open.get(&key).is_some_and(|(known, _)| *known != route)
            && let Some((_, replaced)) = self.open.remove(&key)
        {
            replaced.names.stop();
        }
        suspended
    }

    /// What the clients of a connection leave to the next one. Another object of the same name begins without.
    fn history(&mut self, key: &Key, uid: Option<&String>) -> History {
        let (of, history) = self.histories.entry(key.clone()).or_default();
        if of.as_ref() != uid {
            (*of, *history) = (uid.cloned(), History::default());
        }
        history.clone()
    }
}

/// The handle that is kept, if the way is still the one it was built for.
fn known(handles: &Handles, key: &Key, route: &Route) -> Option<ConnectionHandle> {
    handles.open.get(key).filter(|(known, _)| known == route).map(|(_, handle)| handle.clone())
}

/// The pace of a connection. The API server has checked that it is not zero.
fn rate(connection: &PlatformConnection) -> NonZeroU32 {
    NonZeroU32::new(connection.spec.requests_per_second).unwrap_or(NonZeroU32::MIN)
}

/// Why a connection cannot be used until a person mends it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectionProblem {
    /// The emergency stop is on.
    #[error("spec.suspend is true, the emergency stop. Set it to false to go on.")]
    Suspended,
    /// The URL is not one.
    #[error("{0}")]
    Url(String),
    /// The host is not allowed, or the certificates cannot be read.
    #[error("{0}.")]
    Client(PlatformError),
}

impl ConnectionHandle {
    /// The customers of a name, by search where that shows exactly one: enough to observe it.
    ///
    /// # Errors
    /// What the platform or the way to it said.
    pub async fn find(&self, name: &str) -> Result<Answer<NameMatches>, PlatformError> {
        self.names.find(name).await
    }

    /// Names, and the proof of who bears one.
    #[must_use]
    pub fn names(&self) -> &NameResolver {
        &self.names
    }

    /// The same way for the read before a switch, which has its permits already.
    #[must_use]
    pub fn for_prewrite_read(&self, permit: &PutPermit) -> Self {
        Self { client: permit.for_prewrite_read(), ..self.clone() }
    }

    /// Passes a result on; the first failure that concerns the connection has its state looked into.
    ///
    /// # Errors
    /// The one passed in.
    pub fn track<T>(&self, result: Result<T, PlatformError>) -> Result<T, PlatformError> {
        if let Err(error) = &result {
            self.note(error.class());
        }
        result
    }

    fn note(&self, class: ErrorClass) {
        if class.concerns_connection() && !self.health.unhealthy.swap(true, Ordering::Relaxed) {
            let _ = self.health.unhealthy_connections.send(self.health.connection.clone());
        }
    }

    /// The connection was found in order: the next failure is news again.
    pub(super) fn mark_healthy(&self) {
        self.health.unhealthy.store(false, Ordering::Relaxed);
    }

    /// Whether something went wrong through the connection since it was last found in order.
    pub(super) fn is_unhealthy(&self) -> bool {
        self.health.unhealthy.load(Ordering::Relaxed)
    }

    /// The connection was found in trouble.
    pub(super) fn mark_unhealthy(&self) {
        self.health.unhealthy.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(all(feature = "simulator", feature = "test-support"))]
mod tests;
