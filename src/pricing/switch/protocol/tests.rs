//! Each step alone. The model checks them together.

use jiff::SignedDuration;

use super::*;
use crate::{
    api::Phase,
    cluster::WriteError,
    index::TenantKey,
    platform::{ErrorClass, Origin},
    pricing::{
        decide::STALE_LIMIT,
        facts::*,
        observe::siblings::{KnownAttempts, with_siblings as beside_others},
    },
    testing::fixtures::{
        DECEMBER, NOW, OTHER_TENANT, Scene, TENANT, error, instant, origin, tenant_key, time, via,
    },
};

fn tenant() -> TenantKey {
    tenant_key(TENANT)
}

fn in_flight() -> TenantPricing {
    Scene::new().pricing("trial").announced("attempt-1").object
}

/// The object of the scene under another name, created earlier.
fn older_owner(scene: Scene) -> TenantPricing {
    let mut object = scene.object;
    object.metadata.creation_timestamp = Some(time("2026-11-01T00:00:00Z"));
    object.metadata.name = Some("older".to_owned());
    object.metadata.uid = Some("uid-of-older".to_owned());
    object
}

fn younger(scene: Scene) -> TenantPricing {
    let mut object = scene.object;
    object.metadata.creation_timestamp = Some(time(NOW));
    object
}

fn indexed(object: &TenantPricing) -> Index {
    let index = Index::default();
    _ = index.apply(&Key::of(object), object);
    index
}

#[test]
fn the_prewrite_read_is_compared_with_the_first_read() {
    let stored = Scene::new().object;
    let compared = compared_with(&stored, &Scene::new().mode("production").read);
    let observed = |object: &TenantPricing| {
        object.status.as_ref().and_then(|status| status.observed.as_ref()).map(|seen| seen.mode.clone())
    };
    assert_eq!(observed(&compared).as_deref(), Some("production"));
    assert_eq!(observed(&compared_with(&stored, &TenantRead::NotRead)), None);
}

/// Elapsed milliseconds by the monotonic clock and by the wall clock.
fn elapsed(monotonic: u64, wall: i64) -> Elapsed {
    Elapsed { monotonic: Duration::from_millis(monotonic), wall: SignedDuration::from_millis(wall) }
}

#[test]
fn a_prewrite_read_is_too_old_two_seconds_after_an_answer() {
    for (monotonic, wall, too_old) in [
        (0, 0, false),
        (1999, 1999, false),
        (2000, 0, true),
        (0, 2000, true),
        (0, -1, true),
        (1999, -1, true),
        (9000, 9000, true),
    ] {
        let answered = elapsed(monotonic, wall);
        assert_eq!(is_too_old(answered, elapsed(9000, 9000)), too_old, "{answered:?}");
    }
}

#[test]
fn a_prewrite_read_is_too_old_twenty_seconds_after_its_start() {
    for (monotonic, wall, too_old) in [
        (2500, 2500, false),
        (19_999, 19_999, false),
        (20_000, 0, true),
        (0, 20_000, true),
        (19_000, -1, true),
    ] {
        let begun = elapsed(monotonic, wall);
        assert_eq!(is_too_old(elapsed(0, 0), begun), too_old, "{begun:?}");
    }
}

/// A wall clock that was set back, with a negative elapsed time, allows no request.
#[test]
fn a_request_starts_within_five_seconds_by_both_clocks() {
    for (monotonic, wall, in_time) in [
        (0, 0, true),
        (4999, 4999, true),
        (5000, 0, false),
        (0, 5000, false),
        (0, -1, false),
        (4999, -1, false),
        (9000, 9000, false),
    ] {
        assert_eq!(is_in_time(elapsed(monotonic, wall)), in_time, "{monotonic} ms and {wall} ms");
    }
}

#[test]
fn only_a_stored_announcement_leads_to_the_request() {
    let stored = |object: TenantPricing| Written::Stored(Box::new(object));
    let unknown = || Written::Unknown(WriteError::Timeout);
    assert!(is_announced(&stored(in_flight()), "attempt-1"));
    for (what, written) in [
        ("another attempt", stored(older_owner(Scene::new().pricing("trial").announced("attempt-2")))),
        ("a plan", stored(Scene::new().not_before(DECEMBER).stored().object)),
        ("a conflict", Written::Conflict),
        ("no certain answer", unknown()),
    ] {
        assert!(!is_announced(&written, "attempt-1"), "{what}");
    }
    // A later reconcile closes an announcement that may be stored, because the process remembers that nothing was sent.
    assert!(may_be_stored(&stored(in_flight())));
    assert!(may_be_stored(&unknown()));
    assert!(!may_be_stored(&Written::Conflict));
    assert!(!may_be_stored(&Written::Refused(kube::Error::LinesCodecMaxLineLengthExceeded)));
}

#[test]
fn an_accepted_request_is_neither_unknown_nor_refused() {
    let failed = || error(ErrorClass::Unavailable);
    let outcome = |outcome| outcome_of(outcome, instant(NOW));
    let accepted = Acceptance { at: instant(NOW), since: Duration::ZERO };
    assert!(matches!(outcome(PutOutcome::Accepted), AttemptOutcome::Accepted(it) if it == accepted));
    assert!(
        matches!(outcome(PutOutcome::Unknown(failed())), AttemptOutcome::Unknown(since) if since.is_zero())
    );
    assert!(matches!(outcome(PutOutcome::NotSent(failed())), AttemptOutcome::NotSent(Some(_))));
    assert!(matches!(outcome(PutOutcome::Refused(failed())), AttemptOutcome::Refused(_)));
}

#[test]
fn the_next_attempt_waits_for_what_failed_and_for_nothing_else() {
    let class = |outcome: &AttemptOutcome| failure(outcome).map(PlatformError::class);
    let locked = || error(ErrorClass::Locked);
    assert_eq!(class(&AttemptOutcome::Refused(locked())), Some(ErrorClass::Locked));
    assert_eq!(class(&AttemptOutcome::NotSent(Some(locked()))), Some(ErrorClass::Locked));
    assert_eq!(class(&AttemptOutcome::NotSent(None)), None);
    assert_eq!(class(&AttemptOutcome::Unknown(Duration::ZERO)), None);
}

#[test]
fn an_attempt_is_resolved_when_its_entry_is_no_longer_open() {
    let (open, closed) = (in_flight(), Scene::new().journaled(Phase::Completed).object);
    assert_eq!(resolved(&open, &closed), Some("attempt-1"));
    assert_eq!(resolved(&open, &open), None);
    assert_eq!(resolved(&closed, &closed), None);
    assert_eq!(resolved(&closed, &open), None);
}

/// What is remembered of a younger object beside an older one. `in_grace_period` says whether this process has an
/// attempt for the tenant with an unknown outcome.
fn beside(
    older_owner: &TenantPricing,
    own: &TenantPricing,
    in_grace_period: bool,
    leads_to: Option<&Origin>,
) -> Circumstances {
    let index = indexed(older_owner);
    _ = index.apply(&Key::of(own), own);
    let own_connection = own.connection_key();
    let via = |connection: &Key, _: &Key| {
        let platform = if *connection == own_connection { Some(origin()) } else { leads_to.cloned() };
        platform.map(via)
    };
    beside_others(
        Circumstances::default(),
        own,
        Some(tenant()),
        &index,
        |_| KnownAttempts { in_grace_period, accepted: None },
        via,
        instant(NOW),
    )
}

#[test]
fn open_attempts_elsewhere_and_older_owners_are_remembered() {
    let waits = || Scene::new().not_before(DECEMBER).stored();
    let own = younger(waits());
    let acts = Some(Key::new("team", "older"));
    let circumstances = beside(&older_owner(waits()), &own, false, None);
    assert_eq!(
        (circumstances.sibling_open, circumstances.older_owner),
        (false, acts),
        "its connection is the own one"
    );
    let circumstances =
        beside(&older_owner(Scene::new().pricing("trial").announced("attempt-1")), &own, false, None);
    assert!(circumstances.sibling_open && circumstances.sibling_stalled.is_none());
    let lost = Scene::new().pricing("trial").announced("attempt-1").failed(ErrorClass::AccessDenied);
    let circumstances = beside(&older_owner(lost.stored()), &own, false, None);
    assert_eq!(circumstances.sibling_stalled, Some(Key::new("team", "older")));
    let observes = older_owner(Scene::new().desired(None).stored());
    let circumstances = beside(&observes, &own, false, None);
    assert_eq!((circumstances.sibling_open, circumstances.older_owner), (false, None));
}

/// The scene with the platform's acceptance in its open entry.
fn accepted(scene: Scene) -> Scene {
    let at = Acceptance { at: instant(NOW), since: Duration::ZERO };
    scene.outcome(AttemptOutcome::Accepted(at)).stored()
}

#[test]
fn what_the_platform_accepted_for_another_object_is_remembered() {
    let own = younger(Scene::new().not_before(DECEMBER).stored());
    let open = Scene::new().pricing("trial").announced("attempt-1");
    let of = |other: Scene| beside(&older_owner(other), &own, false, None).sibling_accepted;
    let by_older_owner = |for_long| Some(AcceptedSibling { key: Some(Key::new("team", "older")), for_long });
    assert_eq!(of(open.clone()), None);
    assert_eq!(of(accepted(open.clone())), by_older_owner(false));
    let long_ago = Acceptance { at: instant(NOW), since: STALE_LIMIT };
    assert_eq!(
        of(accepted(open.clone()).outcome(AttemptOutcome::Accepted(long_ago)).stored()),
        by_older_owner(true)
    );
    let done = accepted(open.clone()).mode("production").stored();
    assert_eq!(of(done), None, "once it is done, its record is no obstacle");
    // Only this process knows of an object that is gone.
    let index = indexed(&own);
    for (object, since, expected) in [
        (&own, Duration::ZERO, Some(AcceptedSibling { key: None, for_long: false })),
        (&own, STALE_LIMIT, Some(AcceptedSibling { key: None, for_long: true })),
        (&open.object, STALE_LIMIT, None),
    ] {
        let known = |_: &TenantKey| KnownAttempts {
            in_grace_period: false,
            accepted: Some(Acceptance { at: instant(NOW), since }),
        };
        let circumstances = beside_others(
            Circumstances::default(),
            object,
            Some(tenant()),
            &index,
            known,
            |_, _| None,
            instant(NOW),
        );
        assert_eq!(circumstances.sibling_accepted, expected);
    }
}

#[test]
fn the_record_of_another_object_is_remembered() {
    let own = younger(Scene::new().not_before(DECEMBER).stored());
    let open = Scene::new().pricing("trial").announced("attempt-1");
    let of = |other: Scene| beside(&older_owner(other), &own, false, None).sibling_completed;
    assert_eq!(of(open.clone()), None);
    let done = accepted(open).mode("production").stored();
    let by_older_owner = |for_long| Some(CompletedSibling { key: Key::new("team", "older"), for_long });
    assert_eq!(of(done.clone()), by_older_owner(false));
    for (announced, for_long) in [
        (Some("2026-11-23T09:50:01Z"), false),
        (Some("2026-11-23T09:50:00Z"), true),
        (Some("2026-11-24T00:00:00Z"), false),
        (None, true),
    ] {
        let mut earlier = done.clone();
        let journal = earlier.object.status.as_mut().and_then(|status| status.switch.as_mut()).unwrap();
        journal.intent_at = announced.map(time);
        assert_eq!(of(earlier), by_older_owner(for_long), "{announced:?}");
    }
}

#[test]
fn an_object_of_another_connection_competes_on_one_platform() {
    let own = younger(Scene::new().not_before(DECEMBER).stored());
    let mut other = older_owner(Scene::new().not_before(DECEMBER).stored());
    other.spec.connection_ref.name = "other".to_owned();
    assert!(beside(&other, &own, false, Some(&origin())).older_owner.is_some());
    let elsewhere = Origin::parse("https://us5-cloud.acronis.com").unwrap();
    assert_eq!(beside(&other, &own, false, Some(&elsewhere)).older_owner, None);
}

#[test]
fn an_unknown_outcome_blocks_all_objects_but_its_own() {
    let observes = older_owner(Scene::new().desired(None).stored());
    let waits = younger(Scene::new().not_before(DECEMBER).stored());
    assert!(beside(&observes, &waits, true, None).sibling_open);
    assert!(!beside(&observes, &waits, false, None).sibling_open);
    assert!(
        !beside(&observes, &younger(Scene::new().pricing("trial").announced("a")), true, None).sibling_open
    );
}

#[test]
fn nothing_is_remembered_of_another_or_unseen_tenant() {
    let open = older_owner(Scene::new().pricing("trial").announced("attempt-1"));
    let (index, own) = (indexed(&open), younger(Scene::new().not_before(DECEMBER).stored()));
    for tenant in [None, Some(tenant_key(OTHER_TENANT))] {
        let circumstances = beside_others(
            Circumstances::default(),
            &own,
            tenant,
            &index,
            |_| KnownAttempts::default(),
            |_, _| None,
            instant(NOW),
        );
        assert!(
            !circumstances.sibling_open
                && circumstances.sibling_stalled.is_none()
                && circumstances.older_owner.is_none()
        );
    }
}

#[test]
fn a_budget_has_room_until_others_have_spent_it_or_are_about_to() {
    let other = older_owner(Scene::new().pricing("trial").announced("attempt-1"));
    let (index, own) = (indexed(&other), Scene::new().object);
    let room = |count, object: &TenantPricing, others| has_room(&index, count, object, others);
    assert!(room(2, &own, 0));
    assert!(!room(1, &own, 0), "another one has spent it");
    assert!(!room(2, &own, 1), "another one is about to");
    assert!(!room(1, &other, 0), "an attempt of its own that may take effect counts like any other");
}

fn both_clocks() -> Clocks {
    Clocks { controller: instant(NOW), platform: instant(NOW) }
}

fn has_room(index: &Index, count: u32, object: &TenantPricing, others: u32) -> bool {
    let budget = Budget { count, window: Duration::from_hours(1) };
    room(index, budget, object, others, both_clocks(), Instant::now()) == QueueState::Admitted
}

#[test]
fn an_attempt_that_had_no_effect_gives_its_place_back() {
    let open = Scene::new().pricing("trial").announced("attempt-1");
    let refused = |class| open.clone().outcome(AttemptOutcome::Refused(error(class)));
    let minute = AttemptOutcome::Unknown(Duration::from_mins(1));
    for (what, closed) in [
        ("refused: a parent is disabled", refused(ErrorClass::ParentDisabled)),
        ("refused: business rules", refused(ErrorClass::BusinessRules)),
        ("refused: fewer rights on that branch", refused(ErrorClass::AccessDenied)),
        ("never sent", open.clone().outcome(AttemptOutcome::NotSent(None))),
        (
            "without a connection",
            open.clone().outcome(AttemptOutcome::NotSent(Some(error(ErrorClass::Unavailable)))),
        ),
        ("a minute after an unknown outcome", open.clone().outcome(minute)),
        ("cancelled", refused(ErrorClass::ParentDisabled).desired(None)),
    ] {
        let own = Scene::new().object;
        assert!(!has_room(&indexed(&older_owner(open.clone())), 1, &own, 0), "{what}: while it is open");
        let closed = older_owner(closed.stored());
        let index = indexed(&closed);
        assert!(has_room(&index, 1, &own, 0), "{what}: {:?}", closed.status);
        // It does not count when the object is gone either.
        _ = index.remove(&Key::of(&closed));
        assert!(has_room(&index, 1, &own, 0), "{what}, and deleted");
    }
    let completed = older_owner(open.mode("production").stored());
    assert!(!has_room(&indexed(&completed), 1, &Scene::new().object, 0), "what took effect counts");
}

#[test]
fn only_a_closed_or_cancelled_attempt_is_given_back() {
    let open = Scene::new().pricing("trial").announced("attempt-1");
    let refused = open.clone().outcome(AttemptOutcome::Refused(error(ErrorClass::ParentDisabled)));
    assert!(returns(&open.object, refused.clone().stored().status()));
    assert!(returns(&open.object, refused.desired(None).stored().status()));
    let just_now = open.clone().outcome(AttemptOutcome::Unknown(Duration::ZERO)).stored();
    assert!(!returns(&open.object, just_now.status()), "it may still take effect");
    assert!(!returns(&open.object, open.clone().mode("production").stored().status()));
    assert!(!returns(&Scene::new().object, Scene::new().mode("production").stored().status()));
}

#[test]
fn a_retry_queues_behind_those_that_are_due_by_now() {
    let scheduled_for = instant("2026-11-23T09:00:00Z");
    let first = Scene::new().not_before(DECEMBER).stored().object;
    assert_eq!(due_since(&first, scheduled_for, both_clocks(), false), scheduled_for);
    assert_eq!(due_since(&first, scheduled_for, both_clocks(), true), instant(NOW), "its reads failed");
    let open = Scene::new().pricing("trial").announced("attempt-1");
    let closed = open.outcome(AttemptOutcome::Refused(error(ErrorClass::ParentDisabled))).stored().object;
    assert_eq!(due_since(&closed, scheduled_for, both_clocks(), false), instant(NOW));
    // A clock that is ahead does not put it behind those that are not due yet.
    let ahead = Clocks { controller: instant(DECEMBER), ..both_clocks() };
    assert_eq!(due_since(&closed, scheduled_for, ahead, false), instant(NOW));
    assert_eq!(due_since(&closed, instant(DECEMBER), both_clocks(), false), instant(DECEMBER));
}

#[test]
fn an_acceptance_is_added_to_any_status_of_the_attempt() {
    let at = instant("2026-12-01T00:00:03Z");
    let accepted = |object: &TenantPricing| {
        let journal = object.status.as_ref()?.switch.as_ref()?;
        journal.accepted_at.as_ref().map(|at| at.0)
    };
    // A new leader wrote its own status meanwhile.
    let mut stored = in_flight();
    stored.status.as_mut().unwrap().observed_generation = 7;
    let status = with_acceptance(&stored, "attempt-1", at).unwrap();
    let next = TenantPricing { status: Some(status), ..stored.clone() };
    assert_eq!((accepted(&next), open_attempt(&next)), (Some(at), Some("attempt-1")));
    let mut rest = next.status.clone().unwrap();
    rest.switch.as_mut().unwrap().accepted_at = None;
    assert_eq!(Some(rest), stored.status, "nothing else changes");
    assert_eq!(with_acceptance(&next, "attempt-1", instant(NOW)), None, "the first answer stays");
    assert_eq!(with_acceptance(&stored, "attempt-2", at), None, "another attempt");
    for phase in [Phase::Scheduled, Phase::Completed] {
        let mut resolved = stored.clone();
        resolved.status.as_mut().unwrap().switch.as_mut().unwrap().phase = phase;
        assert_eq!(with_acceptance(&resolved, "attempt-1", at), None, "{phase:?}");
    }
    assert_eq!(with_acceptance(&Scene::new().object, "attempt-1", at), None, "no journal");
}
