//! Counts the tenants of a connection by mode.

use std::sync::{Arc, OnceLock};

use crate::{
    api::{TenantCounts, TenantPricing},
    cluster::{Key, Stores},
    connections::CountTenants,
    pricing::connection_of,
};

/// Counts what these caches show, once they are there and filled.
pub(super) fn from(pricings: Arc<OnceLock<Stores<TenantPricing>>>) -> CountTenants {
    Box::new(move |connection| {
        let pricings = pricings.get().filter(|pricings| pricings.are_filled())?;
        let mut counts = TenantCounts::default();
        pricings.collect(|object| -> Option<()> {
            let (namespace, name) = connection_of(object);
            if *connection == Key::new(&namespace, name) {
                *of_mode(&mut counts, object) += 1;
            }
            None
        });
        Some(counts)
    })
}

fn of_mode<'a>(counts: &'a mut TenantCounts, object: &TenantPricing) -> &'a mut u32 {
    let observed = object.status.as_ref().and_then(|status| status.observed.as_ref());
    match observed.map(|observed| observed.mode.as_str()) {
        Some("trial") => &mut counts.trial,
        Some("production") => &mut counts.production,
        Some("suspended") => &mut counts.suspended,
        _ => &mut counts.unknown,
    }
}
