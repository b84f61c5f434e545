//! The informers: events of the watches update the caches and enqueue what they affect.

pub(super) mod connections;
pub(super) mod tenant_pricings;
pub(super) mod triggers;

use kube::core::DeserializeGuard;

/// An object that may be unreadable, and then does not block the others.
pub(super) type Guarded<K> = DeserializeGuard<K>;
