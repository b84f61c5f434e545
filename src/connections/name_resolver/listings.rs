//! What one connection knows of names: the last listing, and the names that search gets wrong.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{FORGOTTEN_AFTER, Found};
use crate::{
    backoff::Backoff,
    clock::{Clock, longer},
    platform::{Answer, Customers, PlatformError, TenantId},
};

/// A listing proves names for this long after its end.
pub(super) const LISTING_MAX_AGE: Duration = Duration::from_mins(10);

/// The pause after the first listing that failed. It doubles with each further failure.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The pauses after listings that failed, unless only a change on the platform can remove the cause.
const BACKOFF: Backoff = Backoff::new(FIRST_PAUSE, FIRST_PAUSE, Duration::from_secs(60));

/// What is known of names. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub(super) struct ListingCache {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    listing: Option<Held>,
    /// The number of listings that failed in a row.
    failures: u32,
    /// The error of the last listing, and the earliest time of the next one.
    failure: Option<(PlatformError, Instant)>,
    /// The names that search gets wrong: since when, and the time of their last request.
    distrusted: HashMap<String, (Instant, Instant)>,
}

#[derive(Debug)]
struct Held {
    listing: Arc<Listing>,
    ended: Instant,
    /// The end by the wall clock, which continues while a machine sleeps.
    ended_wall: Timestamp,
}

/// A listing of all customers below the connection's own tenant.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) customers: Customers,
    pub(super) date: Option<Timestamp>,
    /// The start: tenants created earlier are in the listing.
    pub(super) begun: Instant,
}

impl Listing {
    /// The customers with a name.
    pub(super) fn find(&self, name: &str) -> Found {
        self.customers.named(name).map(|value| Answer { value, date: self.date })
    }
}

impl ListingCache {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// See [`NameResolver::proof`](super::NameResolver::proof).
    pub(super) fn proof(&self, name: &str, since: Instant) -> Option<Result<Vec<TenantId>, PlatformError>> {
        if let Some(listing) = self.listing(since) {
            return Some(listing.customers.named(name).map(|found| found.ids));
        }
        self.failure().map(Err)
    }

    /// The last listing, if it is recent enough and began no earlier than `since`.
    pub(super) fn listing(&self, since: Instant) -> Option<Arc<Listing>> {
        let inner = self.inner.lock();
        let held = inner.listing.as_ref().filter(|held| held.listing.begun >= since)?;
        let wall = self.clock.now().duration_since(held.ended_wall);
        (longer(held.ended.elapsed(), wall) < LISTING_MAX_AGE).then(|| held.listing.clone())
    }

    /// The error of the last listing, if the next one may not start yet.
    pub(super) fn failure(&self) -> Option<PlatformError> {
        let inner = self.inner.lock();
        inner.failure.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(error, _)| error.clone())
    }

    /// Records a complete listing.
    pub(super) fn listed(&self, listing: Arc<Listing>) {
        let (ended, ended_wall) = (Instant::now(), self.clock.now());
        let mut inner = self.inner.lock();
        inner.listing = Some(Held { listing, ended, ended_wall });
        inner.failures = 0;
        inner.failure = None;
    }

    /// Records a listing that failed.
    pub(super) fn failed(&self, error: PlatformError) {
        let mut inner = self.inner.lock();
        let pause = if error.is_lasting() { LISTING_MAX_AGE } else { BACKOFF.limit(inner.failures) };
        let pause = pause.max(error.retry_after().unwrap_or_default());
        inner.failures = inner.failures.saturating_add(1);
        inner.failure = Some((error, Instant::now() + pause));
    }

    /// When the last listing stops proving names.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.inner.lock().listing.as_ref().map(|held| held.ended + LISTING_MAX_AGE)
    }

    /// Frees the memory of a listing that proves nothing any more.
    pub(super) fn expire(&self) {
        self.inner.lock().listing.take_if(|held| held.ended.elapsed() >= LISTING_MAX_AGE);
    }

    /// See [`NameResolver::distrust`](super::NameResolver::distrust).
    pub(super) fn distrust(&self, name: &str) -> bool {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        inner.distrusted.retain(|_, (_, last)| now.duration_since(*last) < FORGOTTEN_AFTER);
        let is_known = inner.distrusted.contains_key(name);
        if !is_known {
            inner.distrusted.insert(name.to_owned(), (now, now));
        }
        !is_known
    }

    /// Records that a name was requested. Returns whether search gets it wrong.
    pub(super) fn record_request(&self, name: &str) -> bool {
        let mut inner = self.inner.lock();
        let entry = inner.distrusted.get_mut(name);
        entry.map(|(_, last)| *last = Instant::now()).is_some()
    }

    /// Since when search gets this name wrong.
    pub(super) fn distrusted_since(&self, name: &str) -> Option<Instant> {
        self.inner.lock().distrusted.get(name).map(|(since, _)| *since)
    }
}
