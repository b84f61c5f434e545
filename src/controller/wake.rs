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
    api::{ConditionType, PlatformConnection, TenantPricing},
    cluster::Stores,
    pricing::{conditions, connection_of},
};

/// So many changes of connections may wait for the queue. If there are more, all objects are woken.
const WAITING: usize = 256;

/// Tells the queues of objects which connections changed. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wakes {
    sender: broadcast::Sender<Change>,
    known: Arc<Mutex<HashMap<Connection, Matters>>>,
}

/// Namespace and name.
pub(super) type Connection = (String, String);

/// What changed of a connection.
#[derive(Clone, Debug)]
struct Change {
    connection: Connection,
    /// Its spec, or its being there: that matters to all its objects. Otherwise only whether it works: that
    /// matters to those that say it does not, and to those that nobody has looked at yet.
    whole: bool,
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
            let _ = self.sender.send(Change { connection: key(object), whole });
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
        let before = known.insert(key(object), matters.clone());
        (Some(matters), before)
    }

    /// A connection is gone.
    pub(super) fn gone(&self, object: &Guarded<PlatformConnection>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(object));
        let _ = self.sender.send(Change { connection: key(object), whole: true });
    }

    /// The objects to be woken, as they come.
    pub(super) fn objects(
        &self,
        pricings: Stores<TenantPricing>,
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
                let concerned = change.as_ref().is_none_or(|change| change.concerns(object));
                concerned.then(|| {
                    ObjectRef::new(&object.name_any()).within(&object.namespace().unwrap_or_default())
                })
            });
            stream::iter(woken)
        })
    }
}

impl Change {
    fn concerns(&self, object: &TenantPricing) -> bool {
        let (namespace, name) = connection_of(object);
        let (of, is) = &self.connection;
        *of == namespace
            && is == name
            && (self.whole
                || object.status.as_ref().is_none_or(|status| {
                    status.conditions.is_empty() || conditions::speaks_of_the_connection(&status.conditions)
                }))
    }
}

/// Passes connections in trouble on to every queue.
pub(super) async fn pass_on(
    mut troubled: mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>,
    queues: broadcast::Sender<Connection>,
) {
    while let Some(connection) = troubled.recv().await {
        let _ = queues.send((connection.namespace.unwrap_or_default(), connection.name));
    }
}

/// The connections in trouble, as one queue hears of them.
pub(super) fn received(
    receiver: broadcast::Receiver<Connection>,
) -> impl Stream<Item = ObjectRef<Guarded<PlatformConnection>>> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok((namespace, name)) => return Some((ObjectRef::new(&name).within(&namespace), receiver)),
                // What was missed is tried again when the next of its objects fails.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

fn key(object: &Guarded<PlatformConnection>) -> Connection {
    (object.namespace().unwrap_or_default(), object.name_any())
}
