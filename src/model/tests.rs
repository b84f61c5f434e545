//! Every setting, explored to its end.

use std::time::Instant;

use stateright::{Checker, DiscoveryClassification, HasDiscoveries, Model};

use super::{Setting, Switching, faults::Fault, settings};

/// Where a process can die.
const STAGES: [&str; 10] = [
    "idle",
    "granted",
    "object read",
    "reading the tenant",
    "tenant read",
    "announcing",
    "announced",
    "waiting",
    "ended",
    "writing",
];

/// So much more may go wrong than usual (`make model`): each one more takes about ten times as long.
fn more() -> u8 {
    std::env::var("TENANT_PRICING_MODEL_MORE").ok().and_then(|more| more.parse().ok()).unwrap_or(0)
}

/// Explores everything in a setting in which so much may go wrong, and expects so many states at least: a model in
/// which nothing happens would break no rule either.
fn explore(setting: fn(u8) -> Setting, usual: u8, at_least: usize) {
    let all = usual + more();
    let setting = setting(all);
    let model = Switching::new(setting.clone(), &[]);
    let (taken, befallen, settled) = (model.taken.clone(), model.befallen.clone(), model.settled.clone());
    let begun = Instant::now();
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{}, any {all} faults: {} states, {} steps, {} deep; {} states without any more faults; {:.1} s",
        setting.name,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        settled.count(),
        begun.elapsed().as_secs_f32(),
    );
    println!("  faults: {:?}", befallen.lock().unwrap());
    println!("  steps: {:?}", taken.lock().unwrap());
    let failed = |name: &&str| {
        matches!(checker.discovery_classification(name), DiscoveryClassification::Counterexample)
    };
    for (name, path) in checker.discoveries().into_iter().filter(|(name, _)| failed(name)) {
        println!("{name}: {:#?}", path.last_state());
        println!("by {:?}", path.into_actions());
        println!("{}", settled.fault.lock().unwrap().as_deref().unwrap_or_default());
    }
    checker.assert_properties();
    assert!(checker.unique_state_count() >= at_least, "next to nothing was explored");
    for fault in Fault::ALL.into_iter().filter(|fault| setting.faults.allow(*fault)) {
        assert!(befallen.lock().unwrap().contains_key(&fault), "{fault:?} never befell");
    }
    if setting.faults.allow(Fault::Crash) {
        for stage in STAGES {
            assert!(taken.lock().unwrap().contains_key(&("crash", stage)), "nobody died when {stage}");
        }
    }
}

#[test]
fn one_object_and_one_process() {
    explore(settings::one_process, 3, 20_000);
}

#[test]
fn one_object_and_two_replicas() {
    explore(settings::two_replicas, 2, 25_000);
}

#[test]
fn two_objects_for_one_tenant_and_one_process() {
    explore(settings::two_objects, 2, 40_000);
}

#[test]
fn two_objects_for_one_tenant_and_two_replicas() {
    explore(settings::two_of_both, 1, 6000);
}

#[test]
fn a_leader_that_dies_while_the_other_object_comes_to_contend() {
    explore(settings::takeover, 2, 5000);
}

#[test]
fn a_switch_on_the_first_of_the_month() {
    explore(settings::month_start, 2, 6000);
}

#[test]
fn two_tenants_and_a_budget_of_one_switch() {
    explore(settings::budget, 1, 25_000);
}

#[test]
fn a_budget_of_one_and_a_tenant_that_is_refused_for_good() {
    explore(settings::refused, 2, 2000);
}

#[test]
fn an_object_that_is_deleted_and_created_again_and_a_tenant_that_says_trial_again() {
    explore(settings::created_again, 3, 10_000);
}

#[test]
fn two_replicas_on_a_machine_that_sleeps() {
    explore(settings::asleep, 2, 25_000);
}

#[test]
fn a_put_that_is_accepted_and_a_platform_that_still_shows_trial() {
    explore(settings::stale_reads, 2, 5000);
}
