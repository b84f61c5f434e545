//! A fleet in which nothing happens, and a new object while everything is polled.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::{
    cold_start::DEFAULT_POLL,
    new_object::{longest, switches},
};
use crate::{
    Measured,
    api_server::audit::Write,
    bench::Bench,
    manifests,
    measurements::{Amount, Measurement},
    platform::Traffic,
};

/// Ten minutes are long: polls are measured at this interval, over two of them.
const POLL: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(66);

/// The shortest interval that a connection takes: a full round of polls without end.
const BUSY_POLL: Duration = Duration::from_secs(10);
const BUSY_SAMPLES: usize = 60;

/// At rest nothing is due for minutes.
const REST: Duration = Duration::from_secs(60);

/// One round of polls at the default interval, with its jitter.
const TRUE_ROUND: Duration = Duration::from_secs(660);

/// A changed interval has come to all objects after one more interval, with its jitter, and this.
const SETTLE: Duration = Duration::from_secs(5);

/// Polls, new objects among them, and rest.
pub async fn steady(bench: &mut Bench) -> Measured<()> {
    bench.controller().await?;
    poll_every(bench, POLL, POLL.mul_f64(1.1) + SETTLE).await?;
    let window = watch(bench, WINDOW).await?;
    polls(bench, &window);

    poll_every(bench, BUSY_POLL, BUSY_POLL.mul_f64(1.1) + SETTLE).await?;
    let samples = switches(&bench.fleet, BUSY_SAMPLES).await?;
    let tail = Amount::milliseconds(samples.percentile(99));
    let median = Amount::milliseconds(samples.median());
    bench.add(
        Measurement::at_most("new object during a full round of polls, p99", tail, 500.0, "≤ 500 ms")
            .floor(Amount::milliseconds(bench.floors.switch.percentile(99)))
            .note(format!(
                "all polled every {} s; of {}: p50 {median}, the longest {}",
                BUSY_POLL.as_secs(),
                samples.count(),
                longest(&samples)
            ))
            .samples(&samples),
    );

    poll_every(bench, DEFAULT_POLL, BUSY_POLL + SETTLE).await?;
    let window = watch(bench, REST).await?;
    rest(bench, &window).await?;
    if bench.true_polls {
        // By then each object has been read once at the new interval.
        sleep(TRUE_ROUND).await;
        let window = watch(bench, TRUE_ROUND).await?;
        true_polls(bench, &window);
    }
    Ok(())
}

/// Has all tenants polled at this interval, and waits until that has come to all of them.
pub async fn poll_every(bench: &Bench, interval: Duration, settle: Duration) -> Measured<()> {
    bench.fleet.edit_connection(json!({"pollInterval": manifests::seconds(interval)})).await?;
    sleep(settle).await;
    Ok(())
}

/// What happened in a while.
struct Window {
    lasted: Duration,
    traffic: Traffic,
    writes: Vec<Write>,
    used: Duration,
    secret_reads: u64,
}

async fn watch(bench: &mut Bench, duration: Duration) -> Measured<Window> {
    let (mut audit, mut cursor) = (bench.fleet.audit()?, bench.fleet.platform.here());
    let before = bench.controller().await?.processor_time()?;
    let secrets_before = bench.fleet.secret_reads().await?;
    let (started, mut traffic) = (Instant::now(), Traffic::default());
    while started.elapsed() < duration {
        sleep((duration.saturating_sub(started.elapsed())).min(Duration::from_secs(1))).await;
        for request in bench.fleet.platform.since(&mut cursor) {
            traffic.add(&request);
        }
    }
    let used = bench.controller().await?.processor_time()?.saturating_sub(before);
    let lasted = started.elapsed();
    let secret_reads = bench.fleet.secret_reads().await? - secrets_before;
    let writes = bench.fleet.writes(&mut audit).await?;
    Ok(Window { lasted, traffic, writes, used, secret_reads })
}

fn polls(bench: &mut Bench, window: &Window) {
    bench.add(super::no_writes("steady state: writes to Kubernetes", &window.writes));
    bench.add(reads("steady state: reads per tenant per hour at 10 min", bench.fleet.size, POLL, window));
    let share = Amount::share(window.used, window.lasted);
    bench.add(Measurement::shown("steady state: processor, polled every 30 s", share).note("of one core"));
}

fn true_polls(bench: &mut Bench, window: &Window) {
    let tenants = bench.fleet.size;
    bench.add(reads("true polls of 10 min: reads per tenant per hour", tenants, DEFAULT_POLL, window));
    bench.add(super::no_writes("true polls of 10 min: writes to Kubernetes", &window.writes));
    let share = Amount::share(window.used, window.lasted);
    bench.add(Measurement::at_most("true polls of 10 min: processor", share, 1.0, "≤ 1 % of one core"));
}

/// How often the platform was read for each tenant, reckoned for polls every ten minutes.
fn reads(what: &str, tenants: usize, interval: Duration, window: &Window) -> Measurement {
    let traffic = &window.traffic;
    let rounds = window.lasted.as_secs_f64() / interval.as_secs_f64();
    let per_round = Amount::ratio(traffic.tenant_reads, tenants).value / rounds;
    let an_hour = Duration::from_secs(3600).as_secs_f64() / DEFAULT_POLL.as_secs_f64();
    let hourly = Amount { value: per_round * an_hour, ..Amount::ratio(0, 1) };
    Measurement::at_most(what, hourly, 0.07, "≤ 0.07")
        .floor(Amount { value: an_hour / 100.0, ..hourly })
        .note(format!(
            "from a poll every {} s, over {:.0} s: {} reads of {:.1} tenants each, {:.2} reads per tenant per \
             interval",
            interval.as_secs(),
            window.lasted.as_secs_f64(),
            traffic.tenant_reads,
            Amount::ratio(traffic.tenants_read, traffic.tenant_reads).value,
            Amount::ratio(traffic.tenants_read, tenants).value / rounds,
        ))
}

async fn rest(bench: &mut Bench, window: &Window) -> Measured<()> {
    bench.add(
        Measurement::at_most(
            "at rest: processor",
            Amount::share(window.used, window.lasted),
            1.0,
            "≤ 1 % of one core",
        )
        .note(format!(
            "over {:.0} s at the true poll of 10 min, with {} platform reads in them",
            window.lasted.as_secs_f64(),
            window.traffic.tenant_reads
        )),
    );
    bench.add(super::no_writes("at rest: writes to Kubernetes", &window.writes));
    #[allow(clippy::cast_possible_truncation)] // a few
    let secret_reads = Amount::count(window.secret_reads as usize);
    bench.add(
        Measurement::at_most("at rest: reads of Secrets", secret_reads, 3.0, "≤ 3 (one each 27 to 29 s)")
            .note(format!("of the one connection, over {:.0} s", window.lasted.as_secs_f64())),
    );
    let memory = bench.controller().await?.memory()?.present;
    bench.add(Measurement::shown("at rest: memory", Amount::bytes(memory)));
    Ok(())
}
