//! What the probes report of the caches, the watches and the election.

use std::time::Duration;

use tokio::sync::watch;

use crate::{
    cluster::{Interrupted, SyncState},
    telemetry::Health,
};

/// A watch that is interrupted for longer makes the process unready.
const MAX_INTERRUPTION: Duration = Duration::from_secs(30);

/// Reports when every cache has had its first list.
pub(super) async fn report_synced(caches: Vec<watch::Receiver<SyncState>>, health: Health) {
    for mut sync_state in caches {
        if sync_state.wait_for(|sync_state| *sync_state == SyncState::Synced).await.is_err() {
            return;
        }
    }
    health.set_synced();
}

/// Reports when the API server does not let this process take part in the election.
pub(super) async fn report_refusal(mut refused: watch::Receiver<Option<String>>, health: Health) {
    loop {
        let reason = refused.borrow_and_update().clone();
        health.election_refused(reason);
        // The wait fails when the election is over.
        if refused.changed().await.is_err() {
            return;
        }
    }
}

/// Reports when a watch is interrupted for long.
pub(super) async fn report_interruptions(watches: Vec<Interrupted>, health: Health) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let is_long =
            |watch: &Interrupted| watch.borrow().is_some_and(|since| since.elapsed() >= MAX_INTERRUPTION);
        health.set_watches_interrupted(watches.iter().any(is_long));
    }
}
