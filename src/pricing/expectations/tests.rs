use super::*;
use crate::{
    api::{AllowedNamespaces, Phase},
    platform::{ErrorClass, Origin},
    pricing::{decide::GRACE_PERIOD, journal::*},
    testing::fixtures::{self, NOW, OTHER_TENANT, Scene, TENANT, error, instant, tenant_key, time},
};

const SLOW: Duration = Duration::from_mins(10);

fn uid() -> Uid {
    "uid-of-acme".into()
}

fn key() -> TenantKey {
    tenant_key(TENANT)
}

fn revision() -> RequestRevision {
    RequestRevision { generation: Some(1), reconcile_now: None, connection: Some(spec_of(1)) }
}

/// The first connection, with the spec of this generation.
fn spec_of(generation: i64) -> SpecRevision {
    let mut connection = fixtures::connection(AllowedNamespaces::default());
    connection.metadata.generation = Some(generation);
    SpecRevision::of(&connection)
}

async fn after(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// The open entry of an attempt for the tenant.
fn entry(attempt_id: &str) -> OpenEntry<'_> {
    OpenEntry { attempt_id, tenant: Some(key()), accepted: None }
}

fn accepted(since: u64) -> Acceptance {
    Acceptance { at: instant(NOW), since: Duration::from_secs(since) }
}

/// How long ago the platform accepted it.
fn accepted_since(outcome: &AttemptOutcome) -> u64 {
    match outcome {
        AttemptOutcome::Accepted(acceptance) if acceptance.at == instant(NOW) => acceptance.since.as_secs(),
        other => panic!("it was not accepted: {other:?}"),
    }
}

fn unknown_since(outcome: &AttemptOutcome) -> Duration {
    match outcome {
        AttemptOutcome::Unknown(since) => *since,
        known => panic!("the outcome is known: {known:?}"),
    }
}

/// How much longer the next attempt waits.
fn backoff_of(reconcile_state: &ReconcileState, revision: &RequestRevision) -> Option<Duration> {
    reconcile_state.recall(&uid(), revision, None).backoff.map(|backoff| backoff.remaining)
}

#[tokio::test(start_paused = true)]
async fn one_attempt_at_a_time_claims_a_tenant() {
    let reconcile_state = ReconcileState::default();
    let claim = reconcile_state.claim(&key()).unwrap();
    assert!(reconcile_state.clone().claim(&key()).is_none(), "clones share everything");
    drop(claim);
    assert!(reconcile_state.claim(&key()).is_some());
}

#[tokio::test(start_paused = true)]
async fn other_tenants_and_other_platforms_are_claimed_beside_it() {
    let reconcile_state = ReconcileState::default();
    let _claim = reconcile_state.claim(&key()).unwrap();
    assert!(reconcile_state.claim(&tenant_key(OTHER_TENANT)).is_some());
    let platform = Origin::parse("https://us5-cloud.acronis.com").unwrap();
    assert!(reconcile_state.claim(&TenantKey { platform, ..key() }).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_claim_outlives_a_long_wait() {
    let reconcile_state = ReconcileState::default();
    let _claim = reconcile_state.claim(&key()).unwrap();
    after(3600).await;
    assert!(reconcile_state.claim(&key()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_as_old_as_this_process_has_known_it() {
    let reconcile_state = ReconcileState::default();
    assert_eq!(unknown_since(&reconcile_state.outcome(entry("attempt-1"))), Duration::ZERO);
    after(59).await;
    assert_eq!(unknown_since(&reconcile_state.outcome(entry("attempt-1"))), Duration::from_secs(59));
    after(1).await;
    assert_eq!(unknown_since(&reconcile_state.outcome(entry("attempt-1"))), GRACE_PERIOD);
    assert_eq!(
        unknown_since(&reconcile_state.outcome(entry("attempt-2"))),
        Duration::ZERO,
        "another attempt"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_open_entry_blocks_its_tenant_for_sixty_seconds() {
    let reconcile_state = ReconcileState::default();
    let _ = reconcile_state.outcome(entry("attempt-1"));
    after(59).await;
    // A further call does not extend the grace period.
    let _ = reconcile_state.outcome(entry("attempt-1"));
    assert!(reconcile_state.in_grace_period(&key()));
    assert!(reconcile_state.claim(&key()).is_none());
    after(1).await;
    assert!(!reconcile_state.in_grace_period(&key()));
    assert!(reconcile_state.claim(&key()).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_grace_period_of_an_own_request_begins_at_its_end() {
    let reconcile_state = ReconcileState::default();
    let _ = reconcile_state.outcome(entry("attempt-1"));
    after(8).await;
    reconcile_state.record("attempt-1", &key(), AttemptOutcome::Unknown(Duration::ZERO));
    after(55).await;
    assert_eq!(unknown_since(&reconcile_state.outcome(entry("attempt-1"))), Duration::from_secs(55));
    assert!(reconcile_state.claim(&key()).is_none());
    after(5).await;
    assert!(reconcile_state.claim(&key()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_known_outcome_is_remembered_and_blocks_no_attempt() {
    for known in [AttemptOutcome::NotSent(None), AttemptOutcome::Refused(error(ErrorClass::Locked))] {
        let reconcile_state = ReconcileState::default();
        reconcile_state.record("attempt-1", &key(), known.clone());
        after(5).await;
        let outcome = reconcile_state.outcome(entry("attempt-1"));
        assert_eq!(format!("{outcome:?}"), format!("{known:?}"));
        assert!(!reconcile_state.in_grace_period(&key()));
        assert!(reconcile_state.claim(&key()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_resolved_sets_its_tenant_free() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.record("attempt-1", &key(), AttemptOutcome::Unknown(Duration::ZERO));
    assert!(reconcile_state.in_grace_period(&key()));
    reconcile_state.resolved("attempt-1");
    assert!(!reconcile_state.in_grace_period(&key()));
    assert!(reconcile_state.claim(&key()).is_some());
    reconcile_state.resolved("never seen");
}

#[tokio::test(start_paused = true)]
async fn a_read_begun_before_an_entry_was_resolved_is_outdated() {
    let reconcile_state = ReconcileState::default();
    let before = Instant::now();
    after(1).await;
    assert!(!reconcile_state.is_outdated(&uid(), before));
    reconcile_state.invalidate_reads(&uid());
    assert!(reconcile_state.is_outdated(&uid(), before), "it may show the trial of before the switch");
    assert!(!reconcile_state.is_outdated(&Uid::from("another"), before));
    after(1).await;
    assert!(!reconcile_state.is_outdated(&uid(), Instant::now()));
    after(600).await;
    assert!(reconcile_state.is_outdated(&uid(), before), "however long its answer took to come");
    reconcile_state.forget(&uid());
    assert!(!reconcile_state.is_outdated(&uid(), before), "nothing is kept of an object that is gone");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_grace_period_does_not_take_a_claim_away() {
    let reconcile_state = ReconcileState::default();
    let _claim = reconcile_state.claim(&key()).unwrap();
    reconcile_state.record("attempt-1", &key(), AttemptOutcome::Unknown(Duration::ZERO));
    reconcile_state.resolved("attempt-1");
    after(61).await;
    assert!(reconcile_state.claim(&key()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_object_without_an_open_entry_has_no_outcome() {
    let reconcile_state = ReconcileState::default();
    assert!(reconcile_state.recall(&uid(), &revision(), None).outcome.is_none());
    let open = reconcile_state
        .recall(&uid(), &revision(), Some(OpenEntry { tenant: None, ..entry("attempt-1") }))
        .outcome;
    assert_eq!(open.as_ref().map(unknown_since), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_attempt_the_next_one_waits() {
    let reconcile_state = ReconcileState::default();
    assert_eq!(backoff_of(&reconcile_state, &revision()), None);
    reconcile_state.back_off(&uid(), error(ErrorClass::Unavailable), revision(), SLOW);
    assert_eq!(backoff_of(&reconcile_state, &revision()), Some(Duration::from_secs(2)));
    assert!(reconcile_state.recall(&Uid::from("another"), &revision(), None).backoff.is_none());
    after(1).await;
    assert_eq!(backoff_of(&reconcile_state, &revision()), Some(Duration::from_secs(1)));
    after(1).await;
    assert_eq!(backoff_of(&reconcile_state, &revision()), None);
}

#[tokio::test(start_paused = true)]
async fn any_change_of_what_is_asked_ends_the_backoff() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.back_off(&uid(), error(ErrorClass::AccessDenied), revision(), SLOW);
    for changed in [
        RequestRevision { generation: Some(2), ..revision() },
        RequestRevision { reconcile_now: Some("now".to_owned()), ..revision() },
        RequestRevision { connection: Some(spec_of(2)), ..revision() },
        RequestRevision { connection: None, ..revision() },
    ] {
        assert_eq!(backoff_of(&reconcile_state, &changed), None, "{changed:?}");
    }
    assert_eq!(backoff_of(&reconcile_state, &revision()), Some(SLOW), "and only a change does");
}

#[tokio::test(start_paused = true)]
async fn a_version_conflict_is_tried_five_times_and_then_slowly() {
    let reconcile_state = ReconcileState::default();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        reconcile_state.back_off(&uid(), error(ErrorClass::VersionMismatch), revision(), SLOW);
        // A failed read in between does not count as an attempt.
        let _ = reconcile_state.count_failure(&uid());
        pauses.push(backoff_of(&reconcile_state, &revision()).unwrap().as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 600, 600]);
}

#[tokio::test(start_paused = true)]
async fn the_pauses_start_over_after_a_change_or_a_success() {
    let reconcile_state = ReconcileState::default();
    let backoff = |revision: &RequestRevision| {
        reconcile_state.back_off(&uid(), error(ErrorClass::Unavailable), revision.clone(), SLOW);
        backoff_of(&reconcile_state, revision).unwrap().as_secs()
    };
    assert_eq!((backoff(&revision()), backoff(&revision())), (2, 4));
    let edited = RequestRevision { generation: Some(2), reconcile_now: None, connection: None };
    assert_eq!((backoff(&edited), backoff(&edited)), (2, 4));
    reconcile_state.clear(&uid());
    assert_eq!(backoff_of(&reconcile_state, &edited), None);
    assert_eq!(backoff(&edited), 2);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_counted_for_each_object() {
    let reconcile_state = ReconcileState::default();
    assert_eq!((reconcile_state.count_failure(&uid()), reconcile_state.count_failure(&uid())), (1, 2));
    assert_eq!(reconcile_state.count_failure(&Uid::from("another")), 1);
    reconcile_state.clear(&uid());
    assert_eq!(reconcile_state.count_failure(&uid()), 1);
}

#[test]
fn a_reconcile_of_a_stale_cache_is_no_failure() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.expect_version(&uid(), Some("7"), Some("9"));
    assert_eq!((reconcile_state.count_stale(&uid()), reconcile_state.count_stale(&uid())), (1, 2));
    reconcile_state.observed_version(&uid(), Some("7"));
    assert_eq!(reconcile_state.count_stale(&uid()), 3, "it is still behind");
    assert_eq!(reconcile_state.count_failure(&uid()), 1);
    reconcile_state.observed_version(&uid(), Some("9"));
    assert_eq!((reconcile_state.count_stale(&uid()), reconcile_state.count_failure(&uid())), (1, 2));
    reconcile_state.clear(&uid());
    assert!(reconcile_state.inner.lock().objects.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_an_object_that_is_gone() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.back_off(&uid(), error(ErrorClass::AccessDenied), revision(), SLOW);
    reconcile_state.expect_version(&uid(), Some("7"), Some("8"));
    let _ = reconcile_state.count_failure(&uid());
    reconcile_state.forget(&uid());
    assert_eq!(backoff_of(&reconcile_state, &revision()), None);
    assert!(!reconcile_state.is_overwritten(&uid(), Some("7")));
    assert_eq!(reconcile_state.count_failure(&uid()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_status_was_written_over_is_old() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.expect_version(&uid(), Some("7"), Some("8"));
    reconcile_state.expect_version(&uid(), Some("8"), Some("9"));
    for (version, old) in [(Some("7"), true), (Some("8"), true), (Some("9"), false), (None, false)] {
        assert_eq!(reconcile_state.is_overwritten(&uid(), version), old, "{version:?}");
    }
    assert!(!reconcile_state.is_overwritten(&Uid::from("another"), Some("7")));
    reconcile_state.clear(&uid());
    assert!(reconcile_state.is_overwritten(&uid(), Some("7")), "old stays old when all is well");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changed_nothing_makes_no_version_old() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.expect_version(&uid(), Some("7"), Some("7"));
    assert!(!reconcile_state.is_overwritten(&uid(), Some("7")));
}

#[tokio::test(start_paused = true)]
async fn only_the_last_few_old_versions_are_remembered() {
    let reconcile_state = ReconcileState::default();
    let version = |number: usize| number.to_string();
    for number in 0..=OVERWRITTEN {
        reconcile_state.expect_version(&uid(), Some(&version(number)), Some(&version(number + 1)));
    }
    assert!(!reconcile_state.is_overwritten(&uid(), Some("0")));
    assert!((1..=OVERWRITTEN).all(|number| reconcile_state.is_overwritten(&uid(), Some(&version(number)))));
}

#[test]
fn versions_older_than_the_watch_are_forgotten() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.expect_version(&Uid::from("uid"), Some("7"), Some("9"));
    reconcile_state.observed_version(&Uid::from("uid"), Some("5"));
    assert!(reconcile_state.is_overwritten(&Uid::from("uid"), Some("7")), "an older version says nothing");
    reconcile_state.observed_version(&Uid::from("uid"), Some("7"));
    assert!(reconcile_state.is_overwritten(&Uid::from("uid"), Some("7")), "it is shown just now");
    reconcile_state.observed_version(&Uid::from("uid"), Some("9"));
    assert!(!reconcile_state.is_overwritten(&Uid::from("uid"), Some("7")));
    assert!(reconcile_state.inner.lock().objects.is_empty(), "nothing is kept of an object that is in order");
    reconcile_state.expect_version(&Uid::from("uid"), Some("x"), Some("y"));
    reconcile_state.observed_version(&Uid::from("uid"), Some("10"));
    assert!(
        reconcile_state.is_overwritten(&Uid::from("uid"), Some("x")),
        "of what is no number nothing is concluded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_stays_blocked_while_another_entry_is_open() {
    let reconcile_state = ReconcileState::default();
    for attempt in ["attempt-1", "attempt-2"] {
        reconcile_state.record(attempt, &key(), AttemptOutcome::Unknown(Duration::ZERO));
    }
    reconcile_state.record("attempt-3", &tenant_key(OTHER_TENANT), AttemptOutcome::Unknown(Duration::ZERO));
    reconcile_state.resolved("attempt-1");
    assert!(reconcile_state.claim(&key()).is_none());
    reconcile_state.resolved("attempt-2");
    assert!(reconcile_state.claim(&key()).is_some(), "an attempt for another tenant does not block");
}

#[test]
fn an_open_attempt_differs_from_a_plan_and_from_a_past_one() {
    use crate::testing::fixtures::Scene;
    let object = |phase| Scene::new().journaled(phase).object;
    assert_eq!(open_attempt(&object(Phase::InFlight)), Some("attempt-1"));
    assert_eq!(open_attempt(&object(Phase::Scheduled)), None);
    assert_eq!(open_attempt(&object(Phase::Completed)), None);
    assert_eq!(open_attempt(&Scene::new().object), None);
    let mut nameless = object(Phase::InFlight);
    nameless.status.as_mut().unwrap().switch.as_mut().unwrap().attempt_id = None;
    assert_eq!(
        open_attempt(&nameless),
        Some(uid().to_string().as_str()),
        "an entry without an id is an attempt too"
    );
}

#[test]
fn a_journals_tenant_is_the_pinned_one_on_its_own_platform() {
    use crate::testing::fixtures::Scene;
    let mut object = Scene::new().pricing("trial").announced("attempt-1").object;
    assert_eq!(journaled_tenant(&object), Some(key()));
    object.status.as_mut().unwrap().tenant_id = None;
    assert_eq!(journaled_tenant(&object), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_platform_accepted_keeps_the_tenant_until_resolved() {
    let reconcile_state = ReconcileState::default();
    reconcile_state.record("attempt-1", &key(), AttemptOutcome::Accepted(accepted(0)));
    after(24 * 3600).await;
    assert!(reconcile_state.claim(&key()).is_none(), "no time makes room for another request");
    assert_eq!(reconcile_state.accepted(&key()), Some(accepted(24 * 3600)));
    assert_eq!(accepted_since(&reconcile_state.outcome(entry("attempt-1"))), 24 * 3600);
    // The object is gone, and nothing else remembers the attempt.
    reconcile_state.forget(&uid());
    assert!(reconcile_state.claim(&key()).is_none());
    assert!(reconcile_state.claim(&tenant_key(OTHER_TENANT)).is_some());
    reconcile_state.resolved("attempt-1");
    assert_eq!(reconcile_state.accepted(&key()), None);
    assert!(reconcile_state.claim(&key()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stored_acceptance_counts_in_another_process() {
    let reconcile_state = ReconcileState::default();
    let stored = || OpenEntry { accepted: Some(accepted(500)), ..entry("attempt-1") };
    assert_eq!(accepted_since(&reconcile_state.outcome(stored())), 500);
    after(200).await;
    // After the first call, only the monotonic clock counts.
    let set_back = OpenEntry { accepted: Some(accepted(0)), ..entry("attempt-1") };
    assert_eq!(accepted_since(&reconcile_state.outcome(set_back)), 700);
    // It counts even if the entry no longer says so.
    assert_eq!(accepted_since(&reconcile_state.outcome(entry("attempt-1"))), 700);
    assert!(reconcile_state.claim(&key()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_unknown_is_accepted_once_it_says_so() {
    let reconcile_state = ReconcileState::default();
    assert_eq!(unknown_since(&reconcile_state.outcome(entry("attempt-1"))), Duration::ZERO);
    after(59).await;
    let stored = OpenEntry { accepted: Some(accepted(59)), ..entry("attempt-1") };
    assert_eq!(accepted_since(&reconcile_state.outcome(stored)), 59);
    after(2).await;
    assert!(reconcile_state.claim(&key()).is_none());
}

#[test]
fn an_open_entry_says_when_the_platform_accepted_it() {
    let mut scene = Scene::new().pricing("trial").announced("attempt-1");
    let of = |scene: &Scene| OpenEntry::of(&scene.object, instant(NOW)).map(|open| open.accepted);
    assert_eq!(of(&scene), Some(None));
    for (at, since) in [("2026-11-23T09:50:00Z", 600), ("2026-11-23T10:05:00Z", 0)] {
        scene.object.status.as_mut().unwrap().switch.as_mut().unwrap().accepted_at = Some(time(at));
        let expected = Acceptance { at: instant(at), since: Duration::from_secs(since) };
        assert_eq!(of(&scene), Some(Some(expected)), "{at}");
    }
    assert_eq!(of(&Scene::new()), None);
}

#[tokio::test(start_paused = true)]
async fn a_stored_acceptance_overrides_no_known_failure() {
    for outcome in [
        AttemptOutcome::NotSent(None),
        AttemptOutcome::NotSent(Some(error(ErrorClass::Unavailable))),
        AttemptOutcome::Refused(error(ErrorClass::BusinessRules)),
    ] {
        let reconcile_state = ReconcileState::default();
        reconcile_state.record("attempt-1", &key(), outcome.clone());
        let stored = OpenEntry { accepted: Some(accepted(5)), ..entry("attempt-1") };
        assert!(
            matches!(
                reconcile_state.outcome(stored),
                AttemptOutcome::NotSent(_) | AttemptOutcome::Refused(_)
            ),
            "{outcome:?}"
        );
        assert_eq!(reconcile_state.accepted(&key()), None, "{outcome:?}");
    }
    // Another process may have received the answer that this process did not.
    let reconcile_state = ReconcileState::default();
    reconcile_state.record("attempt-1", &key(), AttemptOutcome::Unknown(Duration::ZERO));
    let stored = OpenEntry { accepted: Some(accepted(5)), ..entry("attempt-1") };
    assert_eq!(accepted_since(&reconcile_state.outcome(stored)), 5);
}

#[tokio::test(start_paused = true)]
async fn a_hidden_attempt_of_an_earlier_leader_keeps_others_waiting() {
    let announced = Scene::new().announced("attempt-of-another").object;
    let key = Key::of(&announced);
    let tenant = tenant_key(TENANT);
    for status in [None, Scene::new().stored().object.status] {
        let reconcile_state = ReconcileState::default();
        let wiped = TenantPricing { status, ..announced.clone() };
        let foreign =
            reconcile_state.shown_status(&key, announced.status.as_ref(), &wiped, instant(NOW)).unwrap();
        assert!(foreign.hides_attempt);
        assert!(reconcile_state.in_grace_period(&tenant) && reconcile_state.claim(&tenant).is_none());
        after(59).await;
        assert!(reconcile_state.claim(&tenant).is_none(), "its request may be on its way");
        after(2).await;
        assert!(reconcile_state.claim(&tenant).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hidden_acceptance_keeps_others_waiting_for_good() {
    let mut announced = Scene::new().announced("attempt-of-another").object;
    announced.status.as_mut().unwrap().switch.as_mut().unwrap().accepted_at = Some(time(NOW));
    let reconcile_state = ReconcileState::default();
    let wiped = TenantPricing { status: None, ..announced.clone() };
    let _ = reconcile_state.shown_status(&Key::of(&wiped), announced.status.as_ref(), &wiped, instant(NOW));
    after(3600).await;
    assert!(reconcile_state.claim(&tenant_key(TENANT)).is_none());
}
