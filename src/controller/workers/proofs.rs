//! The objects that wait for a listing that proves the name of their tenant.

use std::{collections::HashSet, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Key,
    connections::ConnectionHandle,
    controller::work_queue::{QueuePriority, WorkQueue},
    pricing::{ReconcileRequest, TimedRead},
};

/// A listing that takes no longer is not worth a status write for each object that waits for it.
const MIN_REPORTED_WAIT: Duration = Duration::from_secs(1);

/// The pause before an object is reconciled whose wait for a listing panicked.
const RETRY_AFTER_PANIC: Duration = Duration::from_secs(10);

/// Waits for listings. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(super) struct Proofs {
    queue: Arc<WorkQueue>,
    /// Cancelled when nothing new may begin.
    stopping: CancellationToken,
    waiting: Waiting,
}

/// The objects that wait for a listing.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashSet<Key>>>);

/// The wait of one object. Dropping it, by a panic as well, ends the wait.
struct AwaitsListing {
    of: Waiting,
    key: Key,
}

/// What an object waits with.
pub(super) struct Unproved {
    pub priority: QueuePriority,
    pub handle: ConnectionHandle,
    /// The earliest start of the listing that the object needs.
    pub since: Instant,
    pub read: TimedRead,
}

impl Waiting {
    /// Registers the wait of an object. `None`: it waits already.
    fn begin(&self, key: &Key) -> Option<AwaitsListing> {
        self.keys().insert(key.clone()).then(|| AwaitsListing { of: self.clone(), key: key.clone() })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock()
    }
}

impl Drop for AwaitsListing {
    fn drop(&mut self) {
        self.of.keys().remove(&self.key);
    }
}

impl Proofs {
    pub(super) fn new(queue: Arc<WorkQueue>, stopping: CancellationToken) -> Self {
        Self { queue, stopping, waiting: Waiting::default() }
    }

    /// Waits for a listing, and enqueues the object when the listing has ended, successful or not. If that takes long,
    /// the object is also enqueued before, so that its status reports the wait.
    pub(super) fn wait(&self, key: &Key, unproved: Unproved) {
        if let Some(waits) = self.waiting.begin(key) {
            tokio::spawn(self.clone().run(waits, unproved));
        }
    }

    async fn run(self, waits: AwaitsListing, unproved: Unproved) {
        let Unproved { priority, handle, since, read } = unproved;
        let key = waits.key.clone();
        let listing = async {
            let mut listed = pin!(handle.names().list(since));
            if timeout(MIN_REPORTED_WAIT, &mut listed).await.is_err() {
                let read = Some(read.clone());
                let request = ReconcileRequest { read, awaits_listing: true, ..ReconcileRequest::default() };
                self.queue.push(&key, QueuePriority::Background, request);
                listed.await;
            }
        };
        let listing = AssertUnwindSafe(listing).catch_unwind();
        let ended = self.stopping.run_until_cancelled(listing).await;
        if let Some(error) = handle.names().failure() {
            let _ = handle.track::<()>(Err(error));
        }
        drop(waits);
        match ended {
            Some(Ok(())) => {
                self.queue.push(
                    &key,
                    priority,
                    ReconcileRequest { read: Some(read), ..ReconcileRequest::default() },
                );
            }
            Some(Err(_)) => self.queue.push_within(&key, RETRY_AFTER_PANIC),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_wait_for_a_listing() {
        let (waiting, key) = (Waiting::default(), Key::new("team", "one"));
        let waits = waiting.begin(&key).unwrap();
        assert!(waiting.begin(&key).is_none(), "it waits already");
        let broken = tokio::spawn(async move {
            let _waits = waits;
            panic!("a wait that breaks off");
        });
        assert!(broken.await.unwrap_err().is_panic());
        assert!(waiting.begin(&key).is_some());
    }
}
