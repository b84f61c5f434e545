//! What `requestsPerSecond` does.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    Measured, api_server,
    bench::Bench,
    manifests,
    measurements::{Amount, Measurement},
    platform::{self, Traffic},
};

/// The default of a connection.
const PACE: u32 = 10;

/// How many objects ask for production at once; each needs at least three requests.
const AT_ONCE: usize = 40;

const LIMIT: Duration = Duration::from_secs(300);

/// A changed connection is known to the controller after this.
const SETTLE: Duration = Duration::from_secs(3);

/// Many objects at once, through a connection with the default pace.
pub async fn pace(bench: &mut Bench) -> Measured<()> {
    bench.controller().await?;
    let fleet = &bench.fleet;
    fleet.edit_connection(json!({"requestsPerSecond": PACE})).await?;
    sleep(SETTLE).await;
    let mut cursor = fleet.platform.here();
    let numbers = (0..AT_ONCE).map(|_| fleet.next_tenant()).collect::<Measured<Vec<usize>>>()?;
    let create = |number| async move {
        let object = manifests::tenant_pricing(number, "production");
        fleet.admin().create(manifests::FLEET, &object).await
    };
    let started = Instant::now();
    api_server::all(numbers.iter().copied().map(create)).await?;
    let asked_for = |number: &usize| fleet.platform.simulator.puts(&platform::id(*number)) > 0;
    while !numbers.iter().all(asked_for) {
        if started.elapsed() > LIMIT {
            return Err(format!("{AT_ONCE} objects were not switched within {} s", LIMIT.as_secs()).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    let lasted = started.elapsed();
    let traffic = Traffic::of(&fleet.platform.since(&mut cursor));
    let [second, ten] = [1, 10].map(|seconds| traffic.most_within(Duration::from_secs(seconds)));
    let note =
        format!("{} requests for {AT_ONCE} objects in {:.1} s", traffic.arrivals.len(), lasted.as_secs_f64());
    let pace = f64::from(PACE);
    bench.add(
        Measurement::at_most(
            "rate limit of 10 a second: most requests in any second",
            Amount::count(second),
            2.0 * pace,
            "≤ 20 (a burst, then 10)",
        )
        .note(note),
    );
    bench.add(Measurement::at_most(
        "rate limit of 10 a second: most requests in any 10 s",
        Amount::count(ten),
        11.0 * pace,
        "≤ 110",
    ));
    Ok(())
}
