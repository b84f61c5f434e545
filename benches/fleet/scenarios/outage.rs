//! The platform is away for a while, and comes back.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tenant_pricing_controller::simulator::{Fault, FaultAction};
use tokio::time::sleep;

use super::steady::poll_every;
use crate::{
    Measured,
    bench::Bench,
    measurements::{Amount, Measurement},
    platform::Traffic,
};

/// The poll interval, and two of them: each tenant would have been read.
const POLL: Duration = Duration::from_secs(30);
const OUTAGE: Duration = Duration::from_secs(66);

/// A pause of a minute and an interval, twice over.
const LIMIT: Duration = Duration::from_secs(200);

/// Objects that were in sync keep their status: the connection alone reports the outage.
pub async fn outage(bench: &mut Bench) -> Measured<()> {
    bench.controller().await?;
    poll_every(bench, POLL, POLL.mul_f64(1.1) + Duration::from_secs(5)).await?;
    let (mut audit, mut cursor) = (bench.fleet.audit()?, bench.fleet.platform.here());
    let away = bench.fleet.platform.simulator.inject(Fault::new(FaultAction::error(502, 0)));
    sleep(OUTAGE).await;
    let during = Traffic::of(&bench.fleet.platform.since(&mut cursor));
    bench.fleet.platform.simulator.clear_fault(away);
    let (over, mut seen) = (Instant::now(), HashSet::new());
    while seen.len() < bench.fleet.size && over.elapsed() < LIMIT {
        sleep(Duration::from_secs(1)).await;
        seen.extend(Traffic::of(&bench.fleet.platform.since(&mut cursor)).seen);
    }
    let back = over.elapsed();
    let writes = bench.fleet.writes(&mut audit).await?;
    let (objects, others): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|write| write.resource == "tenantpricings");
    bench.add(
        super::no_writes("outage and its end: writes to objects in sync", &objects)
            .note(format!("{} other writes, to the connection and its events", others.len())),
    );
    let requests = during.tenant_reads + during.other_reads + during.tokens;
    bench.add(Measurement::shown("outage: requests to the platform", Amount::count(requests)).note(format!(
        "502 to each for {} s, all polled every {} s",
        OUTAGE.as_secs(),
        POLL.as_secs()
    )));
    bench.add(
        Measurement::shown("outage over: until all were read again", Amount::seconds(back)).note(format!(
            "{} of {} tenants",
            seen.len(),
            bench.fleet.size
        )),
    );
    Ok(())
}
