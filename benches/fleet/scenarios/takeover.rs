//! The leader ends, and another replica takes over.

use std::time::{Duration, Instant};

use tenant_pricing_controller::simulator::Operation;
use tokio::time::sleep;

use crate::{
    Measured,
    bench::Bench,
    controller::Controller,
    manifests,
    measurements::{Amount, Measurement, Samples},
    platform,
};

/// How many replicas are killed, and how many receive SIGTERM.
const KILLED: usize = 3;
const ENDED: usize = 5;

/// How long a standby waits before it is needed: it has seen the lease renewed.
const STANDS_BY: Duration = Duration::from_secs(5);

/// The longest wait for a switch. A switch that does not come counts as this.
const LIMIT: Duration = Duration::from_secs(60);

/// From the signal that ends a leader to the `PUT` for an object that is created when it has ended.
pub async fn takeover(bench: &mut Bench) -> Measured<()> {
    let mut killed = Vec::new();
    for _ in 0..KILLED {
        killed.push(one(bench, Controller::kill).await?);
    }
    let mut ended = Vec::new();
    for _ in 0..ENDED {
        ended.push(one(bench, Controller::end).await?);
    }
    let (killed, ended) = (Samples::new(killed), Samples::new(ended));
    bench.add(
        Measurement::at_most(
            "leader killed: until the next PUT, the longest",
            Amount::seconds(killed.max()),
            20.0,
            "≤ 20 s",
        )
        .note(format!("of {}", killed.count()))
        .samples(&killed),
    );
    bench.add(
        Measurement::at_most(
            "leader gets SIGTERM: until the next PUT, the longest",
            Amount::seconds(ended.max()),
            2.0,
            "≤ 2 s",
        )
        .note(format!("of {}, from the signal", ended.count()))
        .samples(&ended),
    );
    let twice = bench.fleet.platform.simulator.overlapping_puts();
    bench.add(Measurement::at_most("takeovers: PUTs that met", Amount::count(twice), 0.0, "0"));
    Ok(())
}

async fn one<E>(bench: &mut Bench, end: impl FnOnce(Controller) -> E) -> Measured<Duration>
where
    E: Future<Output = Measured<()>>,
{
    let leader = bench.second().await?;
    bench.controller().await?.ready().await?;
    sleep(STANDS_BY).await;
    let fleet = &bench.fleet;
    let number = fleet.next_tenant()?;
    let mut cursor = fleet.platform.here();
    let signalled = Instant::now();
    end(leader).await?;
    fleet.admin().create(manifests::FLEET, &manifests::tenant_pricing(number, "production")).await?;
    let tenant = platform::id(number);
    let put = fleet.platform.first(&mut cursor, LIMIT, |request| {
        request.operation == Operation::PutPricing && request.tenants.contains(&tenant)
    });
    Ok(put.await.map_or(LIMIT, |put| put.saturating_duration_since(signalled)))
}
