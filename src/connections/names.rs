//! Finds the tenants that bear a name: one at a time while they are few, all at once when they are many.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::platform::{Answer, FoundNames, Lane, PlatformClient, PlatformError, TenantId};

/// When more names than this wait, one listing of all tenants is cheaper: it has a hundred tenants on a page,
/// and no search has more than one name.
const FEW: usize = 100;

/// How long a listing waits for further names. One that comes too late needs a listing of its own.
const GATHERING: Duration = Duration::from_millis(50);

/// The ids of the customers of one name.
type Found = Result<Answer<Vec<TenantId>>, PlatformError>;

/// Takes names and finds their bearers. Cheap to clone; its task ends with the last clone.
#[derive(Clone, Debug)]
pub struct Names {
    asked: mpsc::UnboundedSender<Asked>,
    client: PlatformClient,
}

#[derive(Debug)]
struct Asked {
    name: String,
    answer: oneshot::Sender<Found>,
}

/// What the task of one connection keeps: nothing but names that somebody waits for.
struct Desk {
    client: PlatformClient,
    /// Who waits for what. A name that is asked for again while it is looked up joins those who wait.
    waiting: HashMap<String, Vec<oneshot::Sender<Found>>>,
    /// The names whose search has not begun, first come, first served.
    queue: VecDeque<String>,
    /// Names that no search can find for certain, for the next listing.
    for_listing: HashSet<String>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    searching: bool,
    listing: bool,
    /// When the next listing begins, once that is known.
    listing_at: Option<Instant>,
}

/// A lookup that is over.
enum Ended {
    /// `Ok(None)`: the search cannot be complete.
    Search(String, Result<Option<Answer<Vec<TenantId>>>, PlatformError>),
    Listing(HashSet<String>, Result<Answer<FoundNames>, PlatformError>),
}

impl Names {
    /// Starts the task that looks names up through one connection.
    #[must_use]
    pub fn start(client: PlatformClient) -> Self {
        let (asked, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Desk::new(client.clone()).serve(receiver));
        Self { asked, client }
    }

    /// The ids of the customers of exactly this name, case counted, anywhere below the connection's own tenant.
    ///
    /// However many ask, there is one search and one listing under way at most, and equal names share one.
    ///
    /// # Errors
    /// What [`PlatformClient::customers_named`] fails with.
    pub async fn find(&self, name: &str) -> Found {
        let (answer, answered) = oneshot::channel();
        if self.asked.send(Asked { name: name.to_owned(), answer }).is_err() {
            return self.client.customers_named(name).await;
        }
        match answered.await {
            Ok(found) => found,
            Err(_) => self.client.customers_named(name).await,
        }
    }
}

impl Desk {
    fn new(client: PlatformClient) -> Self {
        Self {
            client,
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            for_listing: HashSet::new(),
            under_way: FuturesUnordered::new(),
            searching: false,
            listing: false,
            listing_at: None,
        }
    }

    async fn serve(mut self, mut asked: mpsc::UnboundedReceiver<Asked>) {
        loop {
            self.begin();
            tokio::select! {
                more = asked.recv() => match more {
                    Some(asked) => self.take(asked),
                    None => return,
                },
                Some(ended) = self.under_way.next() => self.end(ended),
                () = at(self.listing_at) => self.list(),
            }
        }
    }

    fn take(&mut self, asked: Asked) {
        let waiting = self.waiting.entry(asked.name).or_insert_with_key(|name| {
            self.queue.push_back(name.clone());
            Vec::new()
        });
        waiting.push(asked.answer);
    }

    /// Begins what can be begun.
    fn begin(&mut self) {
        if self.queue.len() <= FEW && !self.searching {
            self.search();
        }
        let needed = self.queue.len() > FEW || !self.for_listing.is_empty();
        if needed && !self.listing && self.listing_at.is_none() {
            self.listing_at = Some(Instant::now() + GATHERING);
        }
    }

    /// Searches for the name that has waited longest, unless nobody waits for it any more.
    fn search(&mut self) {
        while let Some(name) = self.queue.pop_front() {
            if self.is_given_up(&name) {
                self.waiting.remove(&name);
                continue;
            }
            let alone = self.queue.is_empty() && self.for_listing.is_empty() && !self.listing;
            let client = self.client.in_lane(if alone { Lane::Urgent } else { Lane::Bulk });
            let search = async move {
                let found = client.search_customers(&name).await;
                Ended::Search(name, found)
            };
            self.under_way.push(search.boxed());
            self.searching = true;
            return;
        }
    }

    /// Lists all tenants for the sake of the names that need it: of all that wait, when they are many.
    fn list(&mut self) {
        self.listing_at = None;
        let mut names = std::mem::take(&mut self.for_listing);
        if self.queue.len() > FEW {
            names.extend(self.queue.drain(..));
        }
        names.retain(|name| {
            let wanted = !self.is_given_up(name);
            if !wanted {
                self.waiting.remove(name);
            }
            wanted
        });
        if names.is_empty() {
            return;
        }
        let client = self.client.in_lane(Lane::Bulk);
        let listing = async move {
            let found = client.list_customers(names.clone()).await;
            Ended::Listing(names, found)
        };
        self.under_way.push(listing.boxed());
        self.listing = true;
    }

    fn end(&mut self, ended: Ended) {
        match ended {
            Ended::Search(name, found) => {
                self.searching = false;
                match found.transpose() {
                    Some(found) => self.answer(&name, &found),
                    None => drop(self.for_listing.insert(name)),
                }
            }
            Ended::Listing(names, Ok(Answer { value: mut found, date })) => {
                self.listing = false;
                for name in names {
                    let ids = found.remove(&name).unwrap_or_else(|| Ok(Vec::new()));
                    self.answer(&name, &ids.map(|value| Answer { value, date }));
                }
            }
            Ended::Listing(names, Err(error)) => {
                self.listing = false;
                for name in names {
                    self.answer(&name, &Err(error.clone()));
                }
            }
        }
    }

    fn answer(&mut self, name: &str, found: &Found) {
        for waiting in self.waiting.remove(name).unwrap_or_default() {
            // Whoever has given up does not need it.
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
#[cfg(feature = "simulator")]
mod tests;
