//! What the other objects of a tenant mean for an object. Pure, so that the model (`src/model`) runs the same code.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::TenantPricing,
    cluster::Key,
    index::{Index, TenantKey, Via},
    pricing::{
        decide::STALE_LIMIT,
        facts::{Acceptance, AcceptedElsewhere, CompletedElsewhere, Memory},
        journal::open_attempt,
    },
};

/// Adds what the other objects of the tenant mean for an object to its memory, if the tenant was seen.
///
/// `known` returns whether an attempt for that tenant has an unknown outcome, and whether the platform accepted one
/// that is not resolved. `via` returns where a connection leads for another object (see [`Index::older_owner`]).
/// `now` is the time by the controller's clock.
pub(crate) fn with_siblings(
    memory: Memory,
    object: &TenantPricing,
    tenant: Option<TenantKey>,
    index: &Index,
    known: impl FnOnce(&TenantKey) -> (bool, Option<Acceptance>),
    via: impl Fn(&Key, &Key) -> Option<Via>,
    now: Timestamp,
) -> Memory {
    let Some(tenant) = tenant else { return memory };
    let key = Key::of(object);
    // An open entry of the object itself is resolved by its own rules.
    let (in_grace_period, accepted) =
        if open_attempt(object).is_none() { known(&tenant) } else { Default::default() };
    let is_open = index.open_elsewhere(&key, &tenant);
    let accepted_elsewhere = if is_open {
        let accepted = index.accepted_elsewhere(&key, &tenant);
        accepted.map(|other| AcceptedElsewhere { key: Some(other.object), for_long: other.is_stalled })
    } else {
        // A remembered acceptance that is in no journal belongs to an object that is gone.
        accepted.map(|acceptance| AcceptedElsewhere { key: None, for_long: acceptance.since >= STALE_LIMIT })
    };
    Memory {
        open_elsewhere: in_grace_period || is_open,
        // Nearly always nothing is open, and this second search can be skipped.
        stalled_elsewhere: if is_open { index.stalled_elsewhere(&key, &tenant) } else { None },
        accepted_elsewhere,
        completed_elsewhere: index.completed_elsewhere(&key, &tenant).map(|other| CompletedElsewhere {
            for_long: other.announced.is_none_or(|at| elapsed(at, now) >= STALE_LIMIT),
            key: other.object,
        }),
        older_owner: index.older_owner(&key, &tenant, via),
        ..memory
    }
}

/// The time that has passed. Zero for a time in the future.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
