//! The tenants below one tenant, as the platform lists them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    cli::output::progress::Progress,
    platform::{Mode, PlatformClient, PlatformError, Tenant, TenantId, TenantKind},
};

/// The maximum number of tenants in a path. The platform has fewer levels; only a broken answer has more.
const MAX_LEVELS: usize = 32;

/// A tenant of the listing.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The name, as the platform has it.
    pub name: Arc<str>,
    /// The tenant above it.
    pub parent: Option<TenantId>,
    /// Its mode when it was read.
    pub mode: Mode,
    /// Whether it is a customer that is not deleted.
    pub is_customer: bool,
}

/// All tenants from one tenant downwards.
#[derive(Debug)]
pub(crate) struct Listing {
    root: TenantId,
    tenants: HashMap<TenantId, Listed>,
    /// The tenants that cannot be understood: the names of those that have a readable one, and the number of all.
    pub unreadable: (Vec<String>, usize),
}

/// The listing failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}. {listed} tenants were listed before, and nothing is written")]
pub(crate) struct ListingError {
    error: PlatformError,
    listed: usize,
}

impl Listing {
    /// Lists the tenants below `parent`, or else below the tenant of the credentials.
    ///
    /// # Errors
    /// The platform cannot be read.
    pub(crate) async fn read(
        client: &PlatformClient,
        parent: Option<&TenantId>,
    ) -> Result<Self, ListingError> {
        let root = match parent {
            Some(parent) => parent.clone(),
            None => client.own_tenant().await.map_err(|error| ListingError { error, listed: 0 })?.value,
        };
        let mut listing = Self::below(root.clone());
        let progress = Progress::count("Listing");
        let read = client.each_below(&root, |tenant| {
            listing.add(tenant);
            progress.add(1);
        });
        let read = read.await;
        match read {
            Ok(()) => Ok(listing),
            Err(error) => Err(ListingError { error, listed: listing.tenants.len() }),
        }
    }

    /// An empty listing.
    pub(super) fn below(root: TenantId) -> Self {
        Self { root, tenants: HashMap::new(), unreadable: (Vec::new(), 0) }
    }

    fn add(&mut self, tenant: Result<Tenant, Option<String>>) {
        match tenant {
            Ok(tenant) => {
                let listed = Listed {
                    is_customer: tenant.kind == TenantKind::Customer
                        && !tenant.deleted
                        && tenant.id != self.root,
                    name: tenant.name.into(),
                    parent: tenant.parent_id,
                    mode: tenant.mode,
                };
                self.tenants.insert(tenant.id, listed);
            }
            Err(name) => {
                self.unreadable.0.extend(name);
                self.unreadable.1 += 1;
            }
        }
    }

    /// The tenant at the top.
    pub(crate) fn root(&self) -> &TenantId {
        &self.root
    }

    /// The tenant with this id.
    pub(crate) fn get(&self, id: &TenantId) -> Option<&Listed> {
        self.tenants.get(id)
    }

    /// The customers, in the order of their ids.
    pub(crate) fn customers(&self) -> BTreeMap<&TenantId, &Listed> {
        self.tenants.iter().filter(|(_, tenant)| tenant.is_customer).collect()
    }

    /// The customers that are the only one of their name.
    pub(crate) fn customers_by_unique_name(&self) -> HashMap<&str, &TenantId> {
        let mut by_name: HashMap<&str, Option<&TenantId>> = HashMap::new();
        for (id, tenant) in self.customers() {
            by_name.entry(&tenant.name).and_modify(|only| *only = None).or_insert(Some(id));
        }
        by_name.into_iter().filter_map(|(name, id)| Some((name, id?))).collect()
    }

    /// The names from the top down to a tenant, its own included.
    pub(crate) fn path(&self, id: &TenantId) -> Vec<&str> {
        let mut names = Vec::new();
        let (mut next, mut seen) = (Some(id), HashSet::new());
        while let Some(id) = next.filter(|id| seen.len() < MAX_LEVELS && seen.insert(*id)) {
            let Some(tenant) = self.tenants.get(id) else { break };
            names.push(&*tenant.name);
            next = tenant.parent.as_ref().filter(|_| *id != self.root);
        }
        names.reverse();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> TenantId {
        format!("{number:08x}-8a40-4de8-b711-d9c83dc000f7").parse().unwrap()
    }

    fn tenant(number: u32, name: &str, kind: TenantKind, parent: u32) -> Tenant {
        Tenant {
            id: id(number),
            name: name.to_owned(),
            kind,
            enabled: true,
            deleted: false,
            parent_id: Some(id(parent)),
            mode: Mode::Trial,
            lock: None,
            production_start: None,
        }
    }

    fn listing(tenants: impl IntoIterator<Item = Tenant>) -> Listing {
        let mut listing = Listing::below(id(1));
        tenants.into_iter().for_each(|tenant| listing.add(Ok(tenant)));
        listing
    }

    #[test]
    fn only_customers_below_the_top_count() {
        let mut deleted = tenant(6, "Gone", TenantKind::Customer, 2);
        deleted.deleted = true;
        let mut listing = listing([
            tenant(1, "Top", TenantKind::Customer, 0),
            tenant(2, "North", TenantKind::Partner, 1),
            tenant(3, "Acme", TenantKind::Customer, 2),
            tenant(4, "Unit", TenantKind::Unit, 3),
            tenant(5, "Acme", TenantKind::Customer, 2),
            deleted,
            tenant(7, "Bolt", TenantKind::Customer, 1),
            tenant(7, "Bolt", TenantKind::Customer, 1),
        ]);
        listing.add(Err(Some("Odd".to_owned())));
        listing.add(Err(None));
        let customers: Vec<_> = listing.customers().into_keys().cloned().collect();
        assert_eq!(customers, [id(3), id(5), id(7)]);
        assert_eq!(listing.customers_by_unique_name(), HashMap::from([("Bolt", &id(7))]));
        assert_eq!(listing.path(&id(3)), ["Top", "North", "Acme"]);
        assert_eq!(listing.unreadable, (vec!["Odd".to_owned()], 2));
    }

    #[test]
    fn a_path_ends_even_where_parents_form_a_circle() {
        let listing =
            listing([tenant(2, "A", TenantKind::Partner, 3), tenant(3, "B", TenantKind::Partner, 2)]);
        assert_eq!(listing.path(&id(2)), ["B", "A"]);
    }
}
