//! What an import adds, and what it finds different. Pure.

use std::collections::HashSet;

use clap::ValueEnum;

use super::{
    existing::{Entry, Existing},
    listing::{Listed, Listing},
    manifest,
};
use crate::{
    api::ConnectionRef,
    platform::{Mode, TenantId},
};

/// The modes to select tenants by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SelectedMode {
    /// Not billed.
    Trial,
    /// Billed.
    Production,
    /// Past production.
    Suspended,
}

/// Which tenants are imported.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// What their names begin with.
    pub name_prefix: String,
    /// The modes that they are in; any if empty.
    pub modes: Vec<SelectedMode>,
}

impl Selection {
    fn selects(&self, tenant: &Listed) -> bool {
        let is_in = |mode: &SelectedMode| {
            matches!(
                (mode, &tenant.mode),
                (SelectedMode::Trial, Mode::Trial)
                    | (SelectedMode::Production, Mode::Production)
                    | (SelectedMode::Suspended, Mode::Suspended)
            )
        };
        tenant.name.starts_with(&self.name_prefix) && (self.modes.is_empty() || self.modes.iter().any(is_in))
    }
}

/// A manifest whose tenant has another name now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Renamed<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// Its manifest.
    pub entry: &'a Entry,
    /// The name in the manifest.
    pub before: &'a str,
    /// The name now.
    pub now: &'a str,
}

/// The difference between the platform and the manifests that are there.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    /// The selected tenants without a manifest, in the order of their ids.
    pub new: Vec<(&'a TenantId, &'a Listed)>,
    /// How many selected tenants have one.
    pub kept: usize,
    /// The manifests whose tenant has another name now.
    pub renamed: Vec<Renamed<'a>>,
    /// The manifests of this connection whose tenant is not in the listing.
    pub missing: Vec<(&'a TenantId, &'a Entry)>,
}

/// Compares the platform with the manifests that are there. `connection` is the one that new manifests name, and
/// `namespace` that of objects whose manifests name none, if it is known.
pub(crate) fn compare<'a>(
    listing: &'a Listing,
    existing: &'a Existing,
    selection: &Selection,
    connection: &ConnectionRef,
    namespace: Option<&str>,
) -> Changes<'a> {
    // A manifest may name its tenant by name. Only a name that one customer has says which tenant that is.
    let by_name = listing.customers_by_unique_name();
    let named: HashSet<&TenantId> = existing
        .by_name
        .iter()
        .filter(|(_, entry)| entry.is_of(connection, namespace))
        .filter_map(|(name, _)| by_name.get(name.as_str()).copied())
        .collect();
    let (mut new, mut kept, mut renamed) = (Vec::new(), 0, Vec::new());
    for (id, tenant) in listing.customers() {
        let entry = existing.by_id.get(id);
        if let Some(entry) = entry
            && let Some(before) = entry.recorded_name.as_deref()
            && before != manifest::recorded_name(&tenant.name)
        {
            renamed.push(Renamed { tenant: id, entry, before, now: &tenant.name });
        }
        match entry.is_some() || named.contains(id) {
            _ if !selection.selects(tenant) => {}
            true => kept += 1,
            false => new.push((id, tenant)),
        }
    }
    let is_missing = |(id, entry): &(&TenantId, &Entry)| {
        entry.is_of(connection, namespace) && !listing.get(id).is_some_and(|tenant| tenant.is_customer)
    };
    Changes { new, kept, renamed, missing: existing.by_id.iter().filter(is_missing).collect() }
}
