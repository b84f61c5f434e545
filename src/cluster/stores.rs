//! What is cached of the cluster.

use std::{fmt::Debug, hash::Hash, sync::Arc};

use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::watch;

/// The caches of one kind, one for each namespace that is watched, or a single one for all of them.
///
/// An object that cannot be read (written by a newer version, say) is cached as such, and is in nobody's way.
#[derive(Clone)]
pub struct Stores<K>(Vec<(Store<DeserializeGuard<K>>, Filled)>)
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq;

/// Turns true when a cache has been filled once.
///
/// The store's own `wait_until_ready` keeps the waker of one waiter only: of several tasks that wait, all but
/// the last would wait for ever.
pub type Filled = watch::Receiver<bool>;

impl<K> Stores<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// These caches, each with the signal that it has been filled.
    #[must_use]
    pub fn new(stores: Vec<(Store<DeserializeGuard<K>>, Filled)>) -> Self {
        Self(stores)
    }

    /// Waits until every cache has been filled once.
    pub async fn filled(&self) {
        for (_, filled) in &self.0 {
            // It fails only when the watch is gone for good, which ends the program elsewhere.
            let _ = filled.clone().wait_for(|filled| *filled).await;
        }
    }

    /// The object of this name, if it is cached and can be read.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<K>>> {
        let key = ObjectRef::<DeserializeGuard<K>>::new(name).within(namespace);
        self.0.iter().find_map(|(store, _)| store.get(&key)).filter(|object| object.0.is_ok())
    }

    /// All objects that can be read, handed to `keep` one by one; what it returns is collected.
    pub fn collect<T>(&self, mut keep: impl FnMut(&K) -> Option<T>) -> Vec<T> {
        let mut kept = Vec::new();
        for (store, _) in &self.0 {
            for object in store.state() {
                if let Ok(object) = &object.0 {
                    kept.extend(keep(object));
                }
            }
        }
        kept
    }
}
