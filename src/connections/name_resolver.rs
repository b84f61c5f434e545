//! Finds the customer that a name leads to, and proves who bears a name.
//!
//! A name is *found* by search where that shows exactly one customer, which is enough to observe it. It is *proved*
//! by a listing of all tenants below the connection's own, because search lags and skips some tenants. One listing
//! serves all names for ten minutes, but for those first asked for after it began.

mod listings;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::listings::{Listing, ListingCache};
use crate::{
    clock::Clock,
    platform::{Answer, Customers, NameMatches, PlatformClient, PlatformError, Priority, TenantId},
};

/// When more names than this wait, one listing of all tenants is cheaper: it has a hundred tenants on a page,
/// and no search has more than one name.
const LISTING_THRESHOLD: usize = 100;

/// How long a listing waits for further names. One that comes too late needs a listing of its own.
const BATCH_WINDOW: Duration = Duration::from_millis(50);

/// A name that led to no single customer is forgotten when no one has asked for it for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// Who bears a name.
type Found = Result<Answer<NameMatches>, PlatformError>;

/// Takes names and finds their bearers. Cheap to clone; its task ends with the last clone.
#[derive(Clone, Debug)]
pub struct NameResolver {
    asked: mpsc::UnboundedSender<Asked>,
    client: PlatformClient,
    known: ListingCache,
    stopped: CancellationToken,
}

#[derive(Debug)]
enum Asked {
    /// Which customer a name leads to.
    Find { name: String, answer: oneshot::Sender<Found> },
    /// A listing that began no earlier than this.
    Listing { since: Instant, answer: oneshot::Sender<()> },
    /// What is under way, and what waits, is given up.
    GiveUp,
}

/// What the task of one connection keeps.
struct ResolverTask {
    client: PlatformClient,
    known: ListingCache,
    /// Who waits for which name. A name that is asked for again while it is looked up joins those who wait.
    waiting: HashMap<String, Vec<oneshot::Sender<Found>>>,
    /// Names that search does not lead to one customer: when each was asked for first, and last.
    open: HashMap<String, (Instant, Instant)>,
    /// The names whose search has not begun, first come, first served.
    queue: VecDeque<String>,
    /// Names that no search can find for certain, for the next listing.
    for_listing: HashSet<String>,
    /// Who waits for a listing that begins no earlier than this.
    listers: Vec<(Instant, oneshot::Sender<()>)>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    searching: bool,
    listing: bool,
    /// When the next listing begins, once that is known.
    listing_at: Option<Instant>,
}

/// A lookup that is over.
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
    /// Starts the task that looks names up through one connection.
    #[must_use]
    pub fn start(client: PlatformClient, clock: Clock) -> Self {
        let (asked, receiver) = mpsc::unbounded_channel();
        let (known, stopped) = (ListingCache::new(clock), CancellationToken::new());
        let serving = ResolverTask::new(client.clone(), known.clone()).serve(receiver);
        tokio::spawn(stopped.clone().run_until_cancelled_owned(serving));
        Self { asked, client, known, stopped }
    }

    /// Sends no further request, for good: another client has taken the place of this one, or the connection is gone.
    /// All who wait hear that it was given up.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Gives up what is under way and what waits: this process leads no longer. Later calls are served.
    pub fn give_up(&self) {
        let _ = self.asked.send(Asked::GiveUp);
    }

    /// The customers of exactly this name, case counted, anywhere below the connection's own tenant. One that
    /// search shows may not be the only one: see [`NameResolver::proof`].
    ///
    /// However many ask, there is one search and one listing under way at most, and equal names share one.
    ///
    /// # Errors
    /// Any class that a read of the platform can end in.
    pub async fn find(&self, name: &str) -> Found {
        let (answer, answered) = oneshot::channel();
        // What could not be sent holds the sender of its answer, and must be dropped before the wait.
        let asked = self.asked.send(Asked::Find { name: name.to_owned(), answer }).is_ok();
        match (asked, answered.await) {
            (true, Ok(found)) => found,
            // The task has panicked.
            _ if self.asked.is_closed() && !self.stopped.is_cancelled() => {
                self.client.customers_named(name).await
            }
            _ => Err(PlatformError::name_search_cancelled()),
        }
    }

    /// Waits for the end of a listing that began no earlier than `since`, successful or not. What it showed, or why
    /// it failed, is then to be had from [`NameResolver::proof`]. Returns at once if there is one already, or if one
    /// failed just now.
    pub async fn list(&self, since: Instant) {
        let (answer, answered) = oneshot::channel();
        let _ = self.asked.send(Asked::Listing { since, answer });
        let _ = answered.await;
    }

    /// The ids of all customers of a name, as a listing has shown that is at most ten minutes old and began no
    /// earlier than `since`. `None` without such a listing.
    ///
    /// # Errors
    /// Why the last listing failed, until it may be tried again.
    #[must_use]
    pub fn proof(&self, name: &str, since: Instant) -> Option<Result<Vec<TenantId>, PlatformError>> {
        self.known.proof(name, since)
    }

    /// Why the last listing failed, until it may be tried again.
    #[must_use]
    pub fn failure(&self) -> Option<PlatformError> {
        self.known.failure()
    }

    /// What search says of this name is wrong: from now on it is looked up by listing. False if that is known
    /// already, so that there is nothing new to be had by looking it up again.
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

    async fn serve(mut self, mut asked: mpsc::UnboundedReceiver<Asked>) {
        loop {
            self.begin();
            let expires = self.known.expires();
            tokio::select! {
                // In this order: what is given up asks for no further page.
                biased;
                more = asked.recv() => match more {
                    Some(asked) => self.take(asked),
                    None => return,
                },
                Some(ended) = self.under_way.next() => self.end(ended),
                () = at(self.listing_at) => self.list(),
                () = at(expires) => self.known.expire(),
            }
        }
    }

    fn take(&mut self, asked: Asked) {
        match asked {
            Asked::Find { name, answer } => {
                let now = Instant::now();
                self.open.entry(name.clone()).or_insert((now, now)).1 = now;
                if let Some(waiting) = self.waiting.get_mut(&name) {
                    waiting.push(answer);
                    return;
                }
                self.waiting.insert(name.clone(), vec![answer]);
                // Behind many others it would be listed: a listing that is still good may have shown it already.
                if self.queue.len() < LISTING_THRESHOLD || !self.answer_from_listing(&name) {
                    self.queue.push_back(name);
                }
            }
            Asked::Listing { since, answer } => {
                if self.known.listing(since).is_some() || self.known.failure().is_some() {
                    let _ = answer.send(());
                } else {
                    self.listers.push((since, answer));
                }
            }
            Asked::GiveUp => {
                // The answers are dropped with those who wait for them.
                *self = Self {
                    open: std::mem::take(&mut self.open),
                    ..Self::new(self.client.clone(), self.known.clone())
                };
            }
        }
    }

    /// Begins what can be begun.
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

    /// Searches for the name that has waited longest, unless no one waits for it any more.
    fn search(&mut self) {
        while let Some(name) = self.queue.pop_front() {
            if self.is_given_up(&name) {
                self.waiting.remove(&name);
                continue;
            }
            if self.known.is_distrusted(&name) {
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

    /// Answers a name that search cannot answer: from a listing that is still good, or from the next one.
    fn leave_to_listing(&mut self, name: String) {
        if !self.answer_from_listing(&name) {
            self.for_listing.insert(name);
        }
    }

    /// Answers a name from a listing that began after it was asked for first, or with the failure of the last one,
    /// if it is not yet to be tried again.
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

    /// Lists all tenants for the sake of all that need it: of all names that wait, when they are many.
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
        // Of a name that is being searched for, too, a similar one is to be known.
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
                // Of those that came meanwhile it may answer some as well.
                for name in std::mem::take(&mut self.for_listing) {
                    self.leave_to_listing(name);
                }
                // Who asked for one that begins later waits for the next.
                let served = self.listers.extract_if(.., |(since, _)| *since <= begun);
                for (_, answer) in served {
                    let _ = answer.send(());
                }
            }
            Ended::Listing { names, listed: Err(error), .. } => {
                self.listing = false;
                // Those that came meanwhile would only list again at once.
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
            // Who has given up does not need it.
            let _ = waiting.send(found.clone());
        }
    }

    fn is_given_up(&self, name: &str) -> bool {
        self.waiting.get(name).is_none_or(|waiting| waiting.iter().all(oneshot::Sender::is_closed))
    }
}

/// Waits for an instant, or for ever.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[cfg(all(feature = "simulator", feature = "test-support"))]
mod tests;
