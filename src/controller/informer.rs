//! The informers: events of the watches update the caches and enqueue what they affect.

pub(super) mod connections;
pub(super) mod tenant_pricings;
pub(super) mod triggers;
