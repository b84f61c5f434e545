//! Wakes the objects of a connection when something that matters to them changed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, stream};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};

use super::{queue::Lane, watch::Guarded, work::Shared};
use crate::{
    api::{ConditionType, PlatformConnection},
    cluster::Key,
    pricing::{Brought, index::Record},
};

/// So many changes of connections may wait for the queue. If there are more, all objects are woken.
const WAITING: usize = 256;

/// Tells the queues of objects which connections changed. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wakes {
    sender: broadcast::Sender<Change>,
    known: Arc<Mutex<HashMap<Key, Matters>>>,
}

/// What changed of a connection.
#[derive(Clone, Debug)]
struct Change {
    connection: Key,
    /// It is not there any more.
    gone: bool,
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
            let _ = self.sender.send(Change { connection: Key::of(object), gone: false, whole });
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
        let _ = self.sender.send(Change { connection: Key::of(object), gone: true, whole: true });
    }

    /// Wakes objects as connections change from now on, for good.
    pub(super) fn wake(self, shared: Arc<Shared>) -> impl Future<Output = ()> + Send {
        let changes = self.sender.subscribe();
        self.wake_by(changes, shared)
    }

    async fn wake_by(self, mut changes: broadcast::Receiver<Change>, shared: Arc<Shared>) {
        loop {
            match changes.recv().await {
                Ok(change) => change.wake(&shared),
                Err(RecvError::Lagged(_)) => {
                    for connection in self.connections() {
                        Change { connection, whole: true, gone: false }.wake(&shared);
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn connections(&self) -> Vec<Key> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl Change {
    /// Wakes the objects that it concerns: those that rest, one batch after another, as periodic looks are taken,
    /// so that ten thousand of them make no storm.
    fn wake(&self, shared: &Arc<Shared>) {
        if self.gone {
            shared.close(&self.connection);
        }
        shared.limits_changed(&self.connection);
        if self.whole {
            // Who acts for a tenant depends on where the connections of all who name it lead to.
            for key in shared.context.index.sharing_with(&self.connection) {
                shared.queue.push(&key, Lane::Bulk, Brought::default());
            }
        }
        for key in shared.context.index.of_connection(&self.connection, |record| self.concerns(record)) {
            if self.whole {
                shared.revisit(&key, &self.connection);
            } else {
                shared.queue.push(&key, Lane::Bulk, Brought::default());
            }
        }
    }

    fn concerns(&self, record: &Record) -> bool {
        self.whole || record.speaks_of_the_connection()
    }
}

/// Passes connections in trouble on to every queue.
pub(super) async fn pass_on(
    mut troubled: mpsc::UnboundedReceiver<ObjectRef<PlatformConnection>>,
    queues: broadcast::Sender<Key>,
) {
    while let Some(connection) = troubled.recv().await {
        let _ = queues.send(Key::new(connection.namespace.as_deref().unwrap_or_default(), &connection.name));
    }
}

/// The connections in trouble, as one queue hears of them.
pub(super) fn received(
    receiver: broadcast::Receiver<Key>,
) -> impl Stream<Item = ObjectRef<Guarded<PlatformConnection>>> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(key) => return Some((ObjectRef::new(key.name()).within(key.namespace()), receiver)),
                // What was missed is tried again when the next of its objects fails.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}
