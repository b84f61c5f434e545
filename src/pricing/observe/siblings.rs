//! What the other objects of a tenant have to do with it. Pure, so that the model (`src/model`) asks the same.

use crate::{
    api::TenantPricing,
    cluster::Key,
    index::{Index, TenantKey, Via},
    pricing::{
        decide::STALE_LIMIT,
        facts::{Acceptance, AcceptedElsewhere, Memory},
        journal::open_attempt,
    },
};

/// Adds to what is remembered of an object what the others have to do with its tenant, if it was seen.
///
/// `known` says whether an attempt for that tenant has an outcome that is not known, and whether the platform accepted
/// one that is not resolved. `via` says where a connection leads for another object (see [`Index::older_owner`]), and must not
/// come back to the index.
pub(crate) fn with_siblings(
    memory: Memory,
    object: &TenantPricing,
    tenant: Option<TenantKey>,
    index: &Index,
    known: impl FnOnce(&TenantKey) -> (bool, Option<Acceptance>),
    via: impl Fn(&Key, &Key) -> Option<Via>,
) -> Memory {
    let Some(tenant) = tenant else { return memory };
    let key = Key::of(object);
    // An open entry of its own is resolved for what it is.
    let (in_grace_period, accepted) =
        if open_attempt(object).is_none() { known(&tenant) } else { Default::default() };
    let is_open = index.open_elsewhere(&key, &tenant);
    let accepted_elsewhere = if is_open {
        let accepted = index.accepted_elsewhere(&key, &tenant);
        accepted.map(|other| AcceptedElsewhere { key: Some(other.object), for_long: other.is_stalled })
    } else {
        // What is remembered and stands in no journal was asked for by an object that is gone.
        accepted.map(|acceptance| AcceptedElsewhere { key: None, for_long: acceptance.since >= STALE_LIMIT })
    };
    Memory {
        open_elsewhere: in_grace_period || is_open,
        // For nearly every object nothing is open, and the others need not be gone through once more.
        stalled_elsewhere: if is_open { index.stalled_elsewhere(&key, &tenant) } else { None },
        accepted_elsewhere,
        older_owner: index.older_owner(&key, &tenant, via),
        ..memory
    }
}
