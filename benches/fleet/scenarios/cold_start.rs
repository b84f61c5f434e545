//! The controller meets a fleet that it has never seen.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Measured,
    api_server::audit::Write,
    bench::Bench,
    fleet::PATIENCE,
    manifests,
    measurements::{Amount, Measurement},
    platform::Traffic,
};

/// The pause between two reads of the audit log.
const PAUSE: Duration = Duration::from_millis(50);

/// The default poll interval of a tenant in trial.
pub const DEFAULT_POLL: Duration = Duration::from_secs(600);

/// N unseen objects → all Ready.
pub async fn cold_start(bench: &mut Bench) -> Measured<()> {
    bench.fleet.connect(DEFAULT_POLL).await?;
    bench.fleet.create_fleet().await?;
    let size = bench.fleet.size;
    let refused_before = bench.fleet.refusals().await?;
    let (mut audit, mut cursor) = (bench.fleet.audit()?, bench.fleet.platform.here());
    let started_at = bench.controller().await?.started_at;

    let (mut written, mut last) = (HashSet::new(), started_at);
    let mut writes: Vec<Write> = Vec::new();
    let (asked, mut checked) = (Instant::now(), None);
    loop {
        let news = audit.news()?;
        for write in news.iter().filter(|write| write.stored_a_status()) {
            written.insert(write.name.clone());
            last = last.max(write.answered);
        }
        // Checks the objects only when something new was written and each object was written once.
        let worth = written.len() >= size && (checked.is_none() || !news.is_empty());
        writes.extend(news);
        if worth {
            checked = Some(());
            if not_ready(bench).await? == 0 {
                break;
            }
        }
        if asked.elapsed() > PATIENCE {
            let left = not_ready(bench).await?;
            return Err(format!("{left} objects were not Ready within {} s", PATIENCE.as_secs()).into());
        }
        sleep(PAUSE).await;
    }
    let controller = bench.controller().await?;
    let (used, memory) = (controller.processor_time()?, controller.memory()?);
    let took = Duration::try_from(last.duration_since(started_at))?;
    let traffic = Traffic::of(&bench.fleet.platform.since(&mut cursor));
    let refused = bench.fleet.refusals().await? - refused_before;

    let floor = bench.floors.patches;
    let rate = format!(
        "from the start of the process to the last status; {:.0} objects a second; a status has {} bytes in \
         the floor",
        rate(size, took),
        bench.floors.status_size
    );
    bench.add(
        Measurement::at_most(
            "cold start: until all are Ready",
            Amount::seconds(took),
            1.1 * floor.as_secs_f64(),
            "≤ 1.1 × floor",
        )
        .floor(Amount::seconds(floor))
        .note(rate),
    );
    let refused = Amount::count(usize::try_from(refused)?);
    bench.add(Measurement::at_most("cold start: refused by the API server's fairness", refused, 0.0, "0"));
    let batches = size.div_ceil(100);
    bench.add(
        Measurement::at_most(
            "cold start: platform reads of tenants",
            Amount::count(traffic.tenant_reads),
            Amount::count(batches).value,
            "N/100",
        )
        .floor(Amount::count(batches))
        .note(format!("and {} other requests that read", traffic.other_reads)),
    );
    let writes = Amount::ratio(writes.iter().filter(|write| !write.renews_a_lease()).count(), size);
    bench.add(
        Measurement::shown("cold start: writes to Kubernetes per object", writes).floor(Amount::ratio(1, 1)),
    );
    let each = Amount::milliseconds(used.div_f64(rate_base(size)));
    bench.add(
        Measurement::at_most(
            "cold start: processor time of the controller per object",
            each,
            0.5,
            "≤ 0.5 ms",
        )
        .note(format!("{:.1} s in all", used.as_secs_f64())),
    );
    bench.add(Measurement::shown("cold start: memory, peak", Amount::bytes(memory.peak)));
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn rate_base(size: usize) -> f64 {
    size as f64
}

fn rate(size: usize, took: Duration) -> f64 {
    rate_base(size) / took.as_secs_f64()
}

/// How many objects of the fleet are not Ready.
async fn not_ready(bench: &Bench) -> Measured<usize> {
    let objects = bench.fleet.admin().list(manifests::FLEET).await?;
    Ok(objects.iter().filter(|object| !is_ready(object)).count())
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}
