//! Distinguishes the changes of an object that need a reconcile from those of its status alone.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::reconcile_now;

/// A digest of an object. A reconcile is due when it changes: the spec was edited, or a user asked for a reconcile. It
/// also changes when the object was created again under the same name, or became readable.
pub(crate) fn fingerprint(meta: &ObjectMeta, is_readable: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    meta.uid.hash(&mut hasher);
    meta.generation.hash(&mut hasher);
    reconcile_now(meta).hash(&mut hasher);
    // A repaired status can make an object readable.
    is_readable.hash(&mut hasher);
    hasher.finish()
}
