//! Enqueues objects when their connection or their namespace changes in a way that matters to them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{Stream, StreamExt, stream};
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};

use super::Guarded;
use crate::{
    api::{ConditionType, NamespacesFrom, PlatformConnection, conditions},
    cluster::Key,
    connections::{self, SpecRevision},
    controller::{work_queue::QueuePriority, workers::Workers},
    pricing::ReconcileRequest,
};

/// The most pending changes. If there are more, the objects of all connections are enqueued.
const MAX_PENDING_CHANGES: usize = 256;

/// Reports changes that matter to objects. Cheap to clone.
#[derive(Clone)]
pub(in crate::controller) struct Triggers {
    sender: broadcast::Sender<Change>,
    known: Arc<Mutex<HashMap<Key, ConnectionRevision>>>,
    /// The connections that are gone, while that change is pending. More than [`MAX_PENDING_CHANGES`] lose it.
    gone: Arc<Mutex<HashSet<Key>>>,
}

/// A change that may matter to many objects.
#[derive(Clone, Debug)]
enum Change {
    /// A connection has changed.
    Connection(ConnectionChange),
    /// The labels of a namespace have changed. That matters to its objects whose connection selects by labels.
    Namespace(Arc<str>),
}

/// What has changed in a connection.
#[derive(Clone, Debug)]
struct ConnectionChange {
    connection: Key,
    /// Whether the connection is gone.
    gone: bool,
    /// Whether the spec or the existence of the connection has changed, which matters to all its objects. Otherwise
    /// only its health has changed, which matters to objects that report it and to objects not read yet.
    whole: bool,
    /// Whether the connection now gives claims on tenants, or stopped giving them. That matters to other objects with
    /// the same tenants.
    claims: bool,
}

/// What matters to the objects of a connection: its spec, and whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct ConnectionRevision {
    spec: SpecRevision,
    ready: Option<ReadyState>,
}

/// What the condition `Ready` of a connection says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReadyState {
    status: String,
    reason: String,
}

impl ConnectionRevision {
    fn of(connection: &PlatformConnection) -> Self {
        let conditions = connection.status.as_ref().map(|status| status.conditions.as_slice());
        let ready = conditions::find(conditions.unwrap_or_default(), ConditionType::Ready);
        Self {
            spec: SpecRevision::of(connection),
            ready: ready
                .map(|ready| ReadyState { status: ready.status.clone(), reason: ready.reason.clone() }),
        }
    }

    /// Whether the connection gives its objects claims on their tenants.
    fn gives_claims(&self) -> bool {
        !self.ready.as_ref().is_some_and(|ready| connections::is_for_a_person(&ready.status, &ready.reason))
    }
}

impl Triggers {
    pub(in crate::controller) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(MAX_PENDING_CHANGES),
            known: Arc::default(),
            gone: Arc::default(),
        }
    }

    /// Records a connection. Its objects are enqueued if something that matters to them is new. One that cannot be read
    /// any more is as good as gone for them.
    pub(in crate::controller) fn changed(&self, object: &Guarded<PlatformConnection>) {
        let (Some(now), before) = self.remember(object) else {
            if self.known.lock().contains_key(&Key::of(object)) {
                self.gone(&Key::of(object));
            }
            return;
        };
        if before.as_ref() != Some(&now) {
            let claims = before.as_ref().is_none_or(|before| before.gives_claims() != now.gives_claims());
            let whole = before.is_none_or(|before| before.spec != now.spec);
            let change = ConnectionChange { connection: Key::of(object), gone: false, whole, claims };
            // The send fails only if the receiver is gone.
            let _ = self.sender.send(Change::Connection(change));
        }
    }

    /// Records a connection without enqueueing objects. Returns its present and its previous revision.
    pub(in crate::controller) fn remember(
        &self,
        object: &Guarded<PlatformConnection>,
    ) -> (Option<ConnectionRevision>, Option<ConnectionRevision>) {
        let Ok(connection) = &object.0 else { return (None, None) };
        let revision = ConnectionRevision::of(connection);
        let mut known = self.known.lock();
        let before = known.insert(Key::of(object), revision.clone());
        (Some(revision), before)
    }

    /// Records that a connection is gone.
    pub(in crate::controller) fn gone(&self, connection: &Key) {
        self.known.lock().remove(connection);
        self.gone.lock().insert(connection.clone());
        if self.sender.send(Change::Connection(ConnectionChange::gone(connection.clone()))).is_err() {
            self.gone.lock().remove(connection);
        }
    }

    /// The known connections of a namespace, or of all, that are missing from a list.
    pub(in crate::controller) fn missing(&self, namespace: Option<&str>, listed: &HashSet<Key>) -> Vec<Key> {
        let known = self.known.lock();
        let watched = |key: &&Key| namespace.is_none_or(|namespace| key.namespace() == namespace);
        known.keys().filter(watched).filter(|key| !listed.contains(*key)).cloned().collect()
    }

    /// Forwards the namespaces whose labels changed.
    pub(in crate::controller) async fn forward_relabelled_namespaces(
        self,
        mut relabelled: mpsc::UnboundedReceiver<Arc<str>>,
    ) {
        while let Some(namespace) = relabelled.recv().await {
            let _ = self.sender.send(Change::Namespace(namespace));
        }
    }

    /// Enqueues objects as connections and namespaces change from now on, without end.
    pub(in crate::controller) fn enqueue(self, workers: Arc<Workers>) -> impl Future<Output = ()> + Send {
        let changes = self.sender.subscribe();
        self.enqueue_on(changes, workers)
    }

    async fn enqueue_on(self, mut changes: broadcast::Receiver<Change>, workers: Arc<Workers>) {
        loop {
            match changes.recv().await {
                Ok(Change::Connection(change)) => {
                    if change.gone {
                        self.gone.lock().remove(&change.connection);
                    }
                    change.enqueue(&workers);
                }
                Ok(Change::Namespace(namespace)) => enqueue_namespace(&namespace, &workers),
                Err(RecvError::Lagged(_)) => {
                    let gone = std::mem::take(&mut *self.gone.lock());
                    for connection in gone {
                        ConnectionChange::gone(connection).enqueue(&workers);
                    }
                    for connection in self.connections() {
                        ConnectionChange { connection, whole: true, gone: false, claims: true }
                            .enqueue(&workers);
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn connections(&self) -> Vec<Key> {
        self.known.lock().keys().cloned().collect()
    }
}

/// Enqueues the objects of a namespace whose connection selects by labels. That takes no read.
fn enqueue_namespace(namespace: &str, workers: &Workers) {
    let connections = &workers.context.connections;
    let asks_for_labels = |connection: &Key| {
        connections.get(connection.namespace(), connection.name()).is_none_or(|cached| {
            let connection = cached.0.as_ref();
            connection
                .is_ok_and(|connection| connection.spec.allowed_namespaces.from == NamespacesFrom::Selector)
        })
    };
    let objects = workers.context.index.in_namespace(namespace);
    for (key, _) in objects.iter().filter(|(_, connection)| asks_for_labels(connection)) {
        workers.queue.push(key, QueuePriority::Background, ReconcileRequest::default());
    }
}

impl ConnectionChange {
    fn gone(connection: Key) -> Self {
        Self { connection, gone: true, whole: true, claims: true }
    }

    /// Enqueues the affected objects. Resting ones follow batch by batch, as in periodic polls, so that ten thousand of
    /// them cause no burst of requests.
    fn enqueue(&self, workers: &Workers) {
        if self.gone {
            workers.close(&self.connection);
        }
        workers.switches.limits_changed(&self.connection);
        if self.whole || self.claims {
            // Who acts for a tenant depends on the connections of all objects that share it.
            for key in workers.context.index.sharing_with(&self.connection) {
                workers.queue.push(&key, QueuePriority::Background, ReconcileRequest::default());
            }
        }
        if self.whole {
            for key in workers.context.index.of_connection(&self.connection) {
                workers.requeue_soon(&key, &self.connection);
            }
        } else {
            for key in workers.context.index.in_trouble_with(&self.connection) {
                workers.queue.push(&key, QueuePriority::Background, ReconcileRequest::default());
            }
        }
    }
}

/// The queues of connections: each holds those of one namespace, or all.
#[derive(Default)]
pub(in crate::controller) struct ConnectionQueues(
    Vec<(Option<String>, mpsc::UnboundedSender<ConnectionRef>)>,
);

type ConnectionRef = ObjectRef<Guarded<PlatformConnection>>;

impl ConnectionQueues {
    /// Adds a queue, and returns what it receives.
    pub(in crate::controller) fn add(
        &mut self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = ConnectionRef> + Send + 'static {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.push((namespace.map(str::to_owned), sender));
        stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|connection| (connection, receiver))
        })
    }

    fn send(&self, connection: &Key) {
        for (namespace, queue) in &self.0 {
            if namespace.as_deref().is_none_or(|of| of == connection.namespace()) {
                // The send fails only if the queue has ended.
                let _ = queue.send(ObjectRef::new(connection.name()).within(connection.namespace()));
            }
        }
    }
}

/// Forwards connections to their queues: unhealthy ones, those whose counters are due, and those that a new leader
/// checks.
pub(in crate::controller) async fn forward_connections(
    mut unhealthy: mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>,
    counters: impl Stream<Item = Key>,
    mut to_be_checked: mpsc::UnboundedReceiver<Key>,
    queues: ConnectionQueues,
) {
    let mut counters = std::pin::pin!(counters);
    loop {
        tokio::select! {
            Some(connection) = unhealthy.recv() => {
                queues.send(&Key::new(connection.namespace.as_deref().unwrap_or_default(), &connection.name));
            }
            Some(connection) = counters.next() => queues.send(&connection),
            Some(connection) = to_be_checked.recv() => queues.send(&connection),
            else => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{pricing::Context, testing::fixtures::Scene};

    /// How long the changes may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// More changes are pending than are kept.
    #[tokio::test]
    async fn a_deletion_that_is_lost_in_a_burst_triggers_its_objects() {
        let (triggers, workers) = (Triggers::new(), Workers::new(Context::silent()));
        let object = Scene::new().object;
        let _affected = workers.context.index.apply(&Key::of(&object), &object);
        let changes = triggers.sender.subscribe();
        triggers.gone(&object.connection_key());
        for number in 0..=MAX_PENDING_CHANGES {
            triggers.gone(&Key::new("elsewhere", &format!("connection-{number}")));
        }
        assert_eq!(workers.queue.depth(QueuePriority::Background), 0);
        tokio::spawn(triggers.clone().enqueue_on(changes, workers.clone()));
        let all_handled = async {
            while workers.queue.depth(QueuePriority::Background) == 0 || !triggers.gone.lock().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all_handled).await.expect("the object is enqueued");
    }

    #[tokio::test]
    async fn no_deletion_is_kept_that_awaits_no_one() {
        let triggers = Triggers::new();
        triggers.gone(&Key::new("team", "connection"));
        assert!(triggers.gone.lock().is_empty(), "a standby keeps nothing");
    }
}
