//! The caches of one kind, one for each watched namespace.

use std::{fmt::Debug, hash::Hash, sync::Arc};

use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::{sync::watch, time::Instant};

use crate::cluster::Key;

/// The caches of one kind, one for each namespace that is watched, or a single one for all of them.
///
/// An object that cannot be read (written by a newer version, say) is cached as unreadable, and does not block others.
#[derive(Clone)]
pub struct Caches<K>(Vec<Cache<K>>)
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq;

/// One cache and its sync state.
#[derive(Clone)]
pub struct Cache<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    /// The namespace that the cache covers; `None` means all.
    pub namespace: Option<String>,
    /// The cached objects.
    pub store: Store<DeserializeGuard<K>>,
    /// The sync state of the cache.
    ///
    /// The store's own `wait_until_ready` keeps the waker of one waiter only. Of several waiting tasks, all but the
    /// last would wait for ever.
    pub sync_state: watch::Receiver<SyncState>,
}

/// When the last complete list of each cache of one kind began; `None` before the first.
#[derive(Clone, Debug, Default)]
pub struct Synced(Vec<watch::Receiver<Option<Instant>>>);

impl Synced {
    /// The start times from these channels, one for each cache.
    #[must_use]
    pub fn new(caches: Vec<watch::Receiver<Option<Instant>>>) -> Self {
        Self(caches)
    }

    /// Whether every cache is synced. Only then does an object that is in none of them not exist.
    #[must_use]
    pub fn has_synced(&self) -> bool {
        self.0.iter().all(|begun| begun.borrow().is_some())
    }

    /// Whether a list that began at this time or later has filled every cache. A watch can lag by minutes without a
    /// sign of it; a list shows all that was stored before it began.
    #[must_use]
    pub fn has_synced_since(&self, time: Instant) -> bool {
        self.0.iter().all(|begun| begun.borrow().is_some_and(|begun| begun >= time))
    }
}

/// The sync state of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncState {
    /// The first list is in progress.
    #[default]
    Pending,
    /// The first list failed. What the cache lacks may exist. The watch retries it.
    Failed,
    /// The API server refuses the first list, because a right is missing. The watch retries it.
    Forbidden,
    /// A list has filled the cache. It stays usable from then on.
    Synced,
}

impl<K> Caches<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// The caches of these namespaces.
    #[must_use]
    pub fn new(caches: Vec<Cache<K>>) -> Self {
        Self(caches)
    }

    /// Waits until the cache of a namespace is synced or has failed. Returns at once if the namespace is not watched.
    pub async fn wait_synced(&self, namespace: &str) {
        let covers = |cache: &&Cache<K>| cache.namespace.as_deref().is_none_or(|of| of == namespace);
        for cache in self.0.iter().filter(covers) {
            // The wait fails only when the watch is gone for good. That ends the program elsewhere.
            let _ = cache.sync_state.clone().wait_for(|sync_state| *sync_state != SyncState::Pending).await;
        }
    }

    /// Whether every cache is synced, or may not be. A list that failed for another reason may still show an object.
    #[must_use]
    pub fn are_listed_or_forbidden(&self) -> bool {
        let is_final =
            |cache: &Cache<K>| matches!(*cache.sync_state.borrow(), SyncState::Synced | SyncState::Forbidden);
        self.0.iter().all(is_final)
    }

    /// Whether a namespace is watched. Then an object of it that is not cached does not exist.
    #[must_use]
    pub fn are_watched(&self, namespace: &str) -> bool {
        let covers = |cache: &Cache<K>| cache.namespace.as_deref().is_none_or(|of| of == namespace);
        self.0.iter().any(|cache| covers(cache) && *cache.sync_state.borrow() == SyncState::Synced)
    }

    /// The object of this name, if it is cached and can be read.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<K>>> {
        self.cached(namespace, name).filter(|object| object.0.is_ok())
    }

    /// A copy of the cached object of this name.
    ///
    /// # Errors
    /// Why the cached object cannot be read.
    #[must_use]
    pub fn get_copy(&self, namespace: &str, name: &str) -> Option<Result<K, String>> {
        let cached = self.cached(namespace, name)?;
        Some(cached.0.as_ref().cloned().map_err(|invalid| invalid.error.clone()))
    }

    /// The keys of the cached objects that cannot be read.
    #[must_use]
    pub fn unreadable_keys(&self) -> Vec<Key> {
        let all = self.0.iter().flat_map(|cache| cache.store.state());
        all.filter(|object| object.0.is_err()).map(|object| Key::of(&*object)).collect()
    }

    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<K>>> {
        let key = ObjectRef::<DeserializeGuard<K>>::new(name).within(namespace);
        self.0.iter().find_map(|cache| cache.store.get(&key))
    }

    /// Hands all readable objects to `keep` one by one, and collects what it returns.
    pub fn collect<T>(&self, mut keep: impl FnMut(&K) -> Option<T>) -> Vec<T> {
        let all = self.0.iter().flat_map(|cache| cache.store.state());
        all.filter_map(|object| keep(object.0.as_ref().ok()?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::{reflector, watcher::Event};

    use super::*;

    struct Filler {
        writer: reflector::store::Writer<DeserializeGuard<ConfigMap>>,
        sync_state: watch::Sender<SyncState>,
    }

    fn cache(namespace: Option<&str>) -> (Filler, Cache<ConfigMap>) {
        let ((store, writer), (sync_state, receiver)) =
            (reflector::store(), watch::channel(SyncState::Pending));
        let cache = Cache { namespace: namespace.map(str::to_owned), store, sync_state: receiver };
        (Filler { writer, sync_state }, cache)
    }

    #[test]
    fn a_list_that_failed_may_still_show_an_object() {
        let ((here, first), (there, second)) = (cache(Some("here")), cache(Some("there")));
        let stores = Caches::new(vec![first, second]);
        there.sync_state.send_replace(SyncState::Synced);
        for (state, is_final) in [
            (SyncState::Pending, false),
            (SyncState::Failed, false),
            (SyncState::Forbidden, true),
            (SyncState::Synced, true),
        ] {
            here.sync_state.send_replace(state);
            assert_eq!(stores.are_listed_or_forbidden(), is_final, "{state:?}");
        }
    }

    #[test]
    fn the_wait_is_for_one_cache_and_ends_when_that_has_failed() {
        let ((here, first), (_there, second)) = (cache(Some("here")), cache(Some("there")));
        let stores = Caches::new(vec![first, second]);
        let settled = |namespace| stores.wait_synced(namespace).now_or_never().is_some();
        assert!(!settled("here") && !settled("there"));
        assert!(settled("elsewhere"), "what is not watched is not waited for");
        here.sync_state.send_replace(SyncState::Failed);
        assert!(settled("here") && !settled("there"));
        here.sync_state.send_replace(SyncState::Forbidden);
        assert!(settled("here") && !settled("there"));
        here.sync_state.send_replace(SyncState::Synced);
        assert!(settled("here") && !settled("there"));
        let (_filler, all) = cache(None);
        assert!(Caches::new(vec![all]).wait_synced("here").now_or_never().is_none());
    }

    #[test]
    fn all_caches_are_synced_since_the_start_of_the_oldest_list() {
        let (here, there) = (watch::Sender::new(None), watch::Sender::new(None));
        let synced = Synced::new(vec![here.subscribe(), there.subscribe()]);
        let early = Instant::now();
        let later = early + std::time::Duration::from_secs(1);
        here.send_replace(Some(later));
        assert!(!synced.has_synced(), "what cannot be read may hold anything");
        there.send_replace(Some(early));
        assert!(synced.has_synced() && synced.has_synced_since(early) && !synced.has_synced_since(later));
        there.send_replace(Some(later));
        assert!(synced.has_synced_since(later));
    }

    #[test]
    fn an_object_is_found_in_any_cache() {
        let ((_here, first), (mut there, second)) = (cache(Some("here")), cache(Some("there")));
        let mut object = ConfigMap::default();
        object.metadata.name = Some("one".into());
        object.metadata.namespace = Some("there".into());
        there.writer.apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(object))));
        let stores = Caches::new(vec![first, second]);
        assert!(stores.get("there", "one").is_some());
        assert!(stores.get("there", "two").is_none());
    }

    #[test]
    fn an_object_that_cannot_be_read_is_known_by_its_key() {
        let (mut filler, cache) = cache(None);
        let object = serde_json::json!({"metadata": {"namespace": "team", "name": "broken"}, "data": 1});
        filler.writer.apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
        let stores = Caches::new(vec![cache]);
        assert_eq!(stores.unreadable_keys(), [Key::new("team", "broken")]);
        assert!(stores.get("team", "broken").is_none());
    }
}
