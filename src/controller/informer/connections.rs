//! The watches: what is cached of each object, and which changes call for a pass.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures::{Stream, StreamExt, stream::BoxStream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Client, Resource,
    runtime::{
        WatchStreamExt, reflector,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch as channel, time::Instant};

use super::{Guarded, triggers::Triggers};
use crate::{
    api::{PlatformConnection, RECONCILE_NOW, is_short, reconcile_now},
    cluster::{Cache, Collection, Interrupted, Key, SyncTracker, Watcher, deliver_after_list},
    connections::ConnectionContext,
};

/// A watch of one kind.
pub(in crate::controller) struct Watched<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    pub cache: Cache<K>,
    /// Since when the watch is interrupted.
    pub interrupted: Interrupted,
    /// The objects that a pass is due for.
    pub stream: BoxStream<'static, Result<Guarded<K>, watcher::Error>>,
}

/// Watches the `PlatformConnection`s of one namespace, or of all. A pass is due for one that is new or whose
/// spec changed; the objects of one that changed are enqueued.
pub(in crate::controller) fn watch(
    client: &Client,
    namespace: Option<&str>,
    context: Arc<ConnectionContext>,
    triggers: Triggers,
) -> Watched<PlatformConnection> {
    let mut tracker = SyncTracker::of::<PlatformConnection>(
        namespace,
        "none of them is tried out; each is read when it is used",
    );
    let interrupted = tracker.interruption();
    let (store, writer) = reflector::store();
    let cache = Cache { namespace: namespace.map(str::to_owned), store, sync_state: tracker.sync_state() };
    let shown = events::<PlatformConnection>(client, namespace, tracker.interrupted())
        .reflect(writer)
        .inspect(move |event| tracker.on_event(event));
    let mut is_first_list = true;
    let mut listed = HashSet::new();
    let watched = cache.namespace.clone();
    let statuses = context.clone();
    let note = {
        let context = context.clone();
        move |object: &Guarded<PlatformConnection>| {
            // The emergency stop waits for no reconcile: one may be waiting for the platform.
            if let Ok(connection) = &object.0 {
                context.registry.revise(connection);
            }
            note_status(object, &context);
        }
    };
    let stream = deliver_after_list(shown)
        .inspect(move |event| match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                note(object);
                listed.insert(Key::of(object));
                if is_first_list {
                    // The first pass of every object waits for the first list.
                    drop(triggers.remember(object));
                } else {
                    triggers.changed(object);
                }
            }
            Ok(Event::InitDone) => {
                is_first_list = false;
                // Deleted while nobody watched.
                for key in triggers.missing(watched.as_deref(), &listed) {
                    context.forget(&key);
                    triggers.gone(&key);
                }
            }
            Ok(Event::Apply(object)) => {
                note(object);
                triggers.changed(object);
            }
            Ok(Event::Delete(object)) => {
                context.forget(&Key::of(object));
                triggers.gone(&Key::of(object));
            }
            // But not for more than one try at the first list.
            Err(_) => is_first_list = false,
        })
        .applied_objects()
        .predicate_filter(
            move |object: &Guarded<PlatformConnection>| {
                Some(fingerprint(object, statuses.statuses.foreign(&Key::of(object))))
            },
            kube::runtime::PredicateConfig::default(),
        )
        .boxed();
    Watched { cache, interrupted, stream }
}

fn events<K>(
    client: &Client,
    namespace: Option<&str>,
    interrupted: channel::Sender<Option<Instant>>,
) -> impl Stream<Item = Result<Event<Guarded<K>>, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let objects = Collection::<Guarded<K>>::new(client.clone(), namespace);
    Watcher::new(objects).tell(interrupted).events().modify(|object| reduce(object.meta_mut()))
}

/// Leaves of the metadata what is needed. The rest would only fill memory, and anyone who may write objects decides
/// how much.
fn reduce(meta: &mut ObjectMeta) {
    // Who owns which field is read from the API server when it revision.
    meta.managed_fields = None;
    meta.labels = None;
    meta.owner_references = None;
    meta.finalizers = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, value| key == RECONCILE_NOW && is_short(value));
    }
}

/// Notes whose status a connection shows. One that others wrote is mended.
fn note_status(object: &Guarded<PlatformConnection>, context: &ConnectionContext) {
    let Ok(connection) = &object.0 else { return };
    if context.statuses.shown(connection, context.leads.now()) {
        tracing::warn!(
            namespace = connection.metadata.namespace,
            name = connection.metadata.name,
            "another manager wrote the status of a connection; the controller restores it"
        );
        context.counters.changed(&Key::of(connection));
    }
}

/// What calls for a pass when it changes.
fn fingerprint<K>(object: &Guarded<K>, foreign: u64) -> u64
where
    K: Resource<DynamicType = ()>,
{
    let mut hasher = DefaultHasher::new();
    let meta = object.meta();
    meta.generation.hash(&mut hasher);
    reconcile_now(meta).hash(&mut hasher);
    // An object that could not be read and now can, by a repaired status.
    object.0.is_ok().hash(&mut hasher);
    foreign.hash(&mut hasher);
    hasher.finish()
}
