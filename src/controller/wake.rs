//! Wakes the objects of a connection when something that matters to them changed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, StreamExt, stream};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};

use super::watch::Guarded;
use crate::{
    api::{ConditionType, NamespacesFrom, PlatformConnection, TenantPricing},
    cluster::{Key, Stores},
    pricing::{conditions, connection_of},
};

/// So many changes may wait for the queue. If there are more, all objects are woken.
const WAITING: usize = 256;

/// Tells the queues of objects what changed that matters to them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wakes {
    sender: broadcast::Sender<Change>,
    known: Arc<Mutex<HashMap<Key, Matters>>>,
}

/// What changed.
#[derive(Clone, Debug)]
enum Change {
    /// A connection. `whole`: its spec, or its being there: that matters to all its objects. Otherwise only
    /// whether it works: that matters to those that say it does not, and to those that nobody has looked at yet.
    Connection { key: Key, whole: bool },
    /// The labels of a namespace: that matters to its objects whose connection asks for them.
    Namespace(Arc<str>),
}

/// What matters to the objects of a connection: its spec, and whether it works.
pub(super) type Matters = (Option<String>, Option<i64>, Option<(String, String)>);

impl Wakes {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::Sender::new(WAITING), known: Arc::default() }
    }

    /// A connection was seen. Its objects are woken if something that matters to them is new.
    pub(super) fn changed(&self, object: &Guarded<PlatformConnection>) {
        let (Some(now), before) = self.remember(object) else { return };
        if before.as_ref() != Some(&now) {
            let whole = before.is_none_or(|before| (before.0, before.1) != (now.0, now.1));
            // It fails only when nobody listens.
            let _ = self.sender.send(Change::Connection { key: Key::of(object), whole });
        }
    }

    /// A connection was seen, and nobody needs to be woken. Returns what matters of it now and before.
    pub(super) fn remember(
        &self,
        object: &Guarded<PlatformConnection>,
    ) -> (Option<Matters>, Option<Matters>) {
        let Ok(connection) = &object.0 else { return (None, None) };
        let ready = connection.status.as_ref().and_then(|status| {
            let ready = ConditionType::Ready.as_str();
            let ready = status.conditions.iter().find(|condition| condition.type_ == ready)?;
            Some((ready.status.clone(), ready.reason.clone()))
        });
        let matters = (connection.uid(), connection.metadata.generation, ready);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(Key::of(object), matters.clone());
        (Some(matters), before)
    }

    /// A connection is gone.
    pub(super) fn gone(&self, object: &Guarded<PlatformConnection>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&Key::of(object));
        let _ = self.sender.send(Change::Connection { key: Key::of(object), whole: true });
    }

    /// The labels of a namespace changed.
    fn relabelled(&self, namespace: Arc<str>) {
        let _ = self.sender.send(Change::Namespace(namespace));
    }

    /// The objects to be woken, as they come.
    pub(super) fn objects(
        &self,
        pricings: Stores<TenantPricing>,
        connections: Stores<PlatformConnection>,
    ) -> impl Stream<Item = ObjectRef<Guarded<TenantPricing>>> + Send + 'static {
        let changes = stream::unfold(self.sender.subscribe(), |mut receiver| async move {
            match receiver.recv().await {
                Ok(change) => Some((Some(change), receiver)),
                Err(RecvError::Lagged(_)) => Some((None, receiver)),
                Err(RecvError::Closed) => None,
            }
        });
        changes.flat_map(move |change| {
            let woken = pricings.collect(|object| {
                let concerned = change.as_ref().is_none_or(|change| change.concerns(object, &connections));
                concerned.then(|| {
                    ObjectRef::new(&object.name_any()).within(&object.namespace().unwrap_or_default())
                })
            });
            stream::iter(woken)
        })
    }
}

impl Change {
    fn concerns(&self, object: &TenantPricing, connections: &Stores<PlatformConnection>) -> bool {
        let (namespace, name) = connection_of(object);
        match self {
            Self::Connection { key, whole } => {
                *key == Key::new(&namespace, name)
                    && (*whole
                        || object.status.as_ref().is_none_or(|status| {
                            status.conditions.is_empty()
                                || conditions::speaks_of_the_connection(&status.conditions)
                        }))
            }
            Self::Namespace(changed) => {
                let asks_for_labels = |connection: &Guarded<PlatformConnection>| {
                    connection.0.as_ref().is_ok_and(|connection| {
                        connection.spec.allowed_namespaces.from == NamespacesFrom::Selector
                    })
                };
                object.metadata.namespace.as_deref() == Some(changed)
                    && connections.get(&namespace, name).is_none_or(|connection| asks_for_labels(&connection))
            }
        }
    }
}

/// Passes on which namespaces changed.
pub(super) async fn pass_on_namespaces(mut changed: mpsc::UnboundedReceiver<Arc<str>>, wakes: Wakes) {
    while let Some(namespace) = changed.recv().await {
        wakes.relabelled(namespace);
    }
}

/// The queues of connections: each has those of one namespace, or all.
#[derive(Default)]
pub(super) struct ConnectionQueues(Vec<(Option<String>, mpsc::UnboundedSender<ConnectionRef>)>);

type ConnectionRef = ObjectRef<Guarded<PlatformConnection>>;

impl ConnectionQueues {
    /// What one queue receives.
    pub(super) fn add(
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
                // It fails only when the queue has ended.
                let _ = queue.send(ObjectRef::new(connection.name()).within(connection.namespace()));
            }
        }
    }
}

/// Passes connections in trouble, and those whose counters are to be written, on to their queues.
pub(super) async fn pass_on_connections(
    mut troubled: mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>,
    counters: impl Stream<Item = Key>,
    queues: ConnectionQueues,
) {
    let mut counters = std::pin::pin!(counters);
    loop {
        tokio::select! {
            Some(connection) = troubled.recv() => {
                queues.send(&Key::new(connection.namespace.as_deref().unwrap_or_default(), &connection.name));
            }
            Some(connection) = counters.next() => queues.send(&connection),
            else => return,
        }
    }
}
