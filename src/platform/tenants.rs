//! Reading many tenants: by id, by subtree, by name.

use std::collections::HashSet;

use jiff::Timestamp;
use url::form_urlencoded;

use super::client::Read;
use super::wire::{self, BrokenTenant, SearchWire};
use super::{Answer, PlatformClient, PlatformError, Tenant, TenantId, TenantKind};

/// The most ids that one call takes. (Documented.)
const BATCH: usize = 100;

/// The size of a page of a subtree. The platform's default of 5,000 would not fit into 1 MiB.
const PAGE: usize = 100;

/// The most pages that are followed: a hundred thousand tenants.
const MOST_PAGES: usize = 1000;

/// The longest cursor that is sent back.
const CURSOR_LIMIT: usize = 4096;

/// The shortest text that the search takes, and the most hits it gives. (Documented.)
const SHORTEST_SEARCH: usize = 3;
const MOST_HITS: usize = 300;

/// The items of several pages.
#[derive(Default)]
struct Listing {
    items: Vec<Result<Tenant, BrokenTenant>>,
    date: Option<Timestamp>,
}

impl PlatformClient {
    /// The tenants with these ids, in calls of up to 100. Unknown, deleted and invisible ones are simply
    /// missing, and so is one that the platform described in a way that makes no sense: to be looked at alone.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn tenants(&self, ids: &[TenantId]) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let operation = "reading tenants";
        let mut listing = Listing::default();
        for batch in ids.chunks(BATCH) {
            let ids: Vec<&str> = batch.iter().map(TenantId::as_str).collect();
            self.list(operation, &format!("uuids={}", ids.join(",")), &mut listing).await?;
        }
        let asked: HashSet<&TenantId> = ids.iter().collect();
        let date = listing.date;
        let value = listing.into_tenants().into_iter().filter(|tenant| asked.contains(&tenant.id)).collect();
        Ok(Answer { value, date })
    }

    /// All tenants from `root` downwards, `root` included.
    ///
    /// # Errors
    /// Any class that a read can end in; [`Malformed`](super::ErrorClass::Malformed) also when the pages do
    /// not come to an end.
    pub async fn subtree(&self, root: &TenantId) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let listing = self.list_subtree(root).await?;
        Ok(Answer { date: listing.date, value: listing.into_tenants() })
    }

    /// The ids of the customers of exactly this name, case counted, anywhere below the client's own tenant.
    ///
    /// By search, which may lag behind; where the search cannot be complete, by listing the subtree.
    ///
    /// # Errors
    /// Any class that a read can end in; [`Malformed`](super::ErrorClass::Malformed) also when something
    /// that may bear the name cannot be understood, because a second bearer must not be overlooked.
    pub async fn customers_named(&self, name: &str) -> Result<Answer<Vec<TenantId>>, PlatformError> {
        let own = self.own_tenant().await?.value;
        if name.chars().count() >= SHORTEST_SEARCH
            && let Some(found) = self.search(&own, name).await?
        {
            return Ok(found);
        }
        let listing = self.list_subtree(&own).await?;
        let mut found = Vec::new();
        for item in listing.items {
            match item {
                Ok(tenant)
                    if tenant.name == name && tenant.kind == TenantKind::Customer && !tenant.deleted =>
                {
                    found.push(tenant.id);
                }
                Err(broken) if broken.name.as_deref().is_none_or(|broken| broken == name) => {
                    let error = PlatformError::new("listing tenants by name", super::ErrorClass::Malformed);
                    return Err(error.with_detail("a tenant that may bear the name cannot be understood"));
                }
                _ => {}
            }
        }
        Ok(Answer { value: distinct_below(&own, found), date: listing.date })
    }

    /// Searches below `root`. `None` when the search has stopped at its limit.
    async fn search(
        &self,
        root: &TenantId,
        name: &str,
    ) -> Result<Option<Answer<Vec<TenantId>>>, PlatformError> {
        let operation = "searching tenants by name";
        let limit = MOST_HITS.to_string();
        let query = query(&[("tenant", root.as_str()), ("text", name), ("limit", &limit)]);
        let read = self.get(operation, self.url(&format!("/search?{query}"))).await?;
        let search: SearchWire = wire::parse(&read.body).ok_or_else(|| read.malformed(operation))?;
        if search.items.len() >= MOST_HITS {
            return Ok(None);
        }
        let mut found = Vec::new();
        for hit in search.items {
            if hit.obj_type != "tenant" || hit.name.as_deref() != Some(name) || hit.deleted_at.is_some() {
                continue;
            }
            let kind = hit.kind.ok_or_else(|| read.malformed(operation))?;
            if kind == "customer" {
                found.push(hit.id);
            }
        }
        Ok(Some(Answer { value: distinct_below(root, found), date: read.date }))
    }

    async fn list_subtree(&self, root: &TenantId) -> Result<Listing, PlatformError> {
        let mut listing = Listing::default();
        let query = format!("subtree_root_id={root}&limit={PAGE}");
        self.list("listing tenants", &query, &mut listing).await?;
        Ok(listing)
    }

    /// Follows the pages of one listing. A cursor carries the whole question: nothing else goes with it.
    async fn list(&self, operation: &str, first: &str, listing: &mut Listing) -> Result<(), PlatformError> {
        let mut parameters = first.to_owned();
        let mut cursors = HashSet::new();
        loop {
            let read = self.get(operation, self.url(&format!("/tenants?{parameters}"))).await?;
            let page = wire::tenant_page(&read.body).ok_or_else(|| read.malformed(operation))?;
            listing.add(&read, page.items);
            let Some(cursor) = page.after else { return Ok(()) };
            parameters = query(&[("after", &cursor)]);
            if cursor.len() > CURSOR_LIMIT || cursors.len() + 1 >= MOST_PAGES || !cursors.insert(cursor) {
                return Err(read.malformed(operation).with_detail("but its pages do not come to an end"));
            }
        }
    }
}

impl Listing {
    fn add(&mut self, read: &Read, items: Vec<Result<Tenant, BrokenTenant>>) {
        self.items.extend(items);
        self.date = [self.date, read.date].into_iter().flatten().min();
    }

    /// The tenants that can be understood, each once: paging over a changing tree may show one twice.
    fn into_tenants(self) -> Vec<Tenant> {
        let mut seen = HashSet::new();
        self.items.into_iter().flatten().filter(|tenant| seen.insert(tenant.id.clone())).collect()
    }
}

/// Each id once, without `root` itself, in the order found.
fn distinct_below(root: &TenantId, found: Vec<TenantId>) -> Vec<TenantId> {
    let mut seen = HashSet::from([root.clone()]);
    found.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

/// A query string. A space is written `%20`, which means a space to every server; `+` does not.
fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().replace('+', "%20")
}
