//! When the counters of a connection's tenants are written: soon, but not often.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::cluster::Key;

/// The counters of one connection move at most once in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// Decides when the counters of each connection move. Cheap to clone; clones share everything.
///
/// The connection's own pass writes them, as it writes the whole status: here it is only called for.
#[derive(Clone)]
pub struct CountUpdates {
    paces: Arc<Mutex<HashMap<Key, Pace>>>,
    due: mpsc::UnboundedSender<(Key, Instant)>,
}

#[derive(Default)]
struct Pace {
    /// When they moved last.
    moved: Option<Instant>,
    /// When the pass is due that is called for and has not moved them yet.
    called: Option<Instant>,
}

impl Pace {
    /// The earliest instant at which they may move.
    fn earliest(&self) -> Option<Instant> {
        self.moved.map(|moved| moved + PAUSE)
    }
}

impl CountUpdates {
    /// The decision, and the connections that a pass is due for, as they become due.
    pub fn new() -> (Self, impl Stream<Item = Key> + Send + 'static) {
        let (due, receiver) = mpsc::unbounded_channel::<(Key, Instant)>();
        let calls = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|call| (call, receiver))
        });
        // There is one call for each connection, or two for a moment.
        let due_passes = calls
            .map(|(connection, due)| async move {
                if Instant::now() < due {
                    sleep_until(due).await;
                }
                connection
            })
            .buffer_unordered(usize::MAX);
        (Self { paces: Arc::default(), due }, due_passes)
    }

    /// The counters of this connection have changed. They are written at once if they have not moved for 10 s,
    /// else at the end of that time, so that the last figure is always reached. May be called as often as one
    /// likes.
    pub fn changed(&self, connection: &Key) {
        let mut paces = self.paces();
        let pace = match paces.get_mut(connection) {
            Some(pace) => pace,
            None => paces.entry(connection.clone()).or_default(),
        };
        if pace.called.is_none() {
            self.call(connection, pace, pace.earliest().unwrap_or_else(Instant::now));
        }
    }

    fn call(&self, connection: &Key, pace: &mut Pace, due: Instant) {
        pace.called = Some(due);
        // It fails only when nobody listens.
        let _ = self.due.send((connection.clone(), due));
    }

    /// Whether the counters may move now. They are read after that: a change that comes later
    /// calls for another pass.
    pub(super) fn may_move(&self, connection: &Key) -> bool {
        let mut paces = self.paces();
        let Some(pace) = paces.get_mut(connection) else { return true };
        let Some(earliest) = pace.earliest().filter(|earliest| Instant::now() < *earliest) else {
            pace.called = None;
            return true;
        };
        // The call came while the last pass was writing: this pass, which it has brought about, is too early.
        if pace.called.is_some_and(|due| due < earliest) {
            self.call(connection, pace, earliest);
        }
        false
    }

    /// They have moved.
    pub(super) fn moved(&self, connection: &Key) {
        self.paces().entry(connection.clone()).or_default().moved = Some(Instant::now());
    }

    /// A connection is gone.
    pub(super) fn forget(&self, connection: &Key) {
        self.paces().remove(connection);
    }

    fn paces(&self) -> MutexGuard<'_, HashMap<Key, Pace>> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
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
    async fn the_first_change_calls_at_once_and_the_next_one_ten_seconds_after_the_counters_moved() {
        pause();
        let (counters, due) = CountUpdates::new();
        let mut due = std::pin::pin!(due);
        let mut called = move || due.next().now_or_never().flatten();
        assert_eq!(called(), None);
        for _ in 0..1000 {
            counters.changed(&connection());
        }
        assert_eq!(called(), Some(connection()));
        assert_eq!(called(), None, "a thousand changes call for one pass");
        assert!(counters.may_move(&connection()));
        counters.moved(&connection());
        advance(Duration::from_secs(4)).await;
        counters.changed(&connection());
        assert!(!counters.may_move(&connection()), "a pass for another reason moves nothing");
        counters.changed(&connection());
        advance(Duration::from_millis(5999)).await;
        assert_eq!(called(), None);
        // The timer counts in whole milliseconds, and fires after the last of them.
        advance(Duration::from_millis(2)).await;
        assert_eq!(called(), Some(connection()), "the last figure is reached");
        assert!(counters.may_move(&connection()));
        counters.moved(&connection());
        advance(Duration::from_secs(60)).await;
        assert_eq!(called(), None, "nothing is written because time has passed");
        counters.changed(&connection());
        assert_eq!(called(), Some(connection()));
    }

    #[tokio::test]
    async fn a_change_while_a_pass_is_under_way_calls_for_another_one() {
        pause();
        let (counters, due) = CountUpdates::new();
        let mut due = std::pin::pin!(due);
        counters.changed(&connection());
        assert_eq!(due.next().await, Some(connection()));
        assert!(counters.may_move(&connection()));
        counters.changed(&connection());
        counters.moved(&connection());
        let moved = Instant::now();
        assert_eq!(due.next().await, Some(connection()));
        assert!(!counters.may_move(&connection()), "they have moved just now");
        assert_eq!(due.next().await, Some(connection()), "but the last figure is reached");
        assert!(moved.elapsed() >= PAUSE && counters.may_move(&connection()));
    }

    #[tokio::test]
    async fn each_connection_has_its_own_pace() {
        pause();
        let (counters, due) = CountUpdates::new();
        let mut due = std::pin::pin!(due);
        let other = Key::new("platform", "us5");
        counters.moved(&connection());
        counters.changed(&connection());
        counters.changed(&other);
        assert_eq!(due.next().await, Some(other));
        assert_eq!(due.next().await, Some(connection()));
    }
}
