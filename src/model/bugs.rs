//! What the model can leave out on purpose, to prove that the checker notices.

use std::{sync::atomic::Ordering, time::Instant};

use stateright::{Checker, HasDiscoveries, Model};

use super::{Setting, Switching, settings};

/// A part of the protocol that the model leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// The journal is written even if the object has changed since it was read.
    JournalUnguarded,
    /// After a lost answer the PUT is sent again, without a read.
    BlindRepeat,
    /// An attempt is announced and a PUT is sent without a check of the lease.
    LeaseUnchecked,
    /// The age of a lease is measured by the monotonic clock alone.
    WallClockIgnored,
    /// An attempt that began in an ended term continues in the next one.
    TermIgnored,
    /// An unknown outcome counts as no effect at once.
    GraceSkipped,
    /// A new leader uses the caches that it has.
    NoQuorumList,
    /// The cached object is used as the stored one.
    CachedObject,
    /// No object has an older owner.
    NoOlderOwner,
    /// Open attempts of other objects for the same tenant are ignored.
    OpenElsewhereIgnored,
    /// Records of other objects that this controller switched the tenant are ignored.
    RecordElsewhereIgnored,
    /// No tenant is claimed.
    NothingIsClaimed,
    /// Attempts that are known to have had no effect count against the budget.
    RefusedCount,
    /// A 2xx answer counts as an unknown outcome.
    AcceptedForgotten,
    /// The age of a pre-write read is not checked.
    ReadsUnbounded,
}

/// The rule that breaks in a model. Prints the number of steps that lead to it, which may be one more than necessary.
fn broken(model: Switching) -> Option<&'static str> {
    let (begun, bugs, name) = (Instant::now(), model.bugs, model.setting.name);
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    // `into_actions` takes the steps that lead there once more.
    checker.model().is_found.store(false, Ordering::Relaxed);
    let is_failure = |name: &&'static str| checker.model().property(name).expectation.discovery_is_failure();
    let found = checker.discoveries().into_iter().find(|(name, _)| is_failure(name));
    let (states, seconds) = (checker.unique_state_count(), begun.elapsed().as_secs_f32());
    let Some((rule, path)) = found else {
        println!("{bugs:?} ({name}): nothing is broken in {states} states, {seconds:.1} s");
        return None;
    };
    let steps = path.into_actions();
    println!("{bugs:?} ({name}): {rule}; {} steps, {states} states, {seconds:.1} s: {steps:?}", steps.len());
    Some(rule)
}

fn breaks(bugs: &'static [Bug], setting: Setting, rules: &[&str]) {
    let rule = broken(Switching::new(setting, bugs)).expect("something is broken");
    assert!(rules.contains(&rule), "{rule}");
}

const UNASKED: &str = "S2: nothing is announced that the stored object does not ask for";
const OVER_BUDGET: &str = "S2: no more PUTs leave than the budget has room for";
const NOT_ANNOUNCED: &str = "S2: no PUT leaves without an entry of its own in the stored journal";
const TWO_IN_FLIGHT: &str = "S3: no tenant has two PUTs under way";
const IN_GRACE_PERIOD: &str = "S3: no PUT leaves within the grace period of an unknown one";
const AFTER_ACCEPTANCE: &str = "S4: no PUT leaves for a tenant that one was accepted for";
const OLD_READ: &str = "S2: no switch is decided on a pre-write read that is too old";
const SWITCHED_AGAIN: &str = "S5: nothing is announced for a tenant that was past trial";
const NOT_LEADING: &str = "S3: no PUT leaves without enough of a lease";

#[test]
fn an_unguarded_journal_announces_what_is_no_longer_asked_for() {
    breaks(&[Bug::JournalUnguarded], settings::one_process(1), &[UNASKED]);
}

#[test]
fn a_put_that_is_repeated_blindly_meets_the_first() {
    breaks(&[Bug::BlindRepeat], settings::one_process(1), &[TWO_IN_FLIGHT, IN_GRACE_PERIOD]);
}

#[test]
fn without_a_lease_check_a_replica_sends_without_leading() {
    breaks(&[Bug::LeaseUnchecked], settings::two_replicas(1), &[NOT_LEADING, NOT_ANNOUNCED]);
}

#[test]
fn without_the_wall_clock_a_machine_that_slept_sends() {
    breaks(&[Bug::WallClockIgnored], settings::asleep(1), &[NOT_LEADING]);
}

#[test]
fn without_a_grace_period_two_puts_meet() {
    breaks(&[Bug::GraceSkipped], settings::one_process(1), &[TWO_IN_FLIGHT, IN_GRACE_PERIOD]);
}

#[test]
fn without_a_quorum_list_a_new_leader_spends_the_budget_again() {
    breaks(&[Bug::NoQuorumList], settings::budget(2), &[OVER_BUDGET]);
}

#[test]
fn without_a_quorum_list_a_new_leader_misses_an_open_attempt() {
    breaks(&[Bug::NoQuorumList], settings::takeover(3), &[TWO_IN_FLIGHT, IN_GRACE_PERIOD]);
}

#[test]
fn an_ignored_open_attempt_of_a_younger_object_meets_another() {
    breaks(&[Bug::OpenElsewhereIgnored], settings::takeover(2), &[TWO_IN_FLIGHT, IN_GRACE_PERIOD]);
}

#[test]
fn without_an_older_owner_and_a_claim_two_puts_meet() {
    breaks(&[Bug::NoOlderOwner, Bug::NothingIsClaimed], settings::two_objects(1), &[TWO_IN_FLIGHT]);
}

#[test]
fn without_a_claim_the_older_object_misses_the_younger_attempt() {
    breaks(&[Bug::NothingIsClaimed], settings::two_objects(1), &[TWO_IN_FLIGHT]);
}

/// The precedence of the older object keeps back no PUT that the claim and the check for open attempts elsewhere do not
/// keep back. It decides which object acts. Without it, the end is wrong: a younger object reports that all is done as
/// it asked.
#[test]
fn without_an_older_owner_no_object_reports_the_other() {
    let without = || Switching::new(settings::two_objects(1), &[Bug::NoOlderOwner]);
    assert_eq!(broken(without()), None);
    let rule = broken(Switching { checks_convergence: true, ..without() });
    assert!(rule.is_some_and(|rule| rule.starts_with("L1")), "{rule:?}");
}

/// No PUT too many leaves, but one tenant that is always refused keeps the other from being admitted.
#[test]
fn refused_attempts_that_count_starve_the_other_tenant() {
    let without = || Switching::new(settings::refused(1), &[Bug::RefusedCount]);
    assert_eq!(broken(without()), None);
    let rule = broken(Switching { checks_convergence: true, ..without() });
    assert!(rule.is_some_and(|rule| rule.starts_with("L1")), "{rule:?}");
}

/// The object is read nevertheless, so that a stale one is noticed before a write.
#[test]
fn the_journal_guard_covers_an_object_from_the_cache() {
    assert_eq!(broken(Switching::new(settings::one_process(2), &[Bug::CachedObject])), None);
}

/// The term is checked nevertheless, since the check does not depend on how long anything took. Tried with 3 faults in
/// `two_replicas` and in `asleep`, and with 2 in `two_of_both`.
#[test]
fn the_journal_guard_and_time_limits_cover_an_ended_term() {
    assert_eq!(broken(Switching::new(settings::two_replicas(2), &[Bug::TermIgnored])), None);
}

#[test]
fn a_forgotten_acceptance_lets_another_put_leave() {
    breaks(&[Bug::AcceptedForgotten], settings::stale_reads(2), &[AFTER_ACCEPTANCE]);
}

#[test]
fn an_ignored_record_of_another_object_is_followed_by_a_put() {
    breaks(&[Bug::RecordElsewhereIgnored], settings::stale_record(3), &[SWITCHED_AGAIN]);
}

/// The answer arrives when the process resumes, so the time since the answer proves nothing.
#[test]
fn a_prewrite_read_during_machine_sleep_is_too_old() {
    breaks(&[Bug::ReadsUnbounded], settings::asleep(1), &[OLD_READ]);
}
