//! A watch of one kind: a list that comes in object by object, and then each change, without end.
//!
//! It yields the events of kube's watcher and differs in three ways. Memory does not depend on how large the objects
//! are: the API server streams the list where it can, and pages are small where it cannot. A connection that says
//! nothing is given up within a minute. And a server that shows an older state than before, as after a restore of
//! etcd, has everything read again.

mod source;

use std::time::Duration;

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use kube::{
    Resource, ResourceExt,
    core::WatchEvent,
    runtime::watcher::{Error, Event},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

pub use source::Collection;
use source::{Page, Source, Start};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// A list or a watch answers within this time.
    answer: Duration,
    /// A list that streams brings the next object within this time.
    next: Duration,
    /// A watch that has not ended by then is deaf: the API server was to end it before.
    watch: Duration,
    /// A watch that ends before this age was broken off.
    least_age: Duration,
    /// Lists that follow a break begin so far apart.
    lists_apart: Duration,
    /// The longest pause after a failure.
    pause: Duration,
}

/// The API server is told to end a watch after this number of seconds.
const WATCH_SECONDS: u32 = 40;

/// The API server is told to end a list that streams after this number of seconds.
const LIST_SECONDS: u32 = 290;

const TIMING: Timing = Timing {
    answer: Duration::from_secs(10),
    next: Duration::from_secs(20),
    watch: Duration::from_secs(WATCH_SECONDS as u64 + 7),
    least_age: Duration::from_secs(WATCH_SECONDS as u64 - 2),
    lists_apart: Duration::from_secs(30),
    pause: Duration::from_secs(5),
};

/// The pause after the first failure. It doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The annotation of the bookmark that ends a list.
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// Since when a watch is interrupted; none while it stands.
pub type Interrupted = watch::Receiver<Option<Instant>>;

/// One watch.
pub struct Watcher<S: Source> {
    source: S,
    timing: Timing,
    state: State<S::Object>,
    /// Whether the API server streams lists.
    streams: bool,
    /// The next list comes in pages, because the last one that streamed did not end.
    pages_next: bool,
    /// Failures in a row.
    failures: u32,
    /// What the next request waits for.
    pause: Option<Duration>,
    /// When the last list began.
    listed: Option<Instant>,
    /// Everything is read again at this time: a break may hide that another state is served.
    list_again: Option<Instant>,
    interrupted: watch::Sender<Option<Instant>>,
}

enum State<K> {
    /// A list is to be announced.
    Begin,
    /// A list is to be asked for.
    List,
    /// A list streams.
    Streaming { events: BoxStream<'static, kube::Result<WatchEvent<K>>> },
    /// A list comes in pages; these objects of the last page are not handed on yet.
    Paging { objects: std::vec::IntoIter<K>, next: Option<String>, version: Option<String> },
    /// A watch is to go on from this version.
    Resume { version: String },
    /// The watch stands.
    Watching { version: String, events: BoxStream<'static, kube::Result<WatchEvent<K>>>, begun: Instant },
}

impl<S> Watcher<S>
where
    S: Source,
    S::Object: Resource,
{
    /// A watch that has not begun.
    #[must_use]
    pub fn new(source: S) -> Self {
        Self {
            source,
            timing: TIMING,
            state: State::Begin,
            streams: true,
            pages_next: false,
            failures: 0,
            pause: None,
            listed: None,
            list_again: None,
            interrupted: watch::Sender::new(None),
        }
    }

    /// The same watch, which says in this channel since when it is interrupted.
    #[must_use]
    pub fn tell(self, interrupted: watch::Sender<Option<Instant>>) -> Self {
        Self { interrupted, ..self }
    }

    /// The events, without end. After an error the watch goes on, with a pause of 5 s at most.
    pub fn events(self) -> impl Stream<Item = Result<Event<S::Object>, Error>> + Send {
        stream::unfold(self, |mut watcher| async move {
            let event = watcher.next().await;
            Some((event, watcher))
        })
    }

    async fn next(&mut self) -> Result<Event<S::Object>, Error> {
        loop {
            if let Some(pause) = self.pause.take() {
                sleep(pause).await;
            }
            let state = std::mem::replace(&mut self.state, State::Begin);
            if let Some(event) = self.step(state).await {
                return event;
            }
        }
    }

    async fn step(&mut self, state: State<S::Object>) -> Option<Result<Event<S::Object>, Error>> {
        match state {
            State::Begin => {
                // Announced before it is asked for: who waits for a list that began after some moment relies on it.
                self.listed = Some(Instant::now());
                self.list_again = None;
                self.state = State::List;
                Some(Ok(Event::Init))
            }
            State::List => self.list().await,
            State::Streaming { events } => self.streamed(events).await,
            State::Paging { mut objects, next, version } => match objects.next() {
                Some(object) => {
                    self.state = State::Paging { objects, next, version };
                    Some(Ok(Event::InitApply(object)))
                }
                None if next.is_some() => self.page(next).await,
                None => Some(Ok(self.end_list(version.unwrap_or_default()))),
            },
            State::Resume { version } => self.resume(version).await,
            State::Watching { version, events, begun } => self.watched(version, events, begun).await,
        }
    }

    async fn list(&mut self) -> Option<Result<Event<S::Object>, Error>> {
        if !self.streams || std::mem::take(&mut self.pages_next) {
            return self.page(None).await;
        }
        match timeout(self.timing.answer, self.source.watch(Start::WithList, LIST_SECONDS)).await {
            Ok(Ok(events)) => {
                self.state = State::Streaming { events };
                None
            }
            // An API server that cannot stream lists says that the request is invalid.
            Ok(Err(kube::Error::Api(status))) if status.code == 422 || status.code == 400 => {
                self.streams = false;
                self.page(None).await
            }
            Ok(Err(error)) => Some(Err(self.failed(State::Begin, Error::WatchStartFailed(error)))),
            Err(_) => {
                let error = Error::WatchStartFailed(silent(self.timing.answer));
                Some(Err(self.failed(State::Begin, error)))
            }
        }
    }

    async fn streamed(
        &mut self,
        mut events: BoxStream<'static, kube::Result<WatchEvent<S::Object>>>,
    ) -> Option<Result<Event<S::Object>, Error>> {
        let error = match timeout(self.timing.next, events.next()).await {
            Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
                self.state = State::Streaming { events };
                return Some(Ok(Event::InitApply(object)));
            }
            Ok(Some(Ok(WatchEvent::Bookmark(bookmark)))) => {
                if !bookmark.metadata.annotations.contains_key(END_OF_LIST) {
                    self.state = State::Streaming { events };
                    return None;
                }
                return Some(Ok(self.end_list(bookmark.metadata.resource_version)));
            }
            Ok(Some(Ok(WatchEvent::Error(status)))) => Some(Error::WatchError(status)),
            Ok(Some(Err(error))) => Some(Error::WatchFailed(error)),
            // What the list has brought cannot be taken back from it.
            Ok(None | Some(Ok(WatchEvent::Deleted(_)))) => None,
            Err(_) => Some(Error::WatchFailed(silent(self.timing.next))),
        };
        // Pages need nothing but the store itself.
        self.pages_next = true;
        self.state = State::Begin;
        error.map(|error| Err(self.failed(State::Begin, error)))
    }

    async fn page(&mut self, token: Option<String>) -> Option<Result<Event<S::Object>, Error>> {
        // A page is larger than an event.
        let limit = self.timing.answer * 3;
        match timeout(limit, self.source.page(token.as_deref())).await {
            Ok(Ok(Page { objects, next, version })) => {
                if next.is_none() && version.is_none() {
                    return Some(Err(self.failed(State::Begin, Error::NoResourceVersion)));
                }
                self.state = State::Paging { objects: objects.into_iter(), next, version };
                None
            }
            Ok(Err(error)) => Some(Err(self.failed(State::Begin, Error::InitialListFailed(error)))),
            Err(_) => Some(Err(self.failed(State::Begin, Error::InitialListFailed(silent(limit))))),
        }
    }

    fn end_list(&mut self, version: String) -> Event<S::Object> {
        self.stands();
        self.state = State::Resume { version };
        Event::InitDone
    }

    async fn resume(&mut self, version: String) -> Option<Result<Event<S::Object>, Error>> {
        let begun = Instant::now();
        match timeout(self.timing.answer, self.source.watch(Start::After(&version), WATCH_SECONDS)).await {
            Ok(Ok(events)) => {
                self.interrupted.send_if_modified(|since| since.take().is_some());
                self.state = State::Watching { version, events, begun };
                None
            }
            // The version is too old, or the kind is gone and another one may come in its place.
            Ok(Err(error)) if is_api_error(&error, &[404, 410]) => {
                Some(Err(self.failed(State::Begin, Error::WatchStartFailed(error))))
            }
            Ok(Err(error)) => Some(Err(self.broken(version, Error::WatchStartFailed(error)))),
            Err(_) => {
                let error = Error::WatchStartFailed(silent(self.timing.answer));
                Some(Err(self.broken(version, error)))
            }
        }
    }

    async fn watched(
        &mut self,
        version: String,
        mut events: BoxStream<'static, kube::Result<WatchEvent<S::Object>>>,
        begun: Instant,
    ) -> Option<Result<Event<S::Object>, Error>> {
        let deaf = begun + self.timing.watch;
        let until = self.list_again.map_or(deaf, |again| again.min(deaf));
        let event = match timeout_at(until, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Some(Err(self.broken(version, Error::WatchFailed(error)))),
            Ok(None) if begun.elapsed() >= self.timing.least_age => {
                self.stands();
                self.state = State::Resume { version };
                return None;
            }
            Ok(None) => {
                let error = kube::Error::Service("the connection was closed before the watch ended".into());
                return Some(Err(self.broken(version, Error::WatchFailed(error))));
            }
            Err(_) if until < deaf => {
                self.state = State::Begin;
                return None;
            }
            Err(_) => return Some(Err(self.broken(version, Error::WatchFailed(silent(self.timing.watch))))),
        };
        let (reached, event) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                (object.resource_version(), Some(Event::Apply(object)))
            }
            WatchEvent::Deleted(object) => (object.resource_version(), Some(Event::Delete(object))),
            WatchEvent::Bookmark(bookmark) => (Some(bookmark.metadata.resource_version), None),
            WatchEvent::Error(status) if status.code == 410 => {
                return Some(Err(self.failed(State::Begin, Error::WatchError(status))));
            }
            WatchEvent::Error(status) => return Some(Err(self.broken(version, Error::WatchError(status)))),
        };
        let Some(reached) = reached.filter(|reached| !reached.is_empty()) else {
            return Some(Err(self.failed(State::Begin, Error::NoResourceVersion)));
        };
        if is_before(&reached, &version) {
            tracing::warn!(
                known = version,
                shown = reached,
                "the API server shows an older state than before, as after a restore of etcd; all objects are \
                 read again"
            );
            self.pause = Some(FIRST_PAUSE);
            self.state = State::Begin;
            return None;
        }
        self.failures = 0;
        self.state = State::Watching { version: reached, events, begun };
        event.map(Ok)
    }

    /// All is well.
    fn stands(&mut self) {
        self.failures = 0;
        self.interrupted.send_if_modified(|since| since.take().is_some());
    }

    /// A request or a stream failed, and the watch goes on in this state.
    fn failed(&mut self, state: State<S::Object>, error: Error) -> Error {
        self.interrupted
            .send_if_modified(|since| since.replace(since.unwrap_or_else(Instant::now)).is_none());
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(self.timing.pause);
        self.failures = self.failures.saturating_add(1);
        // Not all replicas and kinds at the same moment.
        self.pause = Some(pause.mul_f64(rand::random_range(0.5..=1.0)));
        self.state = state;
        error
    }

    /// A watch broke, or could not go on. Behind a break may stand another state under the same versions: etcd may
    /// have been restored, or the cluster replaced. So everything is read again, at most once in a while.
    fn broken(&mut self, version: String, error: Error) -> Error {
        let again = self.listed.map_or_else(Instant::now, |listed| listed + self.timing.lists_apart);
        if again <= Instant::now() {
            return self.failed(State::Begin, error);
        }
        self.list_again = Some(again);
        self.failed(State::Resume { version }, error)
    }
}

fn is_api_error(error: &kube::Error, codes: &[u16]) -> bool {
    matches!(error, kube::Error::Api(status) if codes.contains(&status.code))
}

fn silent(limit: Duration) -> kube::Error {
    kube::Error::Service(format!("the API server said nothing for {} s", limit.as_secs()).into())
}

/// Whether one version is before another, as far as both are numbers.
fn is_before(version: &str, other: &str) -> bool {
    match (version.parse::<u128>(), other.parse::<u128>()) {
        (Ok(version), Ok(other)) => version < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
