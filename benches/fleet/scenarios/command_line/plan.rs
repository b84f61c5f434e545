//! `plan`, over a folder of manifests that are all new.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::Limits;
use crate::{
    Measured,
    bench::Bench,
    manifests,
    platform::{Platform, Traffic},
};

/// The number of manifests. Every other one names its tenant by id, and every other one by name.
const MANIFESTS: usize = 1000;

/// The requests a second of the connection.
const PACE: u32 = 100;

const RUNS: usize = 5;

const LIMITS: Limits = Limits { seconds: 3.0, mebibytes: 60.0 };
const MOST_REQUESTS: usize = 25;
const MOST_TOKENS: usize = 1;

/// The exit code of a plan that changes something.
const CHANGES: i32 = 2;

/// A thousand switches that are due at once.
pub async fn plan(bench: &mut Bench) -> Measured<()> {
    let platform = bench.fleet.another_platform(MANIFESTS).await?;
    let (folder, url) = (bench.fleet.folder("plan")?, platform.simulator.url());
    write_input(&folder, &platform)?;
    let path = folder.display().to_string();
    let (mut runs, mut requests, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut cursor = platform.here();
        let arguments = ["plan", "--no-cluster", "-f", &path];
        let run = bench.plugin.run(&arguments, &[("TENANT_PRICING_ALLOWED_HOSTS", &url)], CHANGES).await?;
        let last = run.output.lines().next_back().unwrap_or_default();
        if !last.starts_with(&format!("{MANIFESTS} switches now ")) {
            return Err(format!("not all {MANIFESTS} manifests are planned as switches: {last}").into());
        }
        let traffic = Traffic::of(&platform.since(&mut cursor));
        requests.push(traffic.arrivals.len());
        tokens.push(traffic.tokens);
        runs.push(run);
    }
    super::add(bench, "plan of 1,000", LIMITS, &runs);
    super::add_count(bench, "plan of 1,000: requests to the platform", MOST_REQUESTS, requests);
    super::add_count(bench, "plan of 1,000: tokens among them", MOST_TOKENS, tokens);
    Ok(())
}

/// Writes a file for each object, and one for the connection with its Secret.
fn write_input(folder: &Path, platform: &Platform) -> Measured<()> {
    let write = |name: &str, object: &Value| -> Measured<()> {
        Ok(fs::write(folder.join(format!("{name}.yaml")), serde_saphyr::to_string(object)?)?)
    };
    let simulator = &platform.simulator;
    let mut connection = manifests::connection(&simulator.url(), Duration::from_secs(600));
    connection["spec"]["requestsPerSecond"] = json!(PACE);
    write("connection", &connection)?;
    write("secret", &manifests::secret(&simulator.client_id(), &simulator.client_secret()))?;
    for number in 1..=MANIFESTS {
        let object = if number.is_multiple_of(2) {
            manifests::by_name(number)
        } else {
            manifests::tenant_pricing(number, "production")
        };
        write(&manifests::object_name(number), &object)?;
    }
    Ok(())
}
