//! Finds the customer with a given name, and proves who has a name.
//!
//! A name is *found* by search if search shows exactly one customer. That is enough to observe the tenant. A name is
//! *proved* by a listing of all tenants below the connection's own, because search lags and misses some tenants. One
//! listing serves all names for ten minutes, except names first requested after it began.

mod listings;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::listings::{Listing, ListingCache};
use crate::{
    clock::{Clock, sleep_until},
    platform::{Answer, Customers, NameMatches, PlatformClient, PlatformError, Priority, TenantId},
};

/// With more waiting names than this, one listing of all tenants is cheaper than searches. A page of a listing has a
/// hundred tenants, and a search has one name.
const LISTING_THRESHOLD: usize = 100;

/// How long a listing waits for further names. A name that comes later needs a listing of its own.
const BATCH_WINDOW: Duration = Duration::from_millis(50);

/// A name without a single customer is forgotten if it was not requested for this long.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// The customers with a name.
type Found = Result<Answer<NameMatches>, PlatformError>;

/// Accepts names and finds the customers that have them. Cheap to clone; its task ends with the last clone.
#[derive(Clone, Debug)]
pub struct NameResolver {
    requests: mpsc::UnboundedSender<Request>,
    client: PlatformClient,
    known: ListingCache,
    stopped: CancellationToken,
}

#[derive(Debug)]
enum Request {
    /// The customers with a name.
    Find { name: String, answer: oneshot::Sender<Found> },
    /// A listing that began no earlier than `since`.
    Listing { since: Instant, answer: oneshot::Sender<()> },
    /// Cancels all searches and listings, running and waiting.
    GiveUp,
}

/// The state of the task of one connection.
struct ResolverTask {
    client: PlatformClient,
    known: ListingCache,
    /// The callers that wait for each name. A request for a name that is already being resolved joins them.
    waiting: HashMap<String, Vec<oneshot::Sender<Found>>>,
    /// The names for which search shows no single customer, with the times of their first and last request.
    open: HashMap<String, (Instant, Instant)>,
    /// The names whose search has not started, first come, first served.
    queue: VecDeque<String>,
    /// The names that search cannot resolve for certain. They wait for the next listing.
    for_listing: HashSet<String>,
    /// The callers that wait for a listing that begins no earlier than this.
    listers: Vec<(Instant, oneshot::Sender<()>)>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    searching: bool,
    listing: bool,
    /// When the next listing begins, once that is known.
    listing_at: Option<Instant>,
}

/// The result of a finished request.
enum Ended {
    /// `Ok(None)`: search does not show exactly one customer.
    Search(String, Result<Option<Answer<NameMatches>>, PlatformError>),
    Listing {
        names: HashSet<String>,
        begun: Instant,
        listed: Result<Answer<Customers>, PlatformError>,
    },
}

impl NameResolver {
    /// Starts the task that resolves names through one connection.
    #[must_use]
    pub fn start(client: PlatformClient, clock: Clock) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        let (known, stopped) = (ListingCache::new(clock), CancellationToken::new());
        let serving = ResolverTask::new(client.clone(), known.clone()).serve(receiver);
        tokio::spawn(stopped.clone().run_until_cancelled_owned(serving));
        Self { requests, client, known, stopped }
    }

    /// Stops for good: another client has replaced this one, or the connection is gone. All waiting callers get a
    /// cancellation error.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Cancels all searches and listings, because this process has lost leadership. Later requests are served.
    pub fn give_up(&self) {
        let _ = self.requests.send(Request::GiveUp);
    }

    /// The customers of exactly this name, case-sensitive, anywhere below the connection's own tenant. A single
    /// customer from search may not be the only one: see [`NameResolver::proof`].
    ///
    /// At most one search and one listing are in progress, however many callers wait. Equal names share one.
    ///
    /// # Errors
    /// Any class of error that a read of the platform can return.
    pub async fn find(&self, name: &str) -> Found {
        let (answer, answered) = oneshot::channel();
        // An unsent message contains the sender of its answer, so it must be dropped before the wait.
        let is_sent = self.requests.send(Request::Find { name: name.to_owned(), answer }).is_ok();
        match (is_sent, answered.await) {
            (true, Ok(found)) => found,
            // The task has panicked.
            _ if self.requests.is_closed() && !self.stopped.is_cancelled() => {
                self.client.customers_named(name).await
            }
            _ => Err(PlatformError::name_search_cancelled()),
        }
    }

    /// Waits for the end of a listing that began no earlier than `since`, successful or not. [`NameResolver::proof`]
    /// then returns its result or its error. Returns at once if there is such a listing, or if one failed just now.
    pub async fn list(&self, since: Instant) {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(Request::Listing { since, answer });
        let _ = answered.await;
    }

    /// The ids of all customers with a name, from a listing that is at most ten minutes old and began no earlier than
    /// `since`. `None` if there is no such listing.
    ///
    /// # Errors
    /// The error of the last listing, until the next one may start.
    #[must_use]
    pub fn proof(&self, name: &str, since: Instant) -> Option<Result<Vec<TenantId>, PlatformError>> {
        self.known.proof(name, since)
    }

    /// The error of the last listing, until the next one may start.
    #[must_use]
    pub fn failure(&self) -> Option<PlatformError> {
        self.known.failure()
    }

    /// Records that search gets this name wrong, so that a listing resolves it from now on. Returns false if that is
    /// known already, because another lookup would show nothing new.
    #[must_use]
    pub fn distrust(&self, name: &str) -> bool {
        self.known.distrust(name)
    }
}

impl ResolverTask {
    fn new(client: PlatformClient, known: ListingCache) -> Self {
        Self {
            client,
            known,
            waiting: HashMap::new(),
            open: HashMap::new(),
            queue: VecDeque::new(),
            for_listing: HashSet::new(),
            listers: Vec::new(),
            under_way: FuturesUnordered::new(),
            searching: false,
            listing: false,
            listing_at: None,
        }
    }

    async fn serve(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        loop {
            self.begin();
            let expires = self.known.expires();
            tokio::select! {
                // The order matters: a cancelled listing must not request another page.
                biased;
                more = requests.recv() => match more {
                    Some(request) => self.take(request),
                    None => return,
                },
                Some(ended) = self.under_way.next() => self.end(ended),
                () = sleep_until(self.listing_at) => self.list(),
                () = sleep_until(expires) => self.known.expire(),
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Find { name, answer } => {
                let now = Instant::now();
                self.open.entry(name.clone()).or_insert((now, now)).1 = now;
                if let Some(waiting) = self.waiting.get_mut(&name) {
                    waiting.push(answer);
                    return;
                }
                self.waiting.insert(name.clone(), vec![answer]);
                // With many names ahead it would wait for a listing. A listing that is still valid may already answer
                // it.
                if self.queue.len() < LISTING_THRESHOLD || !self.answer_from_listing(&name) {
                    self.queue.push_back(name);
                }
            }
            Request::Listing { since, answer } => {
                if self.known.listing(since).is_some() || self.known.failure().is_some() {
                    let _ = answer.send(());
                } else {
                    self.listers.push((since, answer));
                }
            }
            Request::GiveUp => {
                // Dropping the senders tells their receivers.
                *self = Self {
                    open: std::mem::take(&mut self.open),
                    ..Self::new(self.client.clone(), self.known.clone())
                };
            }
        }
    }

    /// Starts the searches and listings that may start now.
    fn begin(&mut self) {
        if self.queue.len() <= LISTING_THRESHOLD && !self.searching {
            self.search();
        }
        let needed =
            self.queue.len() > LISTING_THRESHOLD || !self.for_listing.is_empty() || !self.listers.is_empty();
        if needed && !self.listing && self.listing_at.is_none() {
            self.listing_at = Some(Instant::now() + BATCH_WINDOW);
        }
    }

    /// Searches for the name that has waited longest, unless no caller waits for it any more.
    fn search(&mut self) {
        while let Some(name) = self.queue.pop_front() {
            if self.is_given_up(&name) {
                self.waiting.remove(&name);
                continue;
            }
            if self.known.record_request(&name) {
                self.leave_to_listing(name);
                continue;
            }
            let alone = self.queue.is_empty() && self.for_listing.is_empty() && !self.listing;
            let client =
                self.client.with_priority(if alone { Priority::Interactive } else { Priority::Background });
            let search = async move {
                let found = client.search_customers(&name).await;
                Ended::Search(name, found)
            };
            self.under_way.push(search.boxed());
            self.searching = true;
            return;
        }
    }

    /// Resolves a name by a listing: by one that is still valid, or by the next one.
    fn leave_to_listing(&mut self, name: String) {
        if !self.answer_from_listing(&name) {
            self.for_listing.insert(name);
        }
    }

    /// Answers a name from a listing that began after its first request. Answers with the error of the last listing
    /// while the next one may not start.
    fn answer_from_listing(&mut self, name: &str) -> bool {
        let asked = self.open.get(name).map_or_else(Instant::now, |(first, _)| *first);
        let since = self.known.distrusted_since(name).map_or(asked, |distrusted| distrusted.max(asked));
        let found = match (self.known.listing(since), self.known.failure()) {
            (Some(listing), _) => listing.find(name),
            (None, Some(error)) => Err(error),
            (None, None) => return false,
        };
        self.answer(name, &found);
        true
    }

    /// Lists all tenants for every name that needs it. If many names wait, that is all of them.
    fn list(&mut self) {
        self.listing_at = None;
        let mut names = std::mem::take(&mut self.for_listing);
        if self.queue.len() > LISTING_THRESHOLD {
            names.extend(self.queue.drain(..));
        }
        names.retain(|name| {
            let wanted = !self.is_given_up(name);
            if !wanted {
                self.waiting.remove(name);
            }
            wanted
        });
        self.listers.retain(|(_, answer)| !answer.is_closed());
        if names.is_empty() && self.listers.is_empty() {
            return;
        }
        let begun = Instant::now();
        self.open.retain(|name, (_, last)| names.contains(name) || last.elapsed() < FORGOTTEN_AFTER);
        // A name that is being searched for is included: similar names must be known for it as well.
        let asked: HashSet<String> = self.open.keys().chain(&names).cloned().collect();
        let client = self.client.with_priority(Priority::Background);
        let listing = async move {
            let listed = client.list_customers(&asked).await;
            Ended::Listing { names, begun, listed }
        };
        self.under_way.push(listing.boxed());
        self.listing = true;
    }

    fn end(&mut self, ended: Ended) {
        match ended {
            Ended::Search(name, found) => {
                self.searching = false;
                match found.transpose() {
                    Some(found) => {
                        if found.is_ok() {
                            self.open.remove(&name);
                        }
                        self.answer(&name, &found);
                    }
                    None => self.leave_to_listing(name),
                }
            }
            Ended::Listing { names, begun, listed: Ok(Answer { value: customers, date }) } => {
                self.listing = false;
                let listing = Arc::new(Listing { customers, date, begun });
                self.known.listed(listing.clone());
                for name in names {
                    self.answer(&name, &listing.find(&name));
                }
                // The listing may also answer names that were requested meanwhile.
                for name in std::mem::take(&mut self.for_listing) {
                    self.leave_to_listing(name);
                }
                // A caller that needs a later listing waits for the next one.
                let served = self.listers.extract_if(.., |(since, _)| *since <= begun);
                for (_, answer) in served {
                    let _ = answer.send(());
                }
            }
            Ended::Listing { names, listed: Err(error), .. } => {
                self.listing = false;
                // Names that were requested meanwhile fail as well. They would only start another listing at once.
                let mut failed: Vec<String> = names.into_iter().chain(self.for_listing.drain()).collect();
                if self.queue.len() > LISTING_THRESHOLD {
                    failed.extend(self.queue.drain(..));
                }
                for name in failed {
                    self.answer(&name, &Err(error.clone()));
                }
                self.known.failed(error);
                for (_, answer) in self.listers.drain(..) {
                    let _ = answer.send(());
                }
            }
        }
    }

    fn answer(&mut self, name: &str, found: &Found) {
        for waiting in self.waiting.remove(name).unwrap_or_default() {
            // A caller that has given up does not need the answer.
            let _ = waiting.send(found.clone());
        }
    }

    fn is_given_up(&self, name: &str) -> bool {
        self.waiting.get(name).is_none_or(|waiting| waiting.iter().all(oneshot::Sender::is_closed))
    }
}

#[cfg(test)]
#[cfg(all(feature = "simulator", feature = "test-support"))]
mod tests;
