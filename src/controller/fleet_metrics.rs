//! How the fleet stands, for the metrics: counted at each scrape from what is known anyway.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::{work_queue::Lane, workers::Shared};
use crate::{
    api::PlatformConnection,
    cluster::Key,
    pricing::{self, Limits},
    telemetry::{FleetFigures, Metrics},
};

impl Shared {
    /// Has the metrics ask here how the fleet stands.
    pub(super) fn describe_to(self: &Arc<Self>, metrics: &Metrics) {
        let shared = Arc::downgrade(self);
        metrics.describe_fleet_with(Arc::new(move || {
            Weak::upgrade(&shared).map_or_else(FleetFigures::none, |shared| shared.figures())
        }));
    }

    fn figures(&self) -> FleetFigures {
        let now = self.context.clock.now();
        let connections = &self.context.connections;
        let exists = |key: &Key| connections.get(key.namespace(), key.name()).is_some();
        let mut fleet = FleetFigures::of(&self.context.index.figures(now), exists);
        let budgets = connections.collect(|connection| Some(self.budget_left(connection)));
        fleet.budget_left = budgets.into_iter().collect();
        for (lane, word) in [(Lane::Bulk, "bulk"), (Lane::Urgent, "urgent"), (Lane::Turn, "turn")] {
            fleet.queue_depth.insert(word, self.queue.depth(lane) as u64);
        }
        fleet.passes_under_way = self.under_way() as u64;
        fleet
    }

    fn budget_left(&self, connection: &PlatformConnection) -> (Key, u64) {
        let key = Key::of(connection);
        let (budget, clocks) = (Limits::of(connection).budget, self.context.clocks(&key));
        let left =
            pricing::account(&self.context.index, &key, budget, 0, clocks, Instant::now()).left() as u64;
        (key, left)
    }
}
