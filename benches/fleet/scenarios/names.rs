//! What a switch by name costs over one by id.

use std::time::{Duration, Instant};

use tenant_pricing_controller::simulator::{LoggedRequest, Operation};
use tokio::time::sleep;

use crate::{
    Measured, api_server,
    bench::Bench,
    manifests,
    measurements::{Amount, Measurement},
    platform,
};

/// The number of objects that ask for production at once, by name and then by id.
const AT_ONCE: usize = 50;

const LIMIT: Duration = Duration::from_secs(300);

/// Many objects at once that name their tenants by name, and as many by id.
pub async fn names(bench: &mut Bench) -> Measured<()> {
    bench.controller().await?;
    let by_name = switched(bench, manifests::by_name).await?;
    let pages = by_name.iter().filter(|request| is_page(request)).count();
    let note = format!("{pages} pages, {} searches", of(&by_name, Operation::Search));
    bench.add(
        Measurement::at_most(
            "by name: listings of all tenants for 50 switches at once",
            Amount::count(listings(&by_name)),
            2.0,
            "≤ 2",
        )
        .note(note),
    );
    let by_id = switched(bench, |number| manifests::tenant_pricing(number, "production")).await?;
    bench.add(Measurement::at_most(
        "by id: listings and searches for 50 switches at once",
        Amount::count(listings(&by_id) + of(&by_id, Operation::Search)),
        0.0,
        "0",
    ));
    Ok(())
}

/// Creates objects, waits until all are switched, and returns the requests to the platform meanwhile.
async fn switched(
    bench: &Bench,
    object: impl Fn(usize) -> serde_json::Value,
) -> Measured<Vec<LoggedRequest>> {
    let fleet = &bench.fleet;
    let mut cursor = fleet.platform.here();
    let numbers = (0..AT_ONCE).map(|_| fleet.next_tenant()).collect::<Measured<Vec<usize>>>()?;
    let create = |number| {
        let object = object(number);
        async move { fleet.admin().create(manifests::FLEET, &object).await }
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
    Ok(fleet.platform.since(&mut cursor))
}

fn of(requests: &[LoggedRequest], operation: Operation) -> usize {
    requests.iter().filter(|request| request.operation == operation).count()
}

fn listings(requests: &[LoggedRequest]) -> usize {
    requests.iter().filter(|request| has(request, "subtree_root_id")).count()
}

fn is_page(request: &LoggedRequest) -> bool {
    has(request, "subtree_root_id") || has(request, "after")
}

fn has(request: &LoggedRequest, parameter: &str) -> bool {
    request.query.iter().any(|(key, _)| key == parameter)
}
