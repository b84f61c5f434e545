//! How the fleet stands, for the metrics: counted at each scrape from what is known anyway.

use std::sync::{Arc, Weak};

use super::{queue::Lane, work::Shared};
use crate::{
    api::PlatformConnection,
    cluster::Key,
    pricing::{
        Limits,
        index::{ConnectionFigures, ObservedMode},
    },
    telemetry::{FleetFigures, Metrics, ObjectsOf, ReadyStatus},
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
        let mut fleet = FleetFigures::none();
        for (key, figures) in self.context.index.figures(now).connections {
            let exists = self.context.connections.get(key.namespace(), key.name()).is_some();
            add(&mut fleet, exists.then_some(&key), &figures);
        }
        let budgets = self.context.connections.collect(|connection| Some(self.budget_left(connection)));
        fleet.budget_left = budgets.into_iter().collect();
        for (lane, word) in [(Lane::Bulk, "bulk"), (Lane::Urgent, "urgent"), (Lane::Turn, "turn")] {
            fleet.queue_depth.insert(word, self.queue.depth(lane) as u64);
        }
        fleet.passes_under_way = self.under_way() as u64;
        fleet
    }

    fn budget_left(&self, connection: &PlatformConnection) -> (Key, u64) {
        let (key, now) = (Key::of(connection), self.context.clock.now());
        let budget = Limits::of(connection).budget;
        let spent = self.context.index.intents(&key, budget.since(now), None).len() as u64;
        (key, u64::from(budget.count).saturating_sub(spent))
    }
}

fn add(fleet: &mut FleetFigures, connection: Option<&Key>, figures: &ConnectionFigures) {
    for mode in ObservedMode::ALL {
        for ready in [true, false] {
            let of = ObjectsOf {
                connection: connection.cloned(),
                mode,
                ready: if ready { ReadyStatus::True } else { ReadyStatus::False },
            };
            let count = u64::from(figures.objects(mode, ready));
            if count > 0 || connection.is_some() {
                *fleet.objects.entry(of).or_default() += count;
            }
        }
    }
    for (reason, count) in &figures.stalled {
        *fleet.stalled.entry(reason.as_str()).or_default() += u64::from(*count);
    }
    fleet.scheduled_switches += u64::from(figures.scheduled);
    fleet.next_switch = [fleet.next_switch, figures.next_scheduled].into_iter().flatten().min();
    fleet.automatic_switches_foreseen += u64::from(figures.foreseen);
}
