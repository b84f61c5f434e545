//! What the other objects of a tenant mean for an object. Pure, so that the model (`src/model`) runs the same code.

use jiff::Timestamp;

use crate::{
    api::TenantPricing,
    cluster::Key,
    index::{Index, TenantKey, Via},
    pricing::{
        decide::STALE_LIMIT,
        facts::{Acceptance, AcceptedSibling, Circumstances, CompletedSibling, elapsed},
        journal::open_attempt,
    },
};

/// What a process knows of the attempts for a tenant, whatever object they were made for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownAttempts {
    /// Whether one has an unknown outcome, and its grace period lasts.
    pub in_grace_period: bool,
    /// The acceptance of one that is not resolved.
    pub accepted: Option<Acceptance>,
}

/// Adds what the other objects of the tenant mean for an object to its memory, if the tenant was seen.
///
/// `known` returns what this process knows of attempts for that tenant. `via` returns where a connection leads for
/// another object (see [`Index::older_owner`]).
/// `now` is the time by the controller's clock.
pub(crate) fn with_siblings(
    circumstances: Circumstances,
    object: &TenantPricing,
    tenant: Option<TenantKey>,
    index: &Index,
    known: impl FnOnce(&TenantKey) -> KnownAttempts,
    via: impl Fn(&Key, &Key) -> Option<Via>,
    now: Timestamp,
) -> Circumstances {
    let Some(tenant) = tenant else { return circumstances };
    let key = Key::of(object);
    // An open entry of the object itself is resolved by its own rules.
    let known = if open_attempt(object).is_none() { known(&tenant) } else { KnownAttempts::default() };
    let is_open = index.sibling_open(&key, &tenant);
    let sibling_accepted = if is_open {
        let accepted = index.sibling_accepted(&key, &tenant);
        accepted.map(|other| AcceptedSibling { key: Some(other.object), for_long: other.is_stalled })
    } else {
        // A remembered acceptance that is in no journal belongs to an object that is gone.
        known
            .accepted
            .map(|acceptance| AcceptedSibling { key: None, for_long: acceptance.since >= STALE_LIMIT })
    };
    Circumstances {
        sibling_open: known.in_grace_period || is_open,
        // Nearly always nothing is open, and this second search can be skipped.
        sibling_stalled: if is_open { index.sibling_stalled(&key, &tenant) } else { None },
        sibling_accepted,
        sibling_completed: index.sibling_completed(&key, &tenant).map(|other| CompletedSibling {
            for_long: other.announced.is_none_or(|at| elapsed(at, now) >= STALE_LIMIT),
            key: other.object,
        }),
        older_owner: index.older_owner(&key, &tenant, via),
        ..circumstances
    }
}
