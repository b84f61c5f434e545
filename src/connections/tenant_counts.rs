//! Decides when the tenant counters of a connection are written: soon, but not often.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::cluster::Key;

/// The counters of one connection are written at most once in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// Decides when the counters of each connection are written. Cheap to clone; clones share everything.
///
/// The connection's own reconcile writes them with the rest of the status. This type only requests that reconcile.
#[derive(Clone)]
pub struct CountUpdates {
    connections: Arc<Mutex<HashMap<Key, WriteTimes>>>,
    due: mpsc::UnboundedSender<(Key, Instant)>,
}

#[derive(Default)]
struct WriteTimes {
    /// The time of the last write.
    last: Option<Instant>,
    /// When the requested reconcile is due that has not written them yet.
    requested: Option<Instant>,
}

impl WriteTimes {
    /// The earliest time of the next write.
    fn earliest(&self) -> Option<Instant> {
        self.last.map(|last| last + PAUSE)
    }
}

impl CountUpdates {
    /// The decider, and the stream of the connections whose reconcile is due.
    pub fn new() -> (Self, impl Stream<Item = Key> + Send + 'static) {
        let (due, receiver) = mpsc::unbounded_channel::<(Key, Instant)>();
        let requests = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|request| (request, receiver))
        });
        // Each connection has one request, or two for a moment.
        let due_reconciles = requests
            .map(|(connection, due)| async move {
                if Instant::now() < due {
                    sleep_until(due).await;
                }
                connection
            })
            .buffer_unordered(usize::MAX);
        (Self { connections: Arc::default(), due }, due_reconciles)
    }

    /// Records that the counts of this connection have changed. They are written at once if the last write is 10 s ago,
    /// else at the end of that time. So the last count is always written. May be called any number of times.
    pub fn changed(&self, connection: &Key) {
        let mut connections = self.connections.lock();
        let times = match connections.get_mut(connection) {
            Some(times) => times,
            None => connections.entry(connection.clone()).or_default(),
        };
        if times.requested.is_none() {
            self.request(connection, times, times.earliest().unwrap_or_else(Instant::now));
        }
    }

    fn request(&self, connection: &Key, times: &mut WriteTimes, due: Instant) {
        times.requested = Some(due);
        // The send fails only if the receiver is gone.
        let _ = self.due.send((connection.clone(), due));
    }

    /// Whether the counters may be written now. Count after this call: a later change requests another reconcile.
    pub(super) fn may_write(&self, connection: &Key) -> bool {
        let mut connections = self.connections.lock();
        let Some(times) = connections.get_mut(connection) else { return true };
        let Some(earliest) = times.earliest().filter(|earliest| Instant::now() < *earliest) else {
            times.requested = None;
            return true;
        };
        // The request came while the last reconcile was writing, so the reconcile that it triggered is too early.
        if times.requested.is_some_and(|due| due < earliest) {
            self.request(connection, times, earliest);
        }
        false
    }

    /// Records that the counters are written.
    pub(super) fn written(&self, connection: &Key) {
        self.connections.lock().entry(connection.clone()).or_default().last = Some(Instant::now());
    }

    /// Forgets a connection that is gone.
    pub(super) fn forget(&self, connection: &Key) {
        self.connections.lock().remove(connection);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::{advance, pause};

    use super::*;

    fn connection() -> Key {
        Key::new("platform", "eu2")
    }

    #[tokio::test]
    async fn the_first_change_triggers_at_once_and_the_next_10_s_later() {
        pause();
        let (counters, due) = CountUpdates::new();
        let mut due = std::pin::pin!(due);
        let mut requested = move || due.next().now_or_never().flatten();
        assert_eq!(requested(), None);
        for _ in 0..1000 {
            counters.changed(&connection());
        }
        assert_eq!(requested(), Some(connection()));
        assert_eq!(requested(), None, "a thousand changes request one reconcile");
        assert!(counters.may_write(&connection()));
        counters.written(&connection());
        advance(Duration::from_secs(4)).await;
        counters.changed(&connection());
        assert!(!counters.may_write(&connection()), "a reconcile for another reason changes no counter");
        counters.changed(&connection());
        advance(Duration::from_millis(5999)).await;
        assert_eq!(requested(), None);
        // The timer counts whole milliseconds, and fires after the last one.
        advance(Duration::from_millis(2)).await;
        assert_eq!(requested(), Some(connection()), "the last figure is reached");
        assert!(counters.may_write(&connection()));
        counters.written(&connection());
        advance(Duration::from_secs(60)).await;
        assert_eq!(requested(), None, "nothing is written because time has passed");
        counters.changed(&connection());
        assert_eq!(requested(), Some(connection()));
    }

    #[tokio::test]
    async fn a_change_during_a_reconcile_requests_another_one() {
        pause();
        let (counters, due) = CountUpdates::new();
        let mut due = std::pin::pin!(due);
        counters.changed(&connection());
        assert_eq!(due.next().await, Some(connection()));
        assert!(counters.may_write(&connection()));
        counters.changed(&connection());
        counters.written(&connection());
        let written = Instant::now();
        assert_eq!(due.next().await, Some(connection()));
        assert!(!counters.may_write(&connection()), "they were written just now");
        assert_eq!(due.next().await, Some(connection()), "but the last figure is reached");
        assert!(written.elapsed() >= PAUSE && counters.may_write(&connection()));
    }

    #[tokio::test]
    async fn each_connection_has_its_own_times() {
        pause();
        let (counters, due) = CountUpdates::new();
        let mut due = std::pin::pin!(due);
        let other = Key::new("platform", "us5");
        counters.written(&connection());
        counters.changed(&connection());
        counters.changed(&other);
        assert_eq!(due.next().await, Some(other));
        assert_eq!(due.next().await, Some(connection()));
    }
}
