//! `status -A`, of all objects that there are.

use super::Limits;
use crate::{
    Measured,
    bench::Bench,
    manifests,
    measurements::{Amount, Measurement},
};

const RUNS: usize = 5;

/// For 10,000 objects.
const LIMITS: Limits = Limits { seconds: 3.0, mebibytes: 100.0 };

/// The most objects that one answer of the API server should have.
const PAGE: f64 = 500.0;

/// The state of the whole fleet, as a person sees it who may read all namespaces.
pub async fn status(bench: &mut Bench) -> Measured<()> {
    let fleet = &bench.fleet;
    let objects = fleet.admin().list(manifests::EVERYTHING).await?.len();
    let kubeconfig = fleet.accounts.floor_kubeconfig.display().to_string();
    let listed_before = fleet.requests("LIST", "tenantpricings").await?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let run = bench.plugin.run(&["status", "-A"], &[("KUBECONFIG", &kubeconfig)], 0).await?;
        let first = run.output.lines().next().unwrap_or_default();
        if !first.starts_with(&format!("{objects} TenantPricings in all namespaces")) {
            return Err(format!("the status is not that of {objects} objects: {first}").into());
        }
        runs.push(run);
    }
    let lists = usize::try_from(fleet.requests("LIST", "tenantpricings").await? - listed_before)?;
    super::add(bench, "status -A", LIMITS, &runs);
    let page = Amount::ratio(objects * RUNS, lists);
    bench.add(
        Measurement::at_most("status -A: objects in an answer", page, PAGE, "≤ 500")
            .note(format!("{objects} objects, in {lists} answers to {RUNS} runs")),
    );
    Ok(())
}
