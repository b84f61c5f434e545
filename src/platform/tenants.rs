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

/// The most ids that one call takes. (Documented.)
const MAX_IDS_PER_CALL: usize = 100;

/// The size of a page of a subtree. The platform's default of 5,000 would not fit into 1 MiB.
const PAGE_SIZE: usize = 100;

/// The most pages that are followed: a hundred thousand tenants.
const MAX_PAGES: usize = 1000;

/// A page after the first is asked for so often before its listing fails: each failed listing costs all its pages.
const MAX_PAGE_ATTEMPTS: u32 = 5;

/// The pause before a page is asked for again, unless the platform asks for another; it doubles each time.
const PAGE_RETRY_BASE: Duration = Duration::from_secs(1);

/// A listing does not wait longer than this for one of its pages.
const MAX_PAGE_PAUSE: Duration = Duration::from_secs(120);

/// The longest cursor that is sent back.
const MAX_CURSOR_BYTES: usize = 4096;

/// The shortest text that the search takes, and the most hits it gives. (Documented.)
const MIN_SEARCH_CHARS: usize = 3;
const MAX_SEARCH_HITS: usize = 300;

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
        for batch in ids.chunks(MAX_IDS_PER_CALL) {
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

    /// The customers of exactly this name, case counted, anywhere below the client's own tenant.
    ///
    /// By search where that shows exactly one; otherwise by listing the subtree. Search may lag and skips some
    /// tenants: that it shows one is no proof that there is no other.
    ///
    /// # Errors
    /// Any class that a read can end in; [`Malformed`](super::ErrorClass::Malformed) also when something
    /// that may bear the name cannot be understood, because a second bearer must not be overlooked.
    pub async fn customers_named(&self, name: &str) -> Result<Answer<NameMatches>, PlatformError> {
        if let Some(found) = self.search_customers(name).await? {
            return Ok(found);
        }
        let Answer { value, date } = self.list_customers(&HashSet::from([name.to_owned()])).await?;
        Ok(Answer { value: value.named(name)?, date })
    }

    /// The one customer of this name, by search alone. `None` where search does not show exactly one, or cannot:
    /// for a name that is too short for it or has no letter and no digit, or when there are more hits than it
    /// gives.
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

    /// All customers below the client's own tenant, by one listing. Of names like the `asked` ones it says so.
    ///
    /// # Errors
    /// Any class that a read can end in; [`Malformed`](super::ErrorClass::Malformed) also when something that may
    /// bear any name cannot be understood, because a second bearer must not be overlooked.
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

    /// The tenant in which the credentials act now, after the platform did not know `root` any more: one that was
    /// set up again may have another tenant for the same credentials.
    ///
    /// # Errors
    /// `error`, if it still is `root`; or what the question ended in.
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

    /// One page. One after the first of a subtree is tried several times, because a failure costs all pages before it.
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
            let pause = error.retry_after().unwrap_or(PAGE_RETRY_BASE.saturating_mul(1 << failures));
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

/// Whether the answer may say that there is no such root: a 404, whoever sent it.
fn may_have_moved(error: &PlatformError) -> bool {
    error.status() == Some(404)
}

/// Whether a read that failed this way may work when it is repeated soon.
fn may_end_soon(error: &PlatformError) -> bool {
    matches!(error.class(), ErrorClass::Unavailable | ErrorClass::Throttled | ErrorClass::Malformed)
}

/// Whether a search for a name can find it: a text that is too short is refused, and one without a letter or digit
/// finds nothing.
fn is_searchable(name: &str) -> bool {
    name.trim().chars().count() >= MIN_SEARCH_CHARS && name.chars().any(char::is_alphanumeric)
}

/// A query string. A space is written `%20`, which means a space to every server; `+` does not.
fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().replace('+', "%20")
}
