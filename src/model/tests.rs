//! Explores every setting completely.

use std::time::Instant;

use stateright::{Checker, DiscoveryClassification, HasDiscoveries, Model};

use super::{Setting, Switching, faults::Fault, settings};

/// The stages at which a process can die.
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

/// How many more faults than usual may happen (`make model`). Each one takes about ten times as long.
fn more() -> u8 {
    std::env::var("TENANT_PRICING_MODEL_MORE").ok().and_then(|more| more.parse().ok()).unwrap_or(0)
}

/// Explores every state of a setting with this number of faults, and expects a minimum of states. A model in which
/// nothing happens would break no rule either.
fn explore(setting: fn(u8) -> Setting, usual: u8, at_least: usize) {
    let all = usual + more();
    let setting = setting(all);
    let model = Switching::new(setting.clone(), &[]);
    let (steps_taken, faults_seen, settled) =
        (model.steps_taken.clone(), model.faults_seen.clone(), model.settled.clone());
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
    println!("  faults: {:?}", faults_seen.lock().unwrap());
    println!("  steps: {:?}", steps_taken.lock().unwrap());
    let failed = |name: &&str| {
        matches!(checker.discovery_classification(name), DiscoveryClassification::Counterexample)
    };
    for (name, path) in checker.discoveries().into_iter().filter(|(name, _)| failed(name)) {
        println!("{name}: {:#?}", path.last_state());
        println!("by {:?}", path.into_actions());
        println!("{}", settled.fault.lock().unwrap().as_deref().unwrap_or_default());
    }
    checker.assert_properties();
    assert!(checker.unique_state_count() >= at_least, "too few states were explored");
    for fault in Fault::ALL.into_iter().filter(|fault| setting.faults.allow(*fault)) {
        assert!(faults_seen.lock().unwrap().contains_key(&fault), "{fault:?} never occurred");
    }
    if setting.faults.allow(Fault::Crash) {
        for stage in STAGES {
            assert!(
                steps_taken.lock().unwrap().contains_key(&("crash", stage)),
                "no process died when {stage}"
            );
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
fn a_leader_dies_while_the_other_object_starts_to_compete() {
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
fn a_budget_of_one_and_a_tenant_that_is_always_refused() {
    explore(settings::refused, 2, 2000);
}

#[test]
fn a_recreated_object_and_a_tenant_back_in_trial() {
    explore(settings::created_again, 3, 10_000);
}

#[test]
fn two_replicas_on_a_machine_that_sleeps() {
    explore(settings::asleep, 2, 25_000);
}

#[test]
fn a_record_of_another_object_and_stale_reads() {
    explore(settings::stale_record, 3, 25_000);
}

#[test]
fn a_put_is_accepted_and_the_platform_still_shows_trial() {
    explore(settings::stale_reads, 2, 5000);
}
