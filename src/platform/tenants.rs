//! Reading many tenants: by id, by subtree, by name.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use url::form_urlencoded;

use super::call::Call;
use super::wire::{self, BrokenTenant};
use super::{Answer, ErrorClass, PlatformClient, PlatformError, Tenant, TenantId, TenantKind};

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

/// What a listing by names has found for each name that was wanted: the ids of the customers that bear it.
pub type FoundNames = HashMap<String, Result<Vec<TenantId>, PlatformError>>;

impl PlatformClient {
    /// The tenants with these ids, in calls of up to 100. Unknown, deleted and invisible ones are simply
    /// missing, and so is one that the platform described in a way that makes no sense: to be looked at alone.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn tenants(&self, ids: &[TenantId]) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let mut wanted: HashSet<&TenantId> = ids.iter().collect();
        let mut found = Vec::with_capacity(ids.len());
        let mut earliest: Option<Timestamp> = None;
        for batch in ids.chunks(BATCH) {
            let ids: Vec<&str> = batch.iter().map(TenantId::as_str).collect();
            let first = format!("uuids={}", ids.join(","));
            let date = self.list(Call::Tenants, &first, |tenant| {
                // Each once: paging over a changing tree may show one twice.
                found.extend(tenant.ok().filter(|tenant| wanted.remove(&tenant.id)));
            });
            earliest = [earliest, date.await?].into_iter().flatten().min();
        }
        Ok(Answer { value: found, date: earliest })
    }

    /// All tenants from `root` downwards, `root` included.
    ///
    /// # Errors
    /// Any class that a read can end in; [`Malformed`](super::ErrorClass::Malformed) also when the pages do
    /// not come to an end.
    pub async fn subtree(&self, root: &TenantId) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        let date = self.list_subtree(root, |tenant| {
            found.extend(tenant.ok().filter(|tenant| seen.insert(tenant.id.clone())));
        });
        let date = date.await?;
        Ok(Answer { value: found, date })
    }

    /// The ids of the customers of exactly this name, case counted, anywhere below the client's own tenant.
    ///
    /// By search, which may lag behind; where the search cannot be complete, by listing the subtree.
    ///
    /// # Errors
    /// Any class that a read can end in; [`Malformed`](super::ErrorClass::Malformed) also when something
    /// that may bear the name cannot be understood, because a second bearer must not be overlooked.
    pub async fn customers_named(&self, name: &str) -> Result<Answer<Vec<TenantId>>, PlatformError> {
        if let Some(found) = self.search_customers(name).await? {
            return Ok(found);
        }
        let Answer { mut value, date } = self.list_customers(HashSet::from([name.to_owned()])).await?;
        let value = value.remove(name).unwrap_or_else(|| Ok(Vec::new()))?;
        Ok(Answer { value, date })
    }

    /// The same by search alone. `None` where the search cannot be complete: for a name that is too short for
    /// it, or when there are more hits than it gives.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn search_customers(&self, name: &str) -> Result<Option<Answer<Vec<TenantId>>>, PlatformError> {
        if name.chars().count() < SHORTEST_SEARCH {
            return Ok(None);
        }
        let root = self.own_tenant().await?.value;
        let limit = MOST_HITS.to_string();
        let query = query(&[("tenant", root.as_str()), ("text", name), ("limit", &limit)]);
        let read = self.get(Call::Search, self.url(&format!("/search?{query}")), wire::search).await?;
        if read.value.items.len() >= MOST_HITS {
            return Ok(None);
        }
        let mut found = Vec::new();
        for hit in &read.value.items {
            if hit.obj_type != "tenant" || hit.name.as_deref() != Some(name) || hit.deleted_at.is_some() {
                continue;
            }
            let kind = hit.kind.as_deref().ok_or_else(|| read.malformed(Call::Search))?;
            if kind == "customer" {
                found.push(hit.id.clone());
            }
        }
        Ok(Some(Answer { value: distinct_below(&root, found), date: read.date }))
    }

    /// The same for many names by one listing of all tenants below the client's own, of which only what was
    /// wanted is kept. Every wanted name is in the answer.
    ///
    /// # Errors
    /// Any class that a read can end in. A name of its own is [`Malformed`](super::ErrorClass::Malformed) when
    /// something that may bear it cannot be understood, because a second bearer must not be overlooked.
    pub async fn list_customers(&self, names: HashSet<String>) -> Result<Answer<FoundNames>, PlatformError> {
        let own = self.own_tenant().await?.value;
        let mut found: FoundNames = names.into_iter().map(|name| (name, Ok(Vec::new()))).collect();
        // A tenant without a readable name may bear any of them.
        let mut nameless = false;
        let malformed = || {
            PlatformError::new("listing tenants by name", ErrorClass::Malformed)
                .with_detail("a tenant that may bear the name cannot be understood")
        };
        let date = self.list_subtree(&own, |tenant| match tenant {
            Ok(tenant) if tenant.kind == TenantKind::Customer && !tenant.deleted => {
                if let Some(Ok(ids)) = found.get_mut(&tenant.name) {
                    ids.push(tenant.id);
                }
            }
            Ok(_) => {}
            Err(BrokenTenant { name: None }) => nameless = true,
            Err(BrokenTenant { name: Some(name) }) => {
                if let Some(of_name) = found.get_mut(&name) {
                    *of_name = Err(malformed());
                }
            }
        });
        let date = date.await?;
        if nameless {
            return Err(malformed());
        }
        for ids in found.values_mut().flatten() {
            *ids = distinct_below(&own, std::mem::take(ids));
        }
        Ok(Answer { value: found, date })
    }

    async fn list_subtree(
        &self,
        root: &TenantId,
        each: impl FnMut(Result<Tenant, BrokenTenant>),
    ) -> Result<Option<Timestamp>, PlatformError> {
        self.list(Call::Subtree, &format!("subtree_root_id={root}&limit={PAGE}"), each).await
    }

    /// Follows the pages of one listing, and hands on what is on them. Returns the earliest time of an answer.
    /// A cursor carries the whole question: nothing else goes with it.
    async fn list(
        &self,
        call: Call<'_>,
        first: &str,
        mut each: impl FnMut(Result<Tenant, BrokenTenant>),
    ) -> Result<Option<Timestamp>, PlatformError> {
        let mut parameters = first.to_owned();
        let mut cursors = HashSet::new();
        let mut date = None;
        loop {
            let read = self.get(call, self.url(&format!("/tenants?{parameters}")), wire::tenant_page).await?;
            date = [date, read.date].into_iter().flatten().min();
            let malformed = read.malformed(call);
            read.value.items.into_iter().for_each(&mut each);
            let Some(cursor) = read.value.after else { return Ok(date) };
            parameters = query(&[("after", &cursor)]);
            if cursor.len() > CURSOR_LIMIT || cursors.len() + 1 >= MOST_PAGES || !cursors.insert(cursor) {
                return Err(malformed.with_detail("but its pages do not come to an end"));
            }
        }
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
