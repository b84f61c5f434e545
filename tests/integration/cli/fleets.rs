//! A plan is what happens: fleets made at random are planned, applied, and run to rest over the end of a month.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::{SimulatorOptions, TenantSpec},
};

use super::{entry, json};
use crate::harness::{PATIENCE, Test, reason};

/// The fleets of one run. `FLEETS` sets another number, and `FLEET_SEED` the seed of the first one.
const FLEETS: u64 = 2;

/// What the plans of the first [`FLEETS`] fleets contain, each at least once: a state that no fleet has proves nothing.
const REASONS: [&str; 15] = [
    "ConnectionNotFound",
    "ConnectionNotReady",
    "DuplicateTenant",
    "InSync",
    "NotACustomerTenant",
    "Observed",
    "ReversalRefused",
    "Suspended",
    "SwitchBudgetExhausted",
    "SwitchScheduled",
    "Switching",
    "TenantDisabled",
    "TenantLocked",
    "TenantNameAmbiguous",
    "TenantNotFound",
];

/// The connections that objects name: most one that works, some one that is suspended, and one that does not exist.
const CONNECTIONS: [&str; 3] = ["default", "closed", "nowhere"];

/// One object and its tenant.
#[derive(Clone, Debug)]
struct Member {
    kind: u8,
    mode: Option<&'static str>,
    at: Option<&'static str>,
    not_before: Option<&'static str>,
    suspend: bool,
    by_name: bool,
    /// Shares the tenant of the member before it.
    duplicate: bool,
    /// Its connection, an index of [`CONNECTIONS`].
    connection: usize,
}

fn member() -> impl Strategy<Value = Member> {
    let modes = prop_oneof![4 => Just(Some("production")), 1 => Just(Some("trial")), 1 => Just(None)];
    let times = prop_oneof![Just(None), Just(Some("Immediately")), Just(Some("MonthStart"))];
    let starts = prop_oneof![5 => Just(None), 1 => Just(Some("2026-11-25T00:00:00Z")),
        1 => Just(Some("2026-12-20T00:00:00Z"))];
    (
        0..18_u8,
        modes,
        times,
        starts,
        proptest::bool::weighted(0.1),
        any::<bool>(),
        proptest::bool::weighted(0.15),
        prop_oneof![18 => Just(0_usize), 1 => Just(1), 1 => Just(2)],
    )
        .prop_map(|(kind, mode, at, not_before, suspend, by_name, duplicate, connection)| Member {
            kind,
            mode,
            at,
            not_before,
            suspend,
            by_name,
            duplicate,
            connection,
        })
}

/// Adds the tenant of a member, and returns its id. Most are customers in trial.
fn add_tenant(test: &Test, member: &Member, name: &str) -> String {
    // The platform must not be first when the clock moves over months.
    let in_trial =
        || TenantSpec::customer(name).production_start_date("2027-06-01T00:00:00Z".parse().unwrap());
    let tenant = match member.kind {
        0 | 1 => TenantSpec::customer(name).mode("production"),
        2 => in_trial().disabled(),
        3 | 7 => TenantSpec::partner(name),
        4 => in_trial().locked_by("10cced00-0000-4000-8000-000000000001"),
        // Another customer with the same name.
        5 => {
            test.simulator.add_tenant(in_trial());
            in_trial()
        }
        // No tenant at all.
        6 => return "90900000-0000-4000-8000-000000000001".to_owned(),
        _ => in_trial(),
    };
    test.simulator.add_tenant(tenant)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_happens() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let (first, count): (u64, u64) = (number("FLEET_SEED").unwrap_or(0), number("FLEETS").unwrap_or(FLEETS));
    eprintln!("{count} fleets from FLEET_SEED={first}");
    let fleets = (first..first + count).map(|seed| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(seed + 1).to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let strategy = (proptest::collection::vec(member(), 30..61), prop_oneof![Just(8_u32), Just(1_000)]);
        let (members, budget) = strategy.new_tree(&mut runner).unwrap().current();
        fleet(seed, members, budget)
    });
    // Each mostly waits: for the API server, and for its controller.
    let reasons: Vec<BTreeSet<String>> = stream::iter(fleets).buffer_unordered(4).collect().await;
    let reasons: BTreeSet<String> = reasons.into_iter().flatten().collect();
    let missing: Vec<_> = REASONS.iter().filter(|reason| !reasons.contains(**reason)).collect();
    // A few fleets with other seeds may lack one.
    let are_enough = count >= if first == 0 { FLEETS } else { 20 };
    assert!(!are_enough || missing.is_empty(), "no plan of {count} fleets says {missing:?}");
}

/// Plans a fleet, lets it happen, and compares. Returns the reasons in the plan.
async fn fleet(seed: u64, members: Vec<Member>, budget: u32) -> BTreeSet<String> {
    let now = "2026-11-23T10:00:00Z".parse().unwrap();
    let options = SimulatorOptions { clock: Some(now), ..SimulatorOptions::default() };
    let test = Test::with_simulator("plan-fleet", options).await;
    test.set_time(now);
    test.connection("default", json!({"switch": {"budget": {"count": budget, "window": "1h"}}})).await;
    test.connection(CONNECTIONS[1], json!({"suspend": true})).await;
    let mut items = Vec::new();
    let mut last: Option<(String, String)> = None;
    for (number, member) in members.iter().enumerate() {
        let name = format!("m{number:02}");
        let (id, tenant_name) = match &last {
            Some(last) if member.duplicate => last.clone(),
            _ => {
                let tenant_name = format!("Tenant {seed} {number}");
                (add_tenant(&test, member, &tenant_name), tenant_name)
            }
        };
        let selector = if member.by_name { json!({"name": tenant_name}) } else { json!({"id": id}) };
        let connection = json!({"name": CONNECTIONS[member.connection]});
        let mut spec = json!({"tenant": selector, "suspend": member.suspend, "connectionRef": connection});
        if let Some(mode) = member.mode {
            spec["mode"] = mode.into();
        }
        if let Some(at) = member.at {
            spec["switch"]["at"] = at.into();
        }
        if let Some(not_before) = member.not_before {
            spec["switch"]["notBefore"] = not_before.into();
        }
        items.push(json!({
            "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
            "metadata": {"name": name, "namespace": test.namespace}, "spec": spec,
        }));
        last = Some((id, tenant_name));
    }
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let now_text = "2026-11-23T10:00:00Z";
    let output = test.plugin(&["plan", "-f", "-", "-o", "json", "--now", now_text], &[], &manifest).await;
    assert!([2, 3].contains(&output.code), "{}{}", output.stdout, output.stderr);
    let plan = json(&output);
    test.simulator.clear_log();
    // One by one, in the order of their names: a plan takes new objects of one tenant in that order.
    test.controller().await;
    test.apply(&manifest).await;
    let names: Vec<String> = (0..members.len()).map(|number| format!("m{number:02}")).collect();
    let mut faults = Vec::new();
    for name in &names {
        let wanted = entry(&plan, name).clone();
        if !waits(&test, name, |object| is_as_planned(object, &wanted)).await {
            let object = json!(test.latest(name));
            faults.push(format!("seed {seed}, {name}: planned {wanted:#}, found {object:#}"));
        }
    }
    assert!(faults.is_empty(), "{}\nfleet {members:#?}, budget {budget}", faults.join("\n"));
    let planned = |outcome: &str| -> Vec<&Value> {
        let objects = plan["objects"].as_array().unwrap();
        objects.iter().filter(|entry| entry["outcome"] == outcome).collect()
    };
    // Which of several that are due at the same moment go first depends on the order of the reads. How many go does
    // not.
    let now = planned("switchNow").len();
    until_switched(&test, &names, now, &format!("seed {seed}: {plan:#}")).await;
    // Then over the end of the month, far enough for the budget, in steps in which each switch has time.
    let mut later: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in planned("switchLater") {
        later.entry(entry["at"].as_str().unwrap()).or_default().push(entry["billedMonth"].as_str().unwrap());
    }
    let mut months: Vec<String> = planned("switchNow").iter().map(|_| "2026-11".to_owned()).collect();
    for (round, (at, of_round)) in later.into_iter().enumerate() {
        let time: jiff::Timestamp = at.parse().unwrap();
        // The earlier switches were announced a little after their time, so their places come free a little later.
        let late = jiff::SignedDuration::from_secs(120 * (1 + i64::try_from(round).unwrap()));
        test.set_time(time + late);
        months.extend(of_round.into_iter().map(str::to_owned));
        for name in &names {
            test.request_reconcile(name, &format!("round-{round}")).await;
        }
        until_switched(&test, &names, months.len(), &format!("seed {seed}, {at}: {plan:#}")).await;
    }
    let mut billed: Vec<String> = names.iter().filter_map(|name| billed(&test, name)).collect();
    billed.sort();
    months.sort();
    assert_eq!(billed, months, "seed {seed}: {plan:#}");
    test.finish().await;
    let objects = plan["objects"].as_array().unwrap();
    objects.iter().map(|entry| entry["reason"].as_str().unwrap().to_owned()).collect()
}

/// The month on the bill of an object that this controller switched.
fn billed(test: &Test, name: &str) -> Option<String> {
    let journal = test.latest(name)?.status?.switch.filter(|journal| journal.phase == Phase::Completed)?;
    Some(journal.completed_at?.0.strftime("%Y-%m").to_string())
}

/// Waits until this number of objects is switched, with as many requests.
async fn until_switched(test: &Test, names: &[String], count: usize, what: &str) {
    let switched = || names.iter().filter(|name| billed(test, name).is_some()).count();
    test.wait_for(&format!("{count} are switched ({what})"), PATIENCE, async || {
        (switched() == count && test.simulator.effective_puts() == count).then_some(())
    })
    .await;
}

/// Whether the state of an object is the planned one.
fn is_as_planned(object: &TenantPricing, wanted: &Value) -> bool {
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    let is_switched = journal.is_some_and(|journal| journal.phase == Phase::Completed);
    let (planned, found) = (wanted["reason"].as_str().unwrap(), reason(object, "Ready"));
    match planned {
        // Either may be first: see `fleet`.
        "Switching" | "SwitchBudgetExhausted" => is_switched || found == "SwitchBudgetExhausted",
        _ => found == planned,
    }
}

/// Whether the condition comes true in time.
async fn waits(test: &Test, name: &str, condition: impl Fn(&TenantPricing) -> bool) -> bool {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if test.latest(name).is_some_and(|object| condition(&object)) {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    false
}
