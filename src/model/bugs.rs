//! What the model can leave out on purpose, to see that the checker notices.

use std::{sync::atomic::Ordering, time::Instant};

use stateright::{Checker, HasDiscoveries, Model};

use super::{Setting, Switching, settings};

/// Something that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// The journal is written whatever became of the object since it was read.
    JournalUnguarded,
    /// After a lost answer the PUT is sent again, and nothing is read.
    BlindRepeat,
    /// A PUT leaves, and an attempt is announced, whether or not there is a lease.
    LeaseUnchecked,
    /// The age of a lease is taken from the monotonic clock alone.
    WallClockUnasked,
    /// What was begun in a term that has ended goes on in the next one.
    TermsUntold,
    /// An outcome that is not known is taken for none at once.
    QuietSkipped,
    /// Who becomes the leader goes by the caches it has.
    NoQuorumList,
    /// The object of the cache is taken for the stored one.
    CachedObject,
    /// No object is older than another.
    NoOlderOwner,
    /// Attempts of other objects for the same tenant are not heeded.
    OpenElsewhereIgnored,
    /// No tenant is claimed.
    NothingIsClaimed,
    /// Attempts that are known to have had no effect count against the budget.
    RefusedCount,
    /// An answer that accepts is taken for one that says nothing.
    AcceptedForgotten,
    /// How long ago a last look was begun is not asked.
    ReadsUnbounded,
}

/// The rule that is broken without something. By how many steps at least is printed; it may be one less.
fn broken(model: Switching) -> Option<&'static str> {
    let (begun, bugs, name) = (Instant::now(), model.bugs, model.setting.name);
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    // The steps that lead there are taken once more.
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
const NOT_QUIET: &str = "S3: no PUT leaves within the quiet time of an unknown one";
const AFTER_ACCEPTANCE: &str = "S4: no PUT leaves for a tenant that one was accepted for";
const OLD_READ: &str = "S2: no switch is decided on a last look that is too old";
const NOT_LEADING: &str = "S3: no PUT leaves without enough of a lease";

#[test]
fn an_unguarded_journal_announces_what_is_no_longer_asked_for() {
    breaks(&[Bug::JournalUnguarded], settings::one_process(1), &[UNASKED]);
}

#[test]
fn a_put_that_is_repeated_blindly_meets_the_first() {
    breaks(&[Bug::BlindRepeat], settings::one_process(1), &[TWO_IN_FLIGHT, NOT_QUIET]);
}

#[test]
fn a_lease_that_is_not_looked_at_lets_a_put_of_nobody_leave() {
    breaks(&[Bug::LeaseUnchecked], settings::two_replicas(1), &[NOT_LEADING, NOT_ANNOUNCED]);
}

#[test]
fn a_machine_that_slept_sends_on_a_lease_that_is_anothers_unless_it_asks_the_wall_clock() {
    breaks(&[Bug::WallClockUnasked], settings::asleep(1), &[NOT_LEADING]);
}

#[test]
fn without_a_quiet_time_two_puts_meet() {
    breaks(&[Bug::QuietSkipped], settings::one_process(1), &[TWO_IN_FLIGHT, NOT_QUIET]);
}

#[test]
fn without_a_quorum_list_a_new_leader_spends_the_budget_again() {
    breaks(&[Bug::NoQuorumList], settings::budget(2), &[OVER_BUDGET]);
}

#[test]
fn without_a_quorum_list_a_new_leader_knows_of_no_open_attempt_of_another_object() {
    breaks(&[Bug::NoQuorumList], settings::takeover(3), &[TWO_IN_FLIGHT, NOT_QUIET]);
}

#[test]
fn an_open_attempt_of_a_younger_object_that_is_not_heeded_meets_the_older_ones() {
    breaks(&[Bug::OpenElsewhereIgnored], settings::takeover(2), &[TWO_IN_FLIGHT, NOT_QUIET]);
}

#[test]
fn without_an_elder_and_a_claim_two_objects_of_one_process_meet() {
    breaks(&[Bug::NoOlderOwner, Bug::NothingIsClaimed], settings::two_objects(1), &[TWO_IN_FLIGHT]);
}

#[test]
fn without_a_claim_the_older_of_two_objects_does_not_see_that_the_younger_began() {
    breaks(&[Bug::NothingIsClaimed], settings::two_objects(1), &[TWO_IN_FLIGHT]);
}

/// Who the eldest is keeps no PUT back that the claim and what is open elsewhere do not keep back. It says who
/// acts, and that is missed where it ends: a younger object says that all is done as it asked.
#[test]
fn without_an_elder_nothing_is_switched_twice_but_nobody_is_told_of_the_other() {
    let without = || Switching::new(settings::two_objects(1), &[Bug::NoOlderOwner]);
    assert_eq!(broken(without()), None);
    let rule = broken(Switching { looks_at_ends: true, ..without() });
    assert!(rule.is_some_and(|rule| rule.starts_with("L1")), "{rule:?}");
}

/// No PUT too many leaves; but one tenant that is refused for good keeps the other one from its turn.
#[test]
fn refused_attempts_that_count_starve_the_other_tenant() {
    let without = || Switching::new(settings::refused(1), &[Bug::RefusedCount]);
    assert_eq!(broken(without()), None);
    let rule = broken(Switching { looks_at_ends: true, ..without() });
    assert!(rule.is_some_and(|rule| rule.starts_with("L1")), "{rule:?}");
}

/// It is read all the same, so that what is stale is seen before anything is written over it.
#[test]
fn behind_an_object_out_of_the_cache_stands_the_guard_of_the_journal() {
    assert_eq!(broken(Switching::new(settings::one_process(2), &[Bug::CachedObject])), None);
}

/// It is asked for all the same: it does not hang on how long anything took. Tried with 3 faults in `two_replicas`
/// and in `asleep`, and with 2 in `two_of_both`.
#[test]
fn behind_the_end_of_a_term_stand_the_guard_of_the_journal_and_the_time_that_passed() {
    assert_eq!(broken(Switching::new(settings::two_replicas(2), &[Bug::TermsUntold])), None);
}

#[test]
fn an_accepted_put_that_is_taken_for_an_unknown_one_is_followed_by_another() {
    breaks(&[Bug::AcceptedForgotten], settings::stale_reads(2), &[AFTER_ACCEPTANCE]);
}

/// The answer comes when the process goes on, so the time since the answer says nothing.
#[test]
fn a_last_look_that_a_machine_slept_through_is_too_old() {
    breaks(&[Bug::ReadsUnbounded], settings::asleep(1), &[OLD_READ]);
}
