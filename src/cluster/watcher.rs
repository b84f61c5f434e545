//! A watch of one kind: a list that arrives object by object, then each change, without end.
//!
//! It yields the events of kube's watcher and differs in three ways.
//! * Memory does not depend on the size of the objects: the API server streams the list where it can, and pages are
//!   small where it cannot.
//! * A silent connection is given up within a minute.
//! * If a server shows an older state than before, as after a restore of etcd, everything is read again.

mod source;

use std::time::Duration;

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use kube::{
    Resource, ResourceExt,
    core::WatchEvent,
    runtime::watcher::{Error, Event},
};
pub use source::Collection;
use source::{Page, Source, Start};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::is_older_version;
use crate::backoff::Backoff;

/// The time limits.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// A list or a watch must answer within this time.
    answer: Duration,
    /// A streaming list must deliver the next object within this time.
    next: Duration,
    /// A watch that has not ended by then is broken: the API server should have ended it before.
    watch: Duration,
    /// A watch that ends before this age was interrupted.
    least_age: Duration,
    /// The least time between two lists that follow interruptions.
    lists_apart: Duration,
    /// The longest pause after a failure.
    pause: Duration,
}

/// The API server ends a watch after this number of seconds.
const WATCH_SECONDS: u32 = 40;

/// The API server ends a streaming list after this number of seconds.
const LIST_SECONDS: u32 = 290;

const TIMING: Timing = Timing {
    answer: Duration::from_secs(10),
    next: Duration::from_secs(20),
    watch: Duration::from_secs(WATCH_SECONDS as u64 + 7),
    least_age: Duration::from_secs(WATCH_SECONDS as u64 - 2),
    lists_apart: Duration::from_secs(30),
    pause: Duration::from_secs(5),
};

/// The longest pause after the first failure. It doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The annotation of the bookmark that ends a list.
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// Since when a watch is interrupted; `None` while it is established.
pub type Interrupted = watch::Receiver<Option<Instant>>;

/// A watch of a collection that resumes after each interruption, without end.
pub struct Watcher<S: Source> {
    source: S,
    timing: Timing,
    state: State<S::Object>,
    /// Whether the API server streams lists.
    streams: bool,
    /// The next list comes in pages, because the last streaming list did not end.
    pages_next: bool,
    /// Failures in a row.
    failures: u32,
    /// The pause before the next request.
    pause: Option<Duration>,
    /// When the last list began.
    listed: Option<Instant>,
    /// When everything is read again: behind an interruption the server may show another state.
    list_again: Option<Instant>,
    interrupted: watch::Sender<Option<Instant>>,
}

enum State<K> {
    /// The start of a list is to be announced.
    Begin,
    /// A list is to be requested.
    List,
    /// A list is streaming.
    Streaming { events: BoxStream<'static, kube::Result<WatchEvent<K>>> },
    /// A list comes in pages. These objects of the last page are not yet handed on.
    Paging { objects: std::vec::IntoIter<K>, next: Option<String>, version: Option<String> },
    /// A watch is to resume from this version.
    Resume { version: String },
    /// The watch is established.
    Watching { version: String, events: BoxStream<'static, kube::Result<WatchEvent<K>>>, begun: Instant },
}

impl<S> Watcher<S>
where
    S: Source,
    S::Object: Resource,
{
    /// A watch that has not started.
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

    /// The same watch, which reports in this channel since when it is interrupted.
    #[must_use]
    pub fn notify(self, interrupted: watch::Sender<Option<Instant>>) -> Self {
        Self { interrupted, ..self }
    }

    /// The events, without end. After an error the watch goes on, after a pause of at most 5 s.
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
                // The start is announced before the request: a caller that waits for a list from after some moment
                // relies on it.
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
            // An API server that cannot stream lists answers that the request is invalid.
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
            // An object that the list delivered cannot be taken back, so the list has failed.
            Ok(None | Some(Ok(WatchEvent::Deleted(_)))) => None,
            Err(_) => Some(Error::WatchFailed(silent(self.timing.next))),
        };
        // Pages need only the API server's storage.
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
            // The version is too old, or the kind is gone and may come back as another one.
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
        if is_older_version(&reached, &version) {
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

    /// Records that the watch is established.
    fn stands(&mut self) {
        self.failures = 0;
        self.interrupted.send_if_modified(|since| since.take().is_some());
    }

    /// Records that a request or a stream failed, and continues in this state.
    fn failed(&mut self, state: State<S::Object>, error: Error) -> Error {
        self.interrupted
            .send_if_modified(|since| since.replace(since.unwrap_or_else(Instant::now)).is_none());
        let backoff = Backoff::new(Duration::ZERO, FIRST_PAUSE, self.timing.pause);
        let pause = backoff.limit(self.failures);
        self.failures = self.failures.saturating_add(1);
        // The jitter keeps replicas and kinds from retrying at the same moment.
        self.pause = Some(pause.mul_f64(rand::random_range(0.5..=1.0)));
        self.state = state;
        error
    }

    /// Records that a watch was interrupted or could not resume. The server may now show another state under the same
    /// versions: etcd may have been restored, or the cluster replaced. So everything is read again, but not more often
    /// than `lists_apart`.
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

#[cfg(test)]
mod tests;
