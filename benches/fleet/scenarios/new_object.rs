//! A new object asks for production while the fleet stands.

use std::time::{Duration, Instant};

use tenant_pricing_controller::simulator::Operation;
use tokio::time::sleep;

use crate::{
    Measured,
    bench::Bench,
    fleet::Fleet,
    manifests,
    measurements::{Amount, Measurement, Samples},
    platform::{self, Cursor},
};

/// How many objects are created one after another.
const SAMPLES: usize = 100;
/// Where only the growth is shown.
const FEW: usize = 50;

/// The longest wait for a switch. A switch that does not come counts as this.
const LIMIT: Duration = Duration::from_secs(60);
/// After this many timeouts in a row the scenario ends.
const ENOUGH: usize = 3;

/// The pause after a `PUT`, in which the controller records the outcome, so that no switch is measured
/// while another one is in flight.
const SETTLE: Duration = Duration::from_millis(150);

/// Create → `PUT`, in a calm fleet.
pub async fn new_object(bench: &mut Bench, brief: bool) -> Measured<()> {
    bench.controller().await?;
    let samples = switches(&bench.fleet, if brief { FEW } else { SAMPLES }).await?;
    let (median, tail) = (samples.median(), samples.percentile(99));
    let floor = Amount::milliseconds(bench.floors.switch.median());
    let floor_tail = Amount::milliseconds(bench.floors.switch.percentile(99));
    bench.add(
        Measurement::at_most("new object: create → PUT, p50", Amount::milliseconds(median), 80.0, "≤ 80 ms")
            .floor(floor)
            .samples(&samples),
    );
    bench.add(
        Measurement::at_most("new object: create → PUT, p99", Amount::milliseconds(tail), 200.0, "≤ 200 ms")
            .floor(floor_tail)
            .note(format!("of {}, the longest {}", samples.count(), longest(&samples))),
    );
    Ok(())
}

/// The longest of them, in words.
pub fn longest(samples: &Samples) -> Amount {
    Amount::milliseconds(samples.max())
}

/// Creates objects that ask for production, one after another, and measures how long each takes to its `PUT`.
pub async fn switches(fleet: &Fleet, count: usize) -> Measured<Samples> {
    let (mut samples, mut cursor) = (Vec::new(), fleet.platform.here());
    while samples.len() < count && !samples.ends_with(&[LIMIT; ENOUGH]) {
        samples.push(switch(fleet, &mut cursor).await?);
        sleep(SETTLE).await;
    }
    Ok(Samples::new(samples))
}

async fn switch(fleet: &Fleet, cursor: &mut Cursor) -> Measured<Duration> {
    let number = fleet.next_tenant()?;
    let (object, tenant) = (manifests::tenant_pricing(number, "production"), platform::id(number));
    let created = Instant::now();
    fleet.admin().create(manifests::FLEET, &object).await?;
    let put = fleet.platform.first(cursor, LIMIT, |request| {
        request.operation == Operation::PutPricing && request.tenants.contains(&tenant)
    });
    Ok(put.await.map_or(LIMIT, |put| put.saturating_duration_since(created)))
}
