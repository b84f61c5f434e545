//! The watches: what is cached of each object, and which changes call for a pass.

use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{listed::whole_lists, wake::Wakes};
use crate::{
    api::{PlatformConnection, RECONCILE_NOW, TenantPricing},
    cluster::Filled,
    connections::Registry,
    pricing::Memories,
};

/// An object that may turn out not to be readable, and then is in nobody's way.
pub(super) type Guarded<K> = DeserializeGuard<K>;

/// A watch of one kind.
pub(super) struct Watched<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    pub store: Store<Guarded<K>>,
    pub filled: Filled,
    /// The objects that a pass is due for.
    pub stream: BoxStream<'static, Result<Guarded<K>, watcher::Error>>,
}

impl<K> Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// The cache, and the signal that it has been filled.
    pub(super) fn cache(&self) -> (Store<Guarded<K>>, Filled) {
        (self.store.clone(), self.filled.clone())
    }
}

/// Watches the `TenantPricing`s of one namespace, or of all. A pass is due for one that is new, whose spec
/// changed, or that is asked to be looked at now; not for one whose status was written.
pub(super) fn pricings(
    client: &Client,
    namespace: Option<&str>,
    memories: Memories,
) -> Watched<TenantPricing> {
    let ((store, writer), (sender, filled)) = (reflector::store(), watch::channel(false));
    let shown = events(api::<TenantPricing>(client, namespace))
        .inspect(move |event| {
            if let Ok(Event::Delete(object)) = event {
                memories.forget(&object.uid().unwrap_or_default());
            }
        })
        .reflect(writer)
        .inspect(move |event| {
            if let Ok(Event::InitDone) = event {
                sender.send_replace(true);
            }
        });
    let stream = whole_lists(shown)
        .applied_objects()
        .predicate_filter(asks, kube::runtime::PredicateConfig::default())
        .boxed();
    Watched { store, filled, stream }
}

/// Watches the `PlatformConnection`s of one namespace, or of all. A pass is due for one that is new or whose
/// spec changed; the objects of one that changed are woken.
pub(super) fn connections(
    client: &Client,
    namespace: Option<&str>,
    registry: Registry,
    wakes: Wakes,
) -> Watched<PlatformConnection> {
    let ((store, writer), (sender, filled)) = (reflector::store(), watch::channel(false));
    let stream = whole_lists(events(api::<PlatformConnection>(client, namespace)).reflect(writer))
        .inspect(move |event| match event {
            // At the start every object gets a pass anyway.
            Ok(Event::InitApply(object)) if !*sender.borrow() => drop(wakes.remember(object)),
            Ok(Event::InitDone) => drop(sender.send_replace(true)),
            Ok(Event::Apply(object) | Event::InitApply(object)) => wakes.changed(object),
            Ok(Event::Delete(object)) => {
                registry.close(&object.namespace().unwrap_or_default(), &object.name_any());
                wakes.gone(object);
            }
            Ok(Event::Init) | Err(_) => {}
        })
        .applied_objects()
        .predicate_filter(asks, kube::runtime::PredicateConfig::default())
        .boxed();
    Watched { store, filled, stream }
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
    watcher::watcher(api, watcher::Config::default())
        .inspect(|event| {
            if let Err(error) = event {
                tracing::warn!(kind = %K::kind(&()), %error, "a watch was interrupted; it goes on by itself");
            }
        })
        .default_backoff()
        .modify(|object| {
            // Who owns which field is read from the API server when it matters; here it would only fill memory.
            object.meta_mut().managed_fields = None;
        })
}

/// What calls for a pass when it changes.
#[allow(clippy::unnecessary_wraps)] // the signature is that of a predicate
fn asks<K>(object: &Guarded<K>) -> Option<u64>
where
    K: Resource<DynamicType = ()>,
{
    let mut hasher = DefaultHasher::new();
    let meta = object.meta();
    meta.generation.hash(&mut hasher);
    meta.annotations.as_ref().and_then(|annotations| annotations.get(RECONCILE_NOW)).hash(&mut hasher);
    // An object that could not be read and now can, by a repaired status.
    object.0.is_ok().hash(&mut hasher);
    Some(hasher.finish())
}
