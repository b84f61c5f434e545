//! The `TenantPricing`s as the watches show them.

use std::{collections::HashMap, sync::Arc};

use kube::Resource;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{TrimmedTenantPricing, fingerprint::fingerprint, packed::Packed};
use crate::{api::TenantPricing, cluster::Key};

/// All cached `TenantPricing`s. Cheap to clone; clones share everything.
///
/// Each object is kept as compressed JSON, and parsed when it is reconciled. Ten thousand parsed objects would take ten
/// times the memory, and only a handful is reconciled at any time.
#[derive(Clone, Default)]
pub struct ObjectCache {
    serialized: Arc<RwLock<HashMap<Key, Serialized>>>,
}

struct Serialized {
    /// A reconcile is due when this changes.
    fingerprint: u64,
    /// A digest of the annotation's value, if the value is ignored.
    ignored: Option<u64>,
    /// `None` for an object that cannot be read.
    object: Option<Packed>,
}

/// What a list or a watch changed in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// The key of the object. It is the same allocation for every event of the object.
    pub key: Key,
    /// The object is new, or it asks for something else: its spec changed, it requests a reconcile, or it has become
    /// readable. False if only its status was written.
    pub spec_changed: bool,
    /// The annotation `tenantpricing.io/reconcile-now` has a new value that is too long to count.
    pub ignores_new_value: bool,
    /// The previous state of the object, if it differs and can be read.
    pub before: Option<Before>,
}

/// The previous state of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before(Packed);

impl Before {
    /// Parses the object.
    #[must_use]
    pub fn read(&self) -> Option<TenantPricing> {
        self.0.read()
    }
}

impl ObjectCache {
    /// Stores an object as the watch shows it now.
    pub fn upsert(&self, listed: &TrimmedTenantPricing) -> Upserted {
        let fingerprint = fingerprint(listed.meta(), listed.object.is_ok());
        let object = listed.object.as_ref().ok().and_then(Packed::of);
        let ignored = listed.ignored;
        let key = Key::of(listed);
        let mut serialized = self.write();
        // Index, queue and schedule keep the key too. Each event has a copy of its own, and all but one must go.
        let key = serialized.get_key_value(&key).map_or(key, |(known, _)| known.clone());
        let before = serialized.insert(key.clone(), Serialized { fingerprint, ignored, object });
        let spec_changed = before.as_ref().is_none_or(|before| before.fingerprint != fingerprint);
        let ignores_new_value =
            ignored.is_some() && before.as_ref().and_then(|before| before.ignored) != ignored;
        let now = serialized.get(&key).and_then(|now| now.object.as_ref());
        let before = before.and_then(|before| before.object).filter(|before| Some(before) != now);
        Upserted { key, spec_changed, ignores_new_value, before: before.map(Before) }
    }

    /// Drops an object that is gone. Returns false if it was not known.
    #[allow(clippy::must_use_candidate)] // most do not ask
    pub fn drop(&self, key: &Key) -> bool {
        self.write().remove(key).is_some()
    }

    /// The object, if it exists and can be read.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<TenantPricing> {
        self.read().get(key)?.object.as_ref()?.read()
    }

    /// Whether the object exists and cannot be read.
    #[must_use]
    pub fn is_unreadable(&self, key: &Key) -> bool {
        self.read().get(key).is_some_and(|serialized| serialized.object.is_none())
    }

    /// The keys of all objects of a namespace, or of all namespaces. Objects that cannot be read are among them.
    #[must_use]
    pub fn keys(&self, namespace: Option<&str>) -> Vec<Key> {
        let serialized = self.read();
        let within = |key: &&Key| namespace.is_none_or(|namespace| key.namespace() == namespace);
        serialized.keys().filter(within).cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Key, Serialized>> {
        // The map is valid between any two statements, so a panic under the lock loses nothing.
        self.serialized.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Key, Serialized>> {
        self.serialized.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::RECONCILE_NOW, cluster::Unreadable, testing::fixtures::Scene};

    fn listed(object: TenantPricing) -> TrimmedTenantPricing {
        TrimmedTenantPricing { object: Ok(object), ignored: None }
    }

    #[test]
    fn what_is_kept_comes_back_whole() {
        let objects = ObjectCache::default();
        let object = Scene::new().journaled(crate::api::Phase::Scheduled).object;
        let key = Key::of(&object);
        assert!(objects.upsert(&listed(object.clone())).spec_changed);
        assert_eq!(objects.get(&key), Some(object));
        assert_eq!(objects.keys(None), std::slice::from_ref(&key));
        assert_eq!(objects.keys(Some("elsewhere")), []);
        assert!(objects.drop(&key) && !objects.drop(&key));
        assert_eq!(objects.get(&key), None);
    }

    #[test]
    fn all_events_of_an_object_yield_one_shared_key() {
        let objects = ObjectCache::default();
        let event = || objects.upsert(&listed(Scene::new().object)).key;
        let (first, second) = (event(), event());
        assert_eq!(first.as_str().as_ptr(), second.as_str().as_ptr(), "the key is not copied");
        assert!(objects.keys(None).iter().all(|kept| kept.as_str().as_ptr() == first.as_str().as_ptr()));
    }

    #[test]
    fn only_a_status_change_triggers_nothing() {
        let objects = ObjectCache::default();
        let mut object = Scene::new().object;
        let key = Key::of(&object);
        let keep = |object: &TenantPricing| objects.upsert(&listed(object.clone())).spec_changed;
        assert!(keep(&object));
        assert!(!keep(&object));
        object.status = Scene::new().journaled(crate::api::Phase::Scheduled).object.status;
        object.metadata.resource_version = Some("next".into());
        assert!(!keep(&object), "a status was written");
        object.metadata.generation = Some(17);
        assert!(keep(&object), "the spec changed");
        object.metadata.annotations = Some([(RECONCILE_NOW.to_owned(), "now".to_owned())].into());
        assert!(keep(&object), "it is to be reconciled now");
        object.metadata.uid = Some("another".into());
        assert!(keep(&object), "it was created again");
        object.metadata.annotations = Some([(RECONCILE_NOW.to_owned(), "x".repeat(64))].into());
        assert!(keep(&object), "the value that counted is gone");
        object.metadata.annotations = None;
        assert!(!keep(&object), "a value that is too long asksfor nothing");
        let unreadable = Unreadable {
            metadata: object.metadata.clone(),
            error: String::new(),
            rest: Box::new(object.clone()),
        };
        assert!(
            objects.upsert(&TrimmedTenantPricing { object: Err(unreadable), ignored: None }).spec_changed
        );
        assert_eq!(objects.get(&key), None, "it cannot be read");
        assert!(objects.upsert(&listed(object)).spec_changed, "it can be read again");
    }
}
