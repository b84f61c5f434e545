//! The watches: what is cached of each object, and which changes call for a pass.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt, reflector,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;

use super::{listed::whole_lists, progress::Progress, wake::Wakes};
use crate::{
    api::{PlatformConnection, RECONCILE_NOW},
    cluster::{Cache, Key, Listed},
    connections::ConnectionContext,
};

/// An object that may turn out not to be readable, and then is in nobody's way.
pub(super) type Guarded<K> = DeserializeGuard<K>;

/// A watch of one kind.
pub(super) struct Watched<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    pub cache: Cache<K>,
    /// The objects that a pass is due for.
    pub stream: BoxStream<'static, Result<Guarded<K>, watcher::Error>>,
}

/// So many objects are listed at a time. A page is in memory as text and as objects at once.
const PAGE: u32 = 250;

/// Watches the `TenantPricing`s of one namespace, or of all, as far as `labels` selects them.
///
/// One that is no longer selected goes as one that is deleted does: nothing more is done about it.
pub(super) fn pricings(
    client: &Client,
    namespace: Option<&str>,
    labels: Option<&str>,
) -> impl Stream<Item = Result<Event<Listed>, watcher::Error>> + Send + use<> {
    let api: Api<Listed> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let labels = labels.map(str::to_owned);
    let config =
        watcher::Config { label_selector: labels, page_size: Some(PAGE), ..watcher::Config::default() };
    watcher::watcher(api, config).default_backoff()
}

/// Watches the `PlatformConnection`s of one namespace, or of all. A pass is due for one that is new or whose
/// spec changed; the objects of one that changed are woken.
pub(super) fn connections(
    client: &Client,
    namespace: Option<&str>,
    context: Arc<ConnectionContext>,
    wakes: Wakes,
) -> Watched<PlatformConnection> {
    let mut progress = Progress::of::<PlatformConnection>(
        namespace,
        "none of them is tried out; each is read when it is used",
    );
    let (store, writer) = reflector::store();
    let cache = Cache { namespace: namespace.map(str::to_owned), store, filling: progress.filling() };
    let shown = events(api::<PlatformConnection>(client, namespace))
        .reflect(writer)
        .inspect(move |event| progress.heed(event));
    let mut is_first_list = true;
    let mut listed = HashSet::new();
    let watched = cache.namespace.clone();
    let statuses = context.clone();
    let note = {
        let context = context.clone();
        move |object: &Guarded<PlatformConnection>| note_status(object, &context)
    };
    let stream = whole_lists(shown)
        .inspect(move |event| match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                note(object);
                listed.insert(Key::of(object));
                if is_first_list {
                    // The first pass of every object waits for the first list.
                    drop(wakes.remember(object));
                } else {
                    wakes.changed(object);
                }
            }
            Ok(Event::InitDone) => {
                is_first_list = false;
                // Deleted while nobody watched.
                for key in wakes.missing(watched.as_deref(), &listed) {
                    context.forget(&key);
                    wakes.gone(&key);
                }
            }
            Ok(Event::Apply(object)) => {
                note(object);
                wakes.changed(object);
            }
            Ok(Event::Delete(object)) => {
                context.forget(&Key::of(object));
                wakes.gone(&Key::of(object));
            }
            // But not for more than one try at the first list.
            Err(_) => is_first_list = false,
        })
        .applied_objects()
        .predicate_filter(
            move |object: &Guarded<PlatformConnection>| {
                Some(asks(object, statuses.statuses.foreign(&Key::of(object))))
            },
            kube::runtime::PredicateConfig::default(),
        )
        .boxed();
    Watched { cache, stream }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<Guarded<K>>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn events<K>(
    api: Api<Guarded<K>>,
) -> impl futures::Stream<Item = Result<Event<Guarded<K>>, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    watcher::watcher(api, watcher::Config::default()).default_backoff().modify(|object| {
        // Who owns which field is read from the API server when it matters; here it would only fill memory. So would
        // what others note on the object.
        let meta = object.meta_mut();
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.retain(|key, value| key == RECONCILE_NOW && value.len() <= LONGEST_ANNOTATION);
        }
    })
}

/// The longest value of the annotation that is kept.
const LONGEST_ANNOTATION: usize = 63;

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
fn asks<K>(object: &Guarded<K>, foreign: u64) -> u64
where
    K: Resource<DynamicType = ()>,
{
    let mut hasher = DefaultHasher::new();
    let meta = object.meta();
    meta.generation.hash(&mut hasher);
    meta.annotations.as_ref().and_then(|annotations| annotations.get(RECONCILE_NOW)).hash(&mut hasher);
    // An object that could not be read and now can, by a repaired status.
    object.0.is_ok().hash(&mut hasher);
    foreign.hash(&mut hasher);
    hasher.finish()
}
