//! The state of the fleet, for the metrics: counted at each scrape from data in memory.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::{work_queue::QueuePriority, workers::Workers};
use crate::{
    api::PlatformConnection,
    cluster::Key,
    pricing::{self, Context, Limits},
    telemetry::{ConnectionState, FleetCounts, Metrics},
};

/// Makes the metrics take the state of the fleet from these workers while they exist.
pub(super) fn publish(workers: &Arc<Workers>, metrics: &Metrics) {
    let workers = Arc::downgrade(workers);
    metrics.set_fleet_source(Arc::new(move || {
        Weak::upgrade(&workers).map_or_else(FleetCounts::none, |workers| counts(&workers))
    }));
}

fn counts(workers: &Workers) -> FleetCounts {
    let context = &workers.context;
    let connections = &context.connections;
    let exists = |key: &Key| connections.get(key.namespace(), key.name()).is_some();
    let mut fleet = FleetCounts::of(&context.index.counts(context.clock.now()), exists);
    let budgets = connections.collect(|connection| Some(budget_left(context, connection)));
    fleet.budget_left = budgets.into_iter().collect();
    let skew = |connection: &PlatformConnection| {
        let key = Key::of(connection);
        context.registry.clock_skew(&key).map(|apart| (key, apart))
    };
    fleet.clock_skew = connections.collect(skew).into_iter().collect();
    let state = |connection: &PlatformConnection| {
        Some((Key::of(connection), ConnectionState::of(connection.status.as_ref())))
    };
    fleet.connections = connections.collect(state).into_iter().collect();
    let unreadable = connections.unreadable_keys().into_iter();
    fleet.connections.extend(unreadable.map(|key| (key, ConnectionState::UNREADABLE)));
    for priority in QueuePriority::ALL.iter().copied() {
        fleet.queue_depth.insert(priority.as_str(), workers.queue.depth(priority) as u64);
    }
    fleet.active_reconciles = workers.active() as u64;
    fleet
}

fn budget_left(context: &Context, connection: &PlatformConnection) -> (Key, u64) {
    let key = Key::of(connection);
    let (budget, clocks) = (Limits::of(connection).budget, context.clocks(&key));
    let left = pricing::account(&context.index, &key, budget, 0, clocks, Instant::now()).left() as u64;
    (key, left)
}
