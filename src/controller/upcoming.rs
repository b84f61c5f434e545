//! Tells of the switches that the platform will make by itself, a week before each.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::workers::Shared;
use crate::index::FORESEEN_WITHIN;

/// So often it is looked through what is known, which costs no request.
const EVERY: Duration = Duration::from_secs(60);

/// What came near while no controller ran is told of after its start, if that was not longer ago.
const WHILE_AWAY: SignedDuration = SignedDuration::from_mins(10);

impl Shared {
    /// Publishes an event for each tenant whose trial ends within a week, when that week begins. No status is
    /// written for it: nothing has changed but the time.
    pub(super) async fn foretell(self: Arc<Self>) {
        let mut from = self.context.clock.now() - WHILE_AWAY;
        loop {
            tokio::time::sleep(EVERY).await;
            if self.context.filled.are_done() {
                let now = self.context.clock.now();
                self.foretell_between(from, now);
                from = now;
            }
        }
    }

    fn foretell_between(&self, from: Timestamp, to: Timestamp) {
        let comes_near = |ends: Timestamp| {
            let week_begins = ends - FORESEEN_WITHIN;
            from < week_begins && week_begins <= to
        };
        for key in self.context.index.those(|record| record.trial_ends().is_some_and(comes_near)) {
            if let Some(object) = self.context.objects.get(&key) {
                self.context.events.announce_upcoming(&object, to);
            }
        }
    }
}
