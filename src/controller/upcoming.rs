//! Announces the platform's automatic switches, a week before each.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{index::UPCOMING_WINDOW, pricing::Context};

/// How often the index is searched, which takes no request.
const SEARCH_INTERVAL: Duration = Duration::from_secs(60);

/// After a start, a switch is still announced if its week began at most this long ago, while no controller ran.
const MAX_DELAY: SignedDuration = SignedDuration::from_mins(10);

/// Publishes an event for each tenant whose trial ends within a week, when that week begins. No status is written,
/// because only time has passed.
pub(super) async fn announce(context: Context) {
    let mut from = context.clock.now() - MAX_DELAY;
    loop {
        tokio::time::sleep(SEARCH_INTERVAL).await;
        if context.synced.has_synced() {
            let now = context.clock.now();
            announce_between(&context, from, now);
            from = now;
        }
    }
}

fn announce_between(context: &Context, from: Timestamp, to: Timestamp) {
    for key in context.index.trials_ending(from + UPCOMING_WINDOW, to + UPCOMING_WINDOW) {
        if let Some(object) = context.objects.get(&key) {
            context.events.announce_upcoming(&object, to);
        }
    }
}
