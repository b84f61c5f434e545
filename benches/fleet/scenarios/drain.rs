//! Thousands of switches become due in the same second, and a user edits an object meanwhile.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use tenant_pricing_controller::{clock::Clock, simulator::Operation};
use tokio::time::sleep;

use crate::{
    Measured, api_server,
    api_server::audit::Audit,
    bench::Bench,
    fleet::{Fleet, PATIENCE},
    manifests,
    measurements::{Amount, Measurement, Samples},
    platform::{self, Cursor},
};

/// At most half of the fleet, and no more than this.
const MOST_DUE: usize = 5000;

/// How many objects are edited meanwhile.
const EDITS: usize = 100;

/// Between two edits.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest wait for the read of an edited object. A read that does not come counts as this.
const LIMIT: Duration = Duration::from_secs(300);

/// Edits while many due switches drain.
pub async fn drain(bench: &mut Bench) -> Measured<()> {
    bench.controller().await?;
    let fleet = &bench.fleet;
    let due = (fleet.size / 2).min(MOST_DUE);
    // Followed from before: the first may be due before the last has been asked for.
    let (mut cursor, mut drain) = (fleet.platform.here(), Drain::new(fleet));
    let scheduled = schedule(fleet, due, bench.floors.patches).await?;

    let (mut audit, began) = (fleet.audit()?, Instant::now());
    let (mut reads, mut edited) = (Vec::new(), Vec::new());
    for number in (due + 1..=fleet.size).take(EDITS) {
        drain.follow();
        if drain.puts.len() >= due || began.elapsed() > PATIENCE {
            break;
        }
        let (name, tenant) = (manifests::object_name(number), platform::id(number));
        let (sent, sent_at) = (Instant::now(), Clock::system().now());
        // The mode stays: the edit only causes a read.
        let later = sent_at + jiff::SignedDuration::from_hours(24);
        let spec = json!({"spec": {"switch": {"notBefore": whole(later)}}});
        fleet.admin().merge(&manifests::path(&name), &spec).await?;
        edited.push((name, sent_at));
        let read = fleet.platform.first(&mut cursor, LIMIT, |request| {
            if request.operation == Operation::PutPricing {
                return false;
            }
            request.tenants.contains(&tenant) && fleet.platform.arrival(request) > sent
        });
        reads.push(read.await.map_or(LIMIT, |read| read.saturating_duration_since(sent)));
        sleep(PAUSE).await;
    }
    while drain.puts.len() < due {
        if began.elapsed() > PATIENCE {
            return Err(format!("{due} due switches did not drain within {} s", PATIENCE.as_secs()).into());
        }
        sleep(PAUSE).await;
        drain.follow();
    }
    let lasted = drain.lasted();
    let reported = reported(fleet, &mut audit, &edited).await?;
    let wrong = (1..=due).filter(|number| fleet.platform.simulator.puts(&platform::id(*number)) != 1).count();

    let reads = Samples::new(reads);
    let (median, tail) = (Amount::milliseconds(reads.median()), Amount::milliseconds(reads.percentile(99)));
    let [reported_median, reported_tail] =
        [50, 99].map(|part| Amount::milliseconds(reported.percentile(part)));
    bench.add(
        Measurement::at_most("edit while due switches drain: first read, p99", tail, 1000.0, "≤ 1 s")
            .note(format!(
                "{due} were due at once, {scheduled} of them known to be; of {} edits: p50 {median}; until the \
                 status reports it p50 {reported_median}, p99 {reported_tail}",
                reads.count()
            ))
            .samples(&reads),
    );
    let rate = Amount { value: Amount::count(due).value / lasted.as_secs_f64(), ..Amount::ratio(0, 1) };
    bench.add(
        Measurement::shown("due switches: PUTs a second", rate)
            .note(format!("{due} in {:.1} s, the pace being 1000 a second", lasted.as_secs_f64())),
    );
    let wrong = Amount::count(wrong);
    bench.add(Measurement::at_most("due switches: tenants without exactly one PUT", wrong, 0.0, "0"));
    Ok(())
}

/// The PUTs of due switches, as they come.
struct Drain<'a> {
    fleet: &'a Fleet,
    cursor: Cursor,
    /// When each came.
    puts: Vec<Instant>,
}

impl<'a> Drain<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        Self { fleet, cursor: fleet.platform.here(), puts: Vec::new() }
    }

    fn follow(&mut self) {
        let platform = &self.fleet.platform;
        let requests = platform.since(&mut self.cursor);
        let puts = requests.iter().filter(|request| request.operation == Operation::PutPricing);
        self.puts.extend(puts.map(|request| platform.arrival(request)));
    }

    /// From the first to the last.
    fn lasted(&self) -> Duration {
        match (self.puts.iter().min(), self.puts.iter().max()) {
            (Some(first), Some(last)) => last.duration_since(*first),
            _ => Duration::ZERO,
        }
    }
}

/// Lets that many objects ask for production at the same near instant, and waits for it. Returns how many of them
/// the controller had written down by then.
async fn schedule(fleet: &Fleet, due: usize, patches: Duration) -> Measured<usize> {
    let mut audit = fleet.audit()?;
    // As long as the edits and the controller's writes take, generously.
    let share = patches.mul_f64(Amount::ratio(due, fleet.size).value);
    let at = Clock::system().now() + jiff::SignedDuration::try_from(Duration::from_secs(8) + share * 5)?;
    let at = Timestamp::from_second(at.as_second())?;
    let edit = |number| async move {
        let spec = json!({"spec": {"mode": "production", "switch": {"notBefore": whole(at)}}});
        fleet.admin().merge(&manifests::path(&manifests::object_name(number)), &spec).await
    };
    api_server::all((1..=due).map(edit)).await?;
    let mut written = HashSet::new();
    loop {
        let news = audit.news()?.into_iter().filter(crate::api_server::audit::Write::stored_a_status);
        written.extend(news.map(|write| write.name));
        let left = at.duration_since(Clock::system().now());
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => sleep(left.min(Duration::from_millis(200))).await,
            _ => return Ok(written.len().min(due)),
        }
    }
}

/// How long it took until the status of each edited object was written after its edit.
async fn reported(fleet: &Fleet, audit: &mut Audit, edited: &[(String, Timestamp)]) -> Measured<Samples> {
    let mut sent: HashMap<&str, Timestamp> =
        edited.iter().map(|(name, sent_at)| (name.as_str(), *sent_at)).collect();
    let (mut samples, asked) = (Vec::new(), Instant::now());
    while !sent.is_empty() {
        for write in fleet.writes(audit).await?.iter().filter(|write| write.stored_a_status()) {
            if let Some(sent_at) = sent.remove(write.name.as_str()) {
                samples.push(Duration::try_from(write.answered.duration_since(sent_at)).unwrap_or_default());
            }
        }
        if asked.elapsed() > LIMIT {
            return Err(format!("{} edits never reached the status", sent.len()).into());
        }
        sleep(PAUSE).await;
    }
    Ok(Samples::new(samples))
}

fn whole(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
