//! One platform client for each connection, rebuilt only when the connection's route to the platform changes.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use kube::{Client, ResourceExt, runtime::reflector::ObjectRef};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{
    SpecRevision,
    credentials::{SecretCredentials, SecretReads},
    name_resolver::NameResolver,
};
use crate::{
    api::PlatformConnection,
    clock::Clock,
    cluster::Key,
    platform::{
        AllowedHosts, Answer, ClientOptions, ErrorClass, History, NameMatches, Origin, PlatformClient,
        PlatformError, ProxyUrl, PutPermit, Resolver, SwitchClient,
    },
    telemetry::Metrics,
};

/// The settings that apply to all connections.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The hosts that requests may be sent to.
    pub allowed_hosts: AllowedHosts,
    /// The proxy to the platform, if there is one.
    pub proxy: Option<ProxyUrl>,
    /// Resolves the addresses of the platform's hosts.
    pub lookup: Resolver,
    /// What the process counts and measures.
    pub metrics: Metrics,
    /// The wall clock of the process. Tests move it.
    pub clock: Clock,
}

/// The platform clients of all connections. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    settings: Settings,
    handles: Arc<Mutex<Handles>>,
    unhealthy_connections: mpsc::UnboundedSender<ObjectRef<PlatformConnection>>,
    secret_reads: SecretReads,
}

#[derive(Default)]
struct Handles {
    open: HashMap<Key, (Route, ConnectionHandle)>,
    /// By connection, with its uid.
    histories: HashMap<Key, (Option<String>, History)>,
    /// The URLs whose host is not allowed and that are already in the log.
    refused: HashMap<Key, String>,
    /// The newest spec of each connection that any part of the program has seen.
    newest: HashMap<Key, Newest>,
}

struct Newest {
    spec: SpecRevision,
    suspended: bool,
}

/// The inputs of a client. While they stay the same, so does the client, with its token and connections.
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

/// A client for the platform through one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectionHandle {
    /// The client that reads.
    pub client: PlatformClient,
    switching: SwitchClient,
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
    /// An empty registry, and the stream of the connections that became unhealthy.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
    ) -> (Self, mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>) {
        let (unhealthy_connections, receiver) = mpsc::unbounded_channel();
        let (handles, secret_reads) = (Arc::default(), SecretReads::default());
        (Self { client, settings, handles, unhealthy_connections, secret_reads }, receiver)
    }

    /// The handle of `connection`.
    ///
    /// # Errors
    /// [`ConnectionProblem`]: why nothing can be sent through the connection until a person corrects it.
    pub fn open(&self, connection: &PlatformConnection) -> Result<ConnectionHandle, ConnectionProblem> {
        if self.handles.lock().revise(connection) {
            return Err(ConnectionProblem::Suspended);
        }
        let origin = Origin::parse(&connection.spec.url)
            .map_err(|error| ConnectionProblem::Url(format!("spec.url: {error}.")))?;
        let namespace = connection.namespace().unwrap_or_default();
        let key = Key::of(connection);
        let route = Route::of(connection);
        if let Some(handle) = known(&self.handles.lock(), &key, &route) {
            handle.client.set_rate(rate(connection));
            return Ok(handle);
        }
        // The lock is not held: certificates are read here, and other callers need not wait for that. A failure is not
        // cached, because its cause may be temporary, such as too many open files.
        let (client, reads) = (self.client.clone(), self.secret_reads.clone());
        let credentials = SecretCredentials { client, reads, namespace, name: route.secret.clone() };
        let options = ClientOptions {
            origin,
            allowed_hosts: self.settings.allowed_hosts.clone(),
            ca_bundle: route.ca_bundle.clone(),
            proxy: self.settings.proxy.clone(),
            resolver: self.settings.lookup.clone(),
            requests_per_second: rate(connection),
            metrics: Some(self.settings.metrics.of_connection(&key)),
            clock: self.settings.clock.clone(),
            history: self.handles.lock().history(&key, route.uid.as_ref()),
        };
        let switching = SwitchClient::new(options, Arc::new(credentials)).map_err(|error| {
            self.log_refusal(&key, &route, &error);
            ConnectionProblem::Client(error)
        })?;
        let client = switching.reads().clone();
        let handle = ConnectionHandle {
            names: NameResolver::start(client.clone(), self.settings.clock.clone()),
            client,
            switching,
            health: Arc::new(Health {
                connection: ObjectRef::from_obj(connection),
                unhealthy: AtomicBool::new(false),
                unhealthy_connections: self.unhealthy_connections.clone(),
            }),
        };
        let mut handles = self.handles.lock();
        // The emergency stop may be newer than the spec of this client.
        if handles.revise(connection) {
            return Err(ConnectionProblem::Suspended);
        }
        // The first client wins, so there is one token and one pause for each connection.
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

    /// Records the spec of a connection. If it is suspended, none of its clients sends another request. If its route
    /// changed, the client of the old route resolves no more names.
    pub fn revise(&self, connection: &PlatformConnection) {
        self.handles.lock().revise(connection);
    }

    /// Cancels all name lookups of all connections, because this process has lost leadership.
    pub fn give_up_lookups(&self) {
        self.handles.lock().open.values().for_each(|(_, handle)| handle.names.give_up());
    }

    /// The platform's current time, from its last answer through a connection.
    #[must_use]
    pub fn platform_now(&self, connection: &Key) -> Option<Timestamp> {
        self.handles.lock().open.get(connection)?.1.client.platform_now()
    }

    /// How far the controller's clock was ahead of the platform's at the last answer through a connection. `None` for a
    /// connection that is suspended or gone: no answer confirms the value any more.
    #[must_use]
    pub fn clock_skew(&self, connection: &Key) -> Option<SignedDuration> {
        let handles = self.handles.lock();
        if handles.newest.get(connection).is_none_or(|newest| newest.suspended) {
            return None;
        }
        handles.open.get(connection)?.1.client.clock_skew()
    }

    /// Drops the client of a connection that is gone.
    pub fn close(&self, connection: &Key) {
        let mut handles = self.handles.lock();
        if let Some((_, handle)) = handles.open.remove(connection) {
            handle.names.stop();
        }
        handles.newest.remove(connection);
        handles.histories.remove(connection);
        handles.refused.remove(connection);
    }

    /// Logs, once for each URL of a connection, what its status does not show: which hosts are allowed.
    fn log_refusal(&self, connection: &Key, route: &Route, error: &PlatformError) {
        if error.class() != ErrorClass::HostNotAllowed
            || self.handles.lock().refused.insert(connection.clone(), route.url.clone()).as_ref()
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
}

impl Handles {
    /// Records a connection's spec unless a newer one is known. Returns whether the emergency stop is on.
    fn revise(&mut self, connection: &PlatformConnection) -> bool {
        let (key, route) = (Key::of(connection), Route::of(connection));
        let (spec, suspended) = (SpecRevision::of(connection), connection.spec.suspend);
        // A cache may lag behind a read from the API server.
        if let Some(newer) = self.newest.get(&key).filter(|known| spec.is_older_than(&known.spec)) {
            return suspended || newer.suspended;
        }
        self.newest.insert(key.clone(), Newest { spec, suspended });
        self.history(&key, route.uid.as_ref()).stop(suspended);
        if self.open.get(&key).is_some_and(|(known, _)| *known != route)
            && let Some((_, replaced)) = self.open.remove(&key)
        {
            replaced.names.stop();
        }
        suspended
    }

    /// What the clients of a connection leave to the next one. Another object of the same name starts with an empty
    /// one.
    fn history(&mut self, key: &Key, uid: Option<&String>) -> History {
        let (of, history) = self.histories.entry(key.clone()).or_default();
        if of.as_ref() != uid {
            (*of, *history) = (uid.cloned(), History::default());
        }
        history.clone()
    }
}

/// The cached handle, if its route is still the same.
fn known(handles: &Handles, key: &Key, route: &Route) -> Option<ConnectionHandle> {
    handles.open.get(key).filter(|(known, _)| known == route).map(|(_, handle)| handle.clone())
}

/// The rate limit of a connection. The API server has checked that it is not zero.
fn rate(connection: &PlatformConnection) -> NonZeroU32 {
    NonZeroU32::new(connection.spec.requests_per_second).unwrap_or(NonZeroU32::MIN)
}

/// Why a connection cannot be used until a person corrects it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectionProblem {
    /// The emergency stop is on.
    #[error("spec.suspend is true, the emergency stop. Set it to false to go on.")]
    Suspended,
    /// The URL is invalid.
    #[error("{0}")]
    Url(String),
    /// The host is not allowed, or the certificates cannot be read.
    #[error("{0}.")]
    Client(PlatformError),
    /// This version of the controller cannot read the connection.
    #[error(
        "this version of the controller cannot read it: {0}. Correct the field. If a newer version of the controller \
         wrote it, run that version."
    )]
    Unreadable(String),
}

impl ConnectionHandle {
    /// The customers with a name, by search if it shows exactly one. That is enough to observe the tenant.
    ///
    /// # Errors
    /// The error of the platform or the network.
    pub async fn find(&self, name: &str) -> Result<Answer<NameMatches>, PlatformError> {
        self.names.find(name).await
    }

    /// The name resolver of the connection.
    #[must_use]
    pub fn names(&self) -> &NameResolver {
        &self.names
    }

    /// The client that can switch a tenant.
    #[must_use]
    pub fn switching(&self) -> &SwitchClient {
        &self.switching
    }

    /// The same client for the read before a switch, which already has its permits.
    #[must_use]
    pub fn for_prewrite_read(&self, permit: &PutPermit) -> Self {
        Self { client: permit.for_prewrite_read(), ..self.clone() }
    }

    /// Returns the result. The first failure that concerns the connection triggers a check of it.
    ///
    /// # Errors
    /// The error that was handed in.
    pub fn track<T>(&self, result: Result<T, PlatformError>) -> Result<T, PlatformError> {
        if let Err(error) = &result {
            self.record_failure(error.class());
        }
        result
    }

    fn record_failure(&self, class: ErrorClass) {
        if class.concerns_connection() && !self.health.unhealthy.swap(true, Ordering::Relaxed) {
            let _ = self.health.unhealthy_connections.send(self.health.connection.clone());
        }
    }

    /// Records a successful check: the next failure triggers a new one.
    pub(super) fn mark_healthy(&self) {
        self.health.unhealthy.store(false, Ordering::Relaxed);
    }

    /// Whether a request through the connection has failed since its last successful check.
    pub(super) fn is_unhealthy(&self) -> bool {
        self.health.unhealthy.load(Ordering::Relaxed)
    }

    /// Records a failed check.
    pub(super) fn mark_unhealthy(&self) {
        self.health.unhealthy.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(all(feature = "simulator", feature = "test-support"))]
mod tests;
