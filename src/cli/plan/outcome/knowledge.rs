//! What is known about connections and tenants.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::{
    api::TenantPricing,
    cli::plan::{
        connections::{ConnectionChange, Effect, Links},
        watch::Watch,
    },
    cluster::Key,
    pricing::facts::{Proof, TenantRead},
};

/// What is known about connections and tenants.
#[derive(Default)]
pub(crate) struct Knowledge {
    /// The connections as they are.
    pub before: Links,
    /// The connections as they will be.
    pub after: Links,
    /// How the connections change.
    pub changes: BTreeMap<Key, ConnectionChange>,
    /// What was read for an object, by the keys of the object and of the connection.
    pub reads: HashMap<(Key, Key), TenantRead>,
    /// The customers with a name, by the key of the connection and the name.
    pub proofs: HashMap<(Key, String), Proof>,
    /// Why nothing is known about a connection, in the words of a person: its credentials are for another platform.
    pub failures: HashMap<Key, String>,
    /// Whether the platform is read at all.
    pub is_offline: bool,
    /// Which objects a controller watches.
    pub watch: Watch,
}

impl Knowledge {
    /// Sets the platform's clock to the time that the plan is made for.
    pub(crate) fn set_platform_clocks(&mut self, now: Timestamp) {
        for read in self.reads.values_mut() {
            if let TenantRead::Seen(seen) = read {
                seen.date = seen.date.map(|_| now);
            }
        }
    }

    pub(super) fn read(&self, object: &TenantPricing) -> TenantRead {
        let key = (Key::of(object), object.connection_key());
        self.reads.get(&key).cloned().unwrap_or(TenantRead::NotRead)
    }

    pub(super) fn proof(&self, object: &TenantPricing) -> Proof {
        let Some(name) = &object.spec.tenant.name else { return Proof::Missing };
        self.proofs.get(&(object.connection_key(), name.clone())).cloned().unwrap_or_default()
    }

    /// What the change of its connection can bring about for an object.
    pub(super) fn effect(&self, object: &TenantPricing) -> Effect {
        self.changes.get(&object.connection_key()).map_or(Effect::None, |change| change.effect)
    }
}
