//! The watches of connections: what is cached of each object, and which changes trigger a reconcile.

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
    api::{PlatformConnection, RECONCILE_NOW, is_short},
    cluster::{Cache, Collection, Interrupted, Key, SyncTracker, Watcher, deliver_after_list, fingerprint},
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
    /// The objects whose reconcile is due.
    pub stream: BoxStream<'static, Result<Guarded<K>, watcher::Error>>,
}

/// Watches the `PlatformConnection`s of one namespace, or of all. A new connection or a changed spec triggers its
/// reconcile. A change also enqueues its objects.
pub(in crate::controller) fn watch(
    client: &Client,
    namespace: Option<&str>,
    context: Arc<ConnectionContext>,
    triggers: Triggers,
) -> Watched<PlatformConnection> {
    let mut tracker = SyncTracker::of::<PlatformConnection>(
        namespace,
        "none of them is checked, and each is read when it is used. Unless a right is missing, no switch begins",
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
    let record = {
        let context = context.clone();
        move |object: &Guarded<PlatformConnection>| {
            // The emergency stop must not wait for a reconcile, which may itself be waiting for the platform. What
            // cannot be read may be one.
            match &object.0 {
                Ok(connection) => context.registry.revise(connection),
                Err(_) => context.forget(&Key::of(object)),
            }
            record_status(object, &context);
        }
    };
    let stream = deliver_after_list(shown)
        .inspect(move |event| match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                record(object);
                listed.insert(Key::of(object));
                if is_first_list {
                    // The first reconcile of every object waits for the first list.
                    drop(triggers.remember(object));
                } else {
                    triggers.changed(object);
                }
            }
            Ok(Event::InitDone) => {
                is_first_list = false;
                // Deleted while the watch was interrupted.
                for key in triggers.missing(watched.as_deref(), &listed) {
                    context.forget(&key);
                    triggers.gone(&key);
                }
            }
            Ok(Event::Apply(object)) => {
                record(object);
                triggers.changed(object);
            }
            Ok(Event::Delete(object)) => {
                context.forget(&Key::of(object));
                triggers.gone(&Key::of(object));
            }
            // Wait for only one attempt at the first list.
            Err(_) => is_first_list = false,
        })
        .applied_objects()
        .predicate_filter(
            move |object: &Guarded<PlatformConnection>| {
                let foreign = statuses.statuses.foreign(&Key::of(object));
                let mut hasher = DefaultHasher::new();
                (fingerprint(object.meta(), object.0.is_ok()), foreign).hash(&mut hasher);
                Some(hasher.finish())
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
    Watcher::new(objects).notify(interrupted).events().modify(|object| reduce(object.meta_mut()))
}

/// Removes metadata that is not needed. It would only take memory, and anyone who may write objects decides how much.
fn reduce(meta: &mut ObjectMeta) {
    // Field ownership is read from the API server when it matters.
    meta.managed_fields = None;
    meta.labels = None;
    meta.owner_references = None;
    meta.finalizers = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, value| key == RECONCILE_NOW && is_short(value));
    }
}

/// Records whose status a connection shows. A foreign status is overwritten.
fn record_status(object: &Guarded<PlatformConnection>, context: &ConnectionContext) {
    let Ok(connection) = &object.0 else { return };
    if context.statuses.observe(connection, context.leads.is_leading()) {
        tracing::warn!(
            namespace = connection.metadata.namespace,
            name = connection.metadata.name,
            "another manager wrote the status of a connection; the controller restores it"
        );
        context.tenant_counts.changed(&Key::of(connection));
    }
}
