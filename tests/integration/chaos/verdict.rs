//! A whole run, from the seed to the verdict.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kube::ResourceExt as _;
use tenant_pricing_controller::simulator::TenantRecord;

use super::{
    driver::Driver,
    environment::{PLATFORM, TEAMS, WRONG_SECRET},
    oracle::{Connection, Record, World, held_back, unconverged},
    plan::Plan,
    report::{self, Figures},
    store,
    traffic::Least,
};
use crate::harness::encoded;

/// When the faults have ended, everything is where it belongs after this time. It covers 60 s of silence after a
/// request whose outcome is open. Before and after that, a lease may have to expire, and pauses may have grown. What
/// budgets hold back comes on top.
const CONVERGES_WITHIN: Duration = Duration::from_secs(120);

/// Carries the plan out, and fails with all that is known if anything was not right.
pub async fn run(plan: Plan, least: Least) {
    let seed = plan.seed;
    eprintln!("chaos: SEED={seed}, {} s of it, {} steps", plan.shape.lasts.as_secs(), plan.steps.len());
    let begun = Instant::now();
    let driver = Driver::new(plan).await;
    let staged = begun.elapsed();
    driver.perform(&least).await;
    let (converged, mut faults) = convergence(&driver).await;
    let (record, more) = evidence(&driver).await;
    faults.extend(more);
    faults.extend(record.faults());
    let figures = Figures::of(&driver, &record, staged, converged);
    faults.extend(least.missed(&figures));
    eprintln!("{figures}");
    if !faults.is_empty() {
        let folder = report::keep(&driver, &record, &faults);
        let shown: Vec<&str> = faults.iter().take(40).map(String::as_str).collect();
        driver.environment.control_plane.end();
        panic!(
            "chaos with SEED={seed}: {} faults\n- {}\nthe plan, the history and everything else: {}",
            faults.len(),
            shown.join("\n- "),
            folder.display()
        );
    }
    driver.environment.control_plane.end();
}

/// Waits until everything is where it belongs. Returns how long that took, or what is not.
async fn convergence(driver: &Driver) -> (Duration, Vec<String>) {
    let begun = Instant::now();
    // What is left to switch depends on how much the machine did while things went wrong.
    let mut on_top = None;
    loop {
        let left = match world(driver).await {
            Ok(world) => {
                on_top.get_or_insert_with(|| held_back(&world));
                unconverged(&world)
            }
            Err(error) => vec![format!("the objects cannot be read: {error}")],
        };
        let limit = CONVERGES_WITHIN
            + on_top.unwrap_or_default()
            + 2 * driver.environment.history.stalled_since(begun);
        if left.is_empty() || begun.elapsed() > limit {
            let left = left
                .into_iter()
                .map(|fault| format!("not within {} s after all is mended: {fault}", limit.as_secs()));
            return (begun.elapsed(), left.collect());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn world(driver: &Driver) -> Result<World, kube::Error> {
    let simulator = &driver.environment.simulator;
    let (objects, found) = driver.environment.users.read_all().await?;
    let budgets = found.into_iter().filter_map(|connection| {
        let name = format!("{}/{}", connection.namespace()?, connection.name_any());
        Some((name, connection.spec.switch.budget))
    });
    let works = |for_all| Connection::Works { for_all };
    let mut connections = BTreeMap::from([
        (format!("{PLATFORM}/wide"), works(true)),
        (format!("{PLATFORM}/narrow"), works(true)),
        (format!("{PLATFORM}/broken"), Connection::Broken),
        (format!("{PLATFORM}/shut"), Connection::Broken),
        (format!("{PLATFORM}/closed"), works(false)),
    ]);
    connections.extend(TEAMS.map(|team| (format!("{team}/default"), works(false))));
    let root = simulator.root_tenant();
    let states = simulator.tenant_history().into_iter().map(|state| state.tenant);
    let tenants: BTreeMap<String, TenantRecord> =
        states.filter_map(|tenant| Some((tenant.id.clone(), simulator.tenant(&tenant.id)?))).collect();
    let budgets = budgets.collect();
    Ok(World { objects, connections, budgets, tenants, root, now: simulator.now() })
}

/// Ends the replicas and gathers all that is known, and what is wrong with what they left behind.
async fn evidence(driver: &Driver) -> (Record, Vec<String>) {
    let environment = &driver.environment;
    let mut secrets = environment.simulator.issued_secrets();
    secrets.push(WRONG_SECRET.to_owned());
    secrets.extend(encoded(&secrets, &environment.simulator.client_id()));
    let leaks = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    let mut faults = Vec::new();
    for life in driver.replicas.lives() {
        let metrics = life.controller.ask_admin("/metrics").await.map(|(_, _, body)| body);
        if metrics.is_some_and(|text| leaks(&text)) {
            faults.push(format!("a secret stands in the metrics of life {}", life.number));
        }
    }
    faults.extend(driver.replicas.end().await);
    for life in driver.replicas.lives() {
        if leaks(&life.controller.log()) {
            faults.push(format!("a secret stands in {}", life.log.display()));
        }
    }
    faults.extend(environment.control_plane.refused_requests());
    let stored = store::read(&environment.control_plane.directory, &secrets).await;
    faults.extend(stored.leaks.iter().map(|place| format!("a secret stands in {place}")));
    let noted = driver.replicas.all().iter().flat_map(|replica| replica.proxy.noted()).collect();
    let record = Record {
        versions: stored.versions,
        puts: driver.requests.puts(),
        epoch: environment.simulator.log_epoch(),
        tenants: environment.simulator.tenant_history(),
        noted,
        spans: environment.history.spans(),
        elected: driver.plan.shape.replicas > 1,
    };
    (record, faults)
}
