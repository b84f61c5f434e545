//! The controller restarts before a fleet that it has seen in an earlier run.

use std::time::{Duration, Instant};

use serde_json::Value;
use tenant_pricing_controller::simulator::Operation;
use tokio::time::sleep;

use crate::{
    Measured, api_server,
    bench::{Bench, say},
    manifests,
    measurements::{Amount, Measurement, Samples},
    platform::{self, Traffic},
};

/// How many times, and with how many objects each, something is created while no controller runs.
const ROUNDS: usize = 5;
const MEANWHILE: usize = 10;

/// The counters of a connection follow what happened within ten seconds. What an earlier scenario left to be
/// written is not to be taken for a consequence of the restart.
const SETTLED: Duration = Duration::from_secs(12);

/// All tenants must be read again within this time.
const SWEEP: Duration = Duration::from_secs(180);

/// How long after the last tenant was read a write still counts as a consequence of the restart.
const AFTERMATH: Duration = Duration::from_secs(10);

/// The longest wait for a switch. A switch that does not come counts as this.
const LIMIT: Duration = Duration::from_secs(120);

/// Restarts, the first one with nothing changed.
pub async fn restart(bench: &mut Bench) -> Measured<()> {
    let mut readies = vec![unchanged(bench).await?];
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let (ready, after) = with_new_objects(bench).await?;
        readies.push(ready);
        waits.extend(after);
    }
    let (readies, list) = (Samples::new(readies), bench.floors.list);
    let limit = 1.5 * list.as_secs_f64() + 2.0;
    let reports_ready = bench.controller().await?.reports_ready();
    let how = if reports_ready {
        "until /readyz answers 200"
    } else {
        "it has no /readyz: until its log shows a start"
    };
    bench.add(
        Measurement::at_most(
            "restart: ready, the longest",
            Amount::seconds(readies.max()),
            limit,
            "≤ 1.5 × floor + 2 s",
        )
        .floor(Amount::seconds(list))
        .note(format!("{how}; {} restarts", readies.count()))
        .samples(&readies),
    );
    let waits = Samples::new(waits);
    let (median, tail) = (Amount::milliseconds(waits.median()), Amount::milliseconds(waits.percentile(99)));
    bench.add(
        Measurement::at_most("created while it was down: ready → PUT, p99", tail, 500.0, "≤ 500 ms")
            .note(format!("of {}, {MEANWHILE} at a time; p50 {median}", waits.count()))
            .samples(&waits),
    );
    Ok(())
}

/// A restart after which nothing is to be done: how long until it is ready.
async fn unchanged(bench: &mut Bench) -> Measured<Duration> {
    sleep(SETTLED).await;
    bench.end_controller().await?;
    let standing = bench.fleet.standing();
    let (mut audit, mut cursor) = (bench.fleet.audit()?, bench.fleet.platform.here());
    let controller = bench.controller().await?;
    let ready = controller.ready().await?.duration_since(controller.started);

    let (mut traffic, asked, mut swept) = (Traffic::default(), Instant::now(), None);
    while swept.is_none() && asked.elapsed() < SWEEP {
        for request in bench.fleet.platform.since(&mut cursor) {
            traffic.add(&request);
            if swept.is_none() && traffic.seen.len() >= standing {
                swept = Some(traffic.tenant_reads);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    sleep(AFTERMATH).await;
    let afterwards = Traffic::of(&bench.fleet.platform.since(&mut cursor));
    let seen = traffic.seen.len();
    let note = match swept {
        Some(_) => format!(
            "until all {standing} were seen again; {} more in the {} s after that",
            traffic.tenant_reads - swept.unwrap_or_default() + afterwards.tenant_reads,
            AFTERMATH.as_secs()
        ),
        None => format!("only {seen} of {standing} were seen again within {} s", SWEEP.as_secs()),
    };
    let batches = Amount::count(standing.div_ceil(100));
    let needed = Amount::count(swept.unwrap_or(traffic.tenant_reads));
    bench.add(
        Measurement::at_most("restart: platform reads of tenants", needed, batches.value, "N/100")
            .floor(batches)
            .note(note),
    );
    let writes = bench.fleet.writes(&mut audit).await?;
    bench.add(super::no_writes("restart: writes to Kubernetes", &writes));
    Ok(ready)
}

/// A restart before which objects came that ask for production: how long until it is ready, and from then on to
/// each `PUT`.
async fn with_new_objects(bench: &mut Bench) -> Measured<(Duration, Vec<Duration>)> {
    bench.end_controller().await?;
    let fleet = &bench.fleet;
    let numbers = (0..MEANWHILE).map(|_| fleet.next_tenant()).collect::<Measured<Vec<usize>>>()?;
    let create = |number| async move {
        let object = manifests::tenant_pricing(number, "production");
        fleet.admin().create(manifests::FLEET, &object).await
    };
    api_server::all(numbers.iter().copied().map(create)).await?;
    let mut awaited: Vec<(String, String)> =
        numbers.into_iter().map(|number| (manifests::object_name(number), platform::id(number))).collect();
    let mut cursor = fleet.platform.here();
    let controller = bench.controller().await?;
    let ready = controller.ready().await?;
    let took = ready.duration_since(controller.started);
    let mut waits = Vec::new();
    while !awaited.is_empty() {
        if ready.elapsed() > LIMIT {
            let names: Vec<&str> = awaited.iter().map(|(name, _)| name.as_str()).collect();
            let found = status(bench, names[0]).await?;
            say(&format!("  never switched: {}; the first one's status is {found}", names.join(", ")));
            waits.extend(vec![LIMIT; names.len()]);
            break;
        }
        for request in bench.fleet.platform.since(&mut cursor) {
            let is_put = request.operation == Operation::PutPricing;
            if let Some(place) = awaited.iter().position(|(_, id)| is_put && request.tenants.contains(id)) {
                awaited.swap_remove(place);
                // One that went out before the controller was ready did not wait at all.
                waits.push(bench.fleet.platform.arrival(&request).saturating_duration_since(ready));
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    // The next round begins when this one has been written down.
    sleep(Duration::from_secs(1)).await;
    Ok((took, waits))
}

async fn status(bench: &Bench, name: &str) -> Measured<String> {
    let object: Value = serde_json::from_str(&bench.fleet.admin().get(&manifests::path(name)).await?)?;
    Ok(object["status"].to_string())
}
