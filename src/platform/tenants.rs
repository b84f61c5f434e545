//! Reading many tenants: by id, by subtree, by name.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;
use url::form_urlencoded;

use super::{
    Answer, Customers, ErrorClass, NameMatches, PlatformClient, PlatformError, Tenant, TenantId,
    call::Call,
    client::Read,
    wire::json::{self, BrokenTenant},
};
use crate::backoff::Backoff;

/// The maximum number of ids in one call. (The platform documents it.)
pub const MAX_IDS_PER_CALL: usize = 100;

/// The size of a page of a subtree. The platform's default of 5,000 would not fit into 1 MiB.
const PAGE_SIZE: usize = 100;

/// The maximum number of pages of a listing: a hundred thousand tenants.
const MAX_PAGES: usize = 1000;

/// The maximum number of attempts for a page after the first. A failed listing costs all its pages.
const MAX_PAGE_ATTEMPTS: u32 = 5;

/// The maximum pause before another attempt for a page.
const MAX_PAGE_PAUSE: Duration = Duration::from_secs(120);

/// The pauses before further attempts for a page, unless the platform asks for another pause: 1 s, 2 s, 4 s and 8 s.
const PAGE_BACKOFF: Backoff = Backoff::new(Duration::ZERO, Duration::from_secs(1), MAX_PAGE_PAUSE);

/// The maximum length of a cursor that is sent back, in bytes.
const MAX_CURSOR_BYTES: usize = 4096;

/// The minimum length of a search text, in characters. (The platform documents it.)
const MIN_SEARCH_CHARS: usize = 3;

/// The maximum number of hits of a search. (The platform documents it.)
const MAX_SEARCH_HITS: usize = 300;

impl PlatformClient {
    /// Reads the tenants with these ids, in calls of up to 100. Unknown, deleted and invisible ones are missing in the
    /// result. So is one whose description cannot be understood: read it alone.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn tenants(&self, ids: &[TenantId]) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let mut wanted: HashSet<&TenantId> = ids.iter().collect();
        let mut found = Vec::with_capacity(ids.len());
        let mut earliest: Option<Timestamp> = None;
        for batch in ids.chunks(MAX_IDS_PER_CALL) {
            let ids: Vec<&str> = batch.iter().map(TenantId::as_str).collect();
            let first = format!("uuids={}", ids.join(","));
            let date = self.list(Call::Tenants, &first, |tenant| {
                // Paging over a changing tree may show a tenant twice.
                found.extend(tenant.ok().filter(|tenant| wanted.remove(&tenant.id)));
            });
            earliest = [earliest, date.await?].into_iter().flatten().min();
        }
        Ok(Answer { value: found, date: earliest })
    }

    /// All tenants from `root` downwards, `root` included.
    ///
    /// # Errors
    /// Any class that a read can end in. [`Malformed`](super::ErrorClass::Malformed) also when the pages do not end.
    #[cfg(test)]
    pub async fn subtree(&self, root: &TenantId) -> Result<Answer<Vec<Tenant>>, PlatformError> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        let date = self.list_subtree(root, |tenant| {
            found.extend(tenant.ok().filter(|tenant| seen.insert(tenant.id.clone())));
        });
        let date = date.await?;
        Ok(Answer { value: found, date })
    }

    /// Hands on every tenant from `root` downwards, `root` included, page by page. Nothing is kept, so the memory does
    /// not depend on their number. A tenant that cannot be understood is handed on as its name, if that can be read.
    ///
    /// A tenant can occur twice, because the tree may change between two pages.
    ///
    /// # Errors
    /// Any class that a read can end in. [`Malformed`](super::ErrorClass::Malformed) also when the pages do not end.
    #[cfg(feature = "cli")]
    pub async fn each_below(
        &self,
        root: &TenantId,
        mut each: impl FnMut(Result<Tenant, Option<String>>),
    ) -> Result<(), PlatformError> {
        self.list_subtree(root, |tenant| each(tenant.map_err(|broken| broken.name))).await.map(drop)
    }

    /// Finds the customers of exactly this name, case-sensitive, anywhere below the client's own tenant.
    ///
    /// It uses the search where that shows exactly one, and otherwise lists the subtree. The search may lag, and skips
    /// some tenants. So one hit does not prove that there is no other customer of that name.
    ///
    /// # Errors
    /// Any class that a read can end in. [`Malformed`](super::ErrorClass::Malformed) also for a tenant that cannot be
    /// understood and may have the name, because no second match may be overlooked.
    pub async fn customers_named(&self, name: &str) -> Result<Answer<NameMatches>, PlatformError> {
        if let Some(found) = self.search_customers(name).await? {
            return Ok(found);
        }
        let Answer { value, date } = self.list_customers(&HashSet::from([name.to_owned()])).await?;
        Ok(Answer { value: value.named(name)?, date })
    }

    /// Finds the one customer of this name, by search alone. `None` where the search does not show exactly one. It
    /// cannot if the name is too short, has no letter and no digit, or has more hits than the search returns.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn search_customers(&self, name: &str) -> Result<Option<Answer<NameMatches>>, PlatformError> {
        if !is_searchable(name) {
            return Ok(None);
        }
        let own = self.own_tenant().await?.value;
        match self.search_below(&own, name).await {
            Err(error) if may_have_moved(&error) => {
                self.search_below(&self.moved_from(&own, error).await?, name).await
            }
            found => found,
        }
    }

    async fn search_below(
        &self,
        root: &TenantId,
        name: &str,
    ) -> Result<Option<Answer<NameMatches>>, PlatformError> {
        let limit = MAX_SEARCH_HITS.to_string();
        let query = query(&[("tenant", root.as_str()), ("text", name), ("limit", &limit)]);
        let read = self.get(Call::Search, self.url(&format!("/search?{query}")), json::search).await?;
        if read.value.items.len() >= MAX_SEARCH_HITS {
            return Ok(None);
        }
        let mut found = Vec::new();
        for hit in &read.value.items {
            if hit.obj_type != "tenant" || hit.name.as_deref() != Some(name) || hit.deleted_at.is_some() {
                continue;
            }
            let kind = hit.kind.as_deref().ok_or_else(|| read.malformed(Call::Search))?;
            if kind == "customer" && hit.id != *root && !found.contains(&hit.id) {
                found.push(hit.id.clone());
            }
        }
        let one = (found.len() == 1).then_some(NameMatches { ids: found, similar: None });
        Ok(one.map(|value| Answer { value, date: read.date }))
    }

    /// Lists all customers below the client's own tenant. It also keeps names that are similar to the `asked` ones.
    ///
    /// # Errors
    /// Any class that a read can end in. [`Malformed`](super::ErrorClass::Malformed) also for a tenant that cannot be
    /// understood and may have any name, because no second match may be overlooked.
    pub async fn list_customers(&self, asked: &HashSet<String>) -> Result<Answer<Customers>, PlatformError> {
        let own = self.own_tenant().await?.value;
        match self.list_below(&own, asked).await {
            Err(error) if may_have_moved(&error) => {
                self.list_below(&self.moved_from(&own, error).await?, asked).await
            }
            listed => listed,
        }
    }

    async fn list_below(
        &self,
        root: &TenantId,
        asked: &HashSet<String>,
    ) -> Result<Answer<Customers>, PlatformError> {
        let mut customers = Customers::below(root.clone(), asked);
        let date = self.list_subtree(root, |tenant| customers.add(tenant)).await?;
        Ok(Answer { value: customers.complete()?, date })
    }

    /// Reads the tenant in which the credentials act now, after the platform no longer knew `root`. A platform that was
    /// set up again may have another tenant for the same credentials.
    ///
    /// # Errors
    /// `error`, if it is still `root`, or the failure of the read.
    async fn moved_from(&self, root: &TenantId, error: PlatformError) -> Result<TenantId, PlatformError> {
        let own = self.verify().await?.value;
        if own == *root { Err(error) } else { Ok(own) }
    }

    async fn list_subtree(
        &self,
        root: &TenantId,
        each: impl FnMut(Result<Tenant, BrokenTenant>),
    ) -> Result<Option<Timestamp>, PlatformError> {
        self.list(Call::Subtree, &format!("subtree_root_id={root}&limit={PAGE_SIZE}"), each).await
    }

    /// Follows the pages of one listing, and hands each tenant on. Returns the earliest time of an answer. A cursor
    /// contains the whole query, so no other parameter goes with it.
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
            let read = self.page(call, &parameters, !cursors.is_empty()).await?;
            date = [date, read.date].into_iter().flatten().min();
            let malformed = read.malformed(call);
            read.value.items.into_iter().for_each(&mut each);
            let Some(cursor) = read.value.after else { return Ok(date) };
            parameters = query(&[("after", &cursor)]);
            if cursors.len() + 1 >= MAX_PAGES {
                let most = MAX_PAGES * PAGE_SIZE;
                let detail = format!("but with more than {most} tenants, the most that are listed");
                return Err(malformed.with_detail(detail).lasting());
            }
            if cursor.len() > MAX_CURSOR_BYTES || !cursors.insert(cursor) {
                return Err(malformed.with_detail("but its pages do not come to an end").lasting());
            }
        }
    }

    /// Reads one page. A page after the first of a subtree has several attempts, because a failure costs all pages
    /// before.
    async fn page(
        &self,
        call: Call<'_>,
        parameters: &str,
        is_later: bool,
    ) -> Result<Read<json::TenantPage>, PlatformError> {
        let url = self.url(&format!("/tenants?{parameters}"));
        let mut failures = 0;
        loop {
            let error = match self.get(call, url.clone(), json::tenant_page).await {
                Ok(read) => return Ok(read),
                Err(error) => error,
            };
            let pause = error.retry_after().unwrap_or_else(|| PAGE_BACKOFF.limit(failures));
            failures += 1;
            let may_be_repeated = is_later && matches!(call, Call::Subtree) && may_end_soon(&error);
            let is_last =
                failures >= MAX_PAGE_ATTEMPTS || pause > MAX_PAGE_PAUSE || self.shared().gate.is_stopped();
            if !may_be_repeated || is_last {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}

/// Whether the answer may mean that there is no such root: a 404 of any sender.
fn may_have_moved(error: &PlatformError) -> bool {
    error.status() == Some(404)
}

/// Whether a read that failed this way may succeed when it is repeated soon.
fn may_end_soon(error: &PlatformError) -> bool {
    matches!(error.class(), ErrorClass::Unavailable | ErrorClass::Throttled | ErrorClass::Malformed)
}

/// Whether a search can find a name. The platform refuses a short text, and finds nothing for one without a letter or
/// digit.
fn is_searchable(name: &str) -> bool {
    name.trim().chars().count() >= MIN_SEARCH_CHARS && name.chars().any(char::is_alphanumeric)
}

/// A query string. A space is written `%20`, which means a space to every server; `+` does not.
fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().replace('+', "%20")
}
