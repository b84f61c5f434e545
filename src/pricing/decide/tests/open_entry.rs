//! An open attempt is resolved by a read, and by nothing else.

use std::time::Duration;

use super::*;
use crate::{platform::PlatformError, pricing::facts::Acceptance};

const UNKNOWN: Verdict = Verdict::Reconciling(ReconcilingReason::OutcomeUnknown);

fn accepted(seconds: u64) -> AttemptOutcome {
    let since = Duration::from_secs(seconds);
    AttemptOutcome::Accepted(Acceptance { at: instant(NOW), since })
}

fn refused() -> AttemptOutcome {
    AttemptOutcome::Refused(error(ErrorClass::BusinessRules))
}

#[test]
fn production_completes_the_entry_after_any_answer() {
    let completed = |outcome: Option<AttemptOutcome>| {
        let mut scene = in_flight().mode("production").pricing("production");
        scene.circumstances.outcome = outcome;
        scene.decide().journal
    };
    let ours = JournalStep::Complete { by: SwitchedBy::Controller, at: instant(NOW) };
    assert_eq!(completed(None), ours);
    assert_eq!(completed(Some(AttemptOutcome::Unknown(Duration::ZERO))), ours);
    assert_eq!(completed(Some(AttemptOutcome::Unknown(Duration::from_hours(1)))), ours);
    assert_eq!(completed(Some(accepted(0))), ours);
    assert_eq!(completed(Some(accepted(86_400))), ours);
    let theirs = JournalStep::Complete { by: SwitchedBy::Platform, at: instant("2026-11-20T08:00:00Z") };
    assert_eq!(completed(Some(refused())), theirs, "no request of ours took effect");
    assert_eq!(completed(Some(AttemptOutcome::NotSent(None))), theirs);
}

#[test]
fn one_of_the_two_reads_is_enough_to_prove_production() {
    for (tenant, pricing) in [("trial", "production"), ("production", "trial")] {
        let decision = in_flight().mode(tenant).pricing(pricing).decide();
        assert_eq!(decision.rule, "open_entry_took_effect", "{tenant} and {pricing}");
    }
}

/// The platform reports no date, and the read back comes after midnight, at once or days later.
#[test]
fn without_a_date_an_acceptance_ends_the_request() {
    let answered = instant("2026-11-30T23:59:59Z");
    for (now, accepted_at, expected) in [
        ("2026-12-01T00:00:02Z", Some(answered), "2026-11-30T23:59:59Z"),
        ("2026-12-03T09:00:00Z", Some(answered), "2026-11-30T23:59:59Z"),
        ("2026-12-01T00:00:02Z", None, "2026-12-01T00:00:02Z"),
        ("2026-12-03T09:00:00Z", None, "2026-12-01T00:00:11Z"),
        // A time before the announcement is not an answer to it.
        ("2026-12-03T09:00:00Z", Some(instant("2026-10-01T00:00:00Z")), "2026-12-01T00:00:11Z"),
    ] {
        let asked =
            Scene::new().at_both_clocks("2026-11-30T23:59:58Z").pricing("trial").announced("attempt-1");
        let mut found = asked.mode("production").at_both_clocks(now).seen(|seen| {
            seen.tenant.production_start = None;
        });
        found.circumstances.outcome =
            accepted_at.map(|at| AttemptOutcome::Accepted(Acceptance { at, since: Duration::from_secs(2) }));
        assert_eq!(completed_at(&found.decide()), expected, "{now}, accepted at {accepted_at:?}");
    }
}

/// An attempt that was announced at this time by the controller's clock, and then found in production.
///
/// The read came at `now` by the controller's clock, and at `date` by the platform's. The platform reports `start` as
/// the date of the switch.
fn found(announced: &str, now: &str, date: &str, start: Option<&str>) -> Decision {
    let asked = Scene::new().at_both_clocks(announced).pricing("trial").announced("attempt-1");
    let mut found = asked.mode("production").at_both_clocks(date).seen(|seen| {
        seen.tenant.production_start = start.map(instant);
        seen.pricing = None;
    });
    found.now = instant(now);
    found.decide()
}

fn completed_at(decision: &Decision) -> String {
    match decision.journal {
        JournalStep::Complete { by: SwitchedBy::Controller, at } => at.to_string(),
        other => panic!("not completed by the controller: {other:?}"),
    }
}

#[test]
fn the_month_on_the_bill_is_the_platforms() {
    // The answer comes after midnight, or the process ended before it and another one reads days later.
    for now in ["2026-12-01T00:00:02Z", "2026-12-03T09:00:00Z"] {
        let decision = found("2026-11-30T23:59:58Z", now, now, Some("2026-11-30T23:59:59Z"));
        assert_eq!(completed_at(&decision), "2026-11-30T23:59:59Z", "{now}");
        assert!(decision.message.contains("November 2026"), "{}", decision.message);
    }
    let decision =
        found("2026-11-30T23:59:58Z", "2026-12-01T00:00:05Z", "2026-12-01T00:00:05Z", Some(DECEMBER));
    assert_eq!(completed_at(&decision), DECEMBER);
}

#[test]
fn a_date_that_cannot_be_the_switchs_does_not_decide_the_month() {
    // The latest end of the request replaces it, or the present if that is earlier.
    for (what, start) in [
        ("none", None),
        ("before the announcement", Some("2026-11-30T23:59:40Z")),
        ("years before it", Some("2019-01-01T00:00:00Z")),
        ("in the future: the end of the trial", Some("2027-01-01T00:00:00Z")),
    ] {
        let late = found("2026-11-30T23:59:50Z", "2026-12-03T09:00:00Z", "2026-12-03T09:00:00Z", start);
        assert_eq!(completed_at(&late), "2026-12-01T00:00:03Z", "{what}");
        let soon = found("2026-11-30T23:59:50Z", "2026-11-30T23:59:51Z", "2026-11-30T23:59:51Z", start);
        assert_eq!(completed_at(&soon), "2026-11-30T23:59:51Z", "{what}");
    }
}

#[test]
fn clocks_that_differ_do_not_move_the_month() {
    for (what, announced, now) in [
        ("the controller is a year ahead", "2027-11-30T23:59:58Z", "2027-12-01T00:00:04Z"),
        ("the controller is two hours behind", "2026-11-30T21:59:58Z", "2026-11-30T22:00:04Z"),
        ("the platform is a day behind", "2026-12-01T23:59:58Z", "2026-12-02T00:00:04Z"),
    ] {
        let date = "2026-12-01T00:00:04Z";
        let decision = found(announced, now, date, Some("2026-11-30T23:59:59Z"));
        assert_eq!(completed_at(&decision), "2026-11-30T23:59:59Z", "{what}");
        // Without a date of the switch, the month still follows the platform's clock.
        let undated = found(announced, now, date, None);
        assert_eq!(completed_at(&undated), date, "{what}");
    }
    let early = found("2026-11-30T21:59:58Z", "2026-11-30T22:00:04Z", DECEMBER, Some("2026-11-30T23:59:30Z"));
    assert_eq!(completed_at(&early), "2026-12-01T00:00:00Z", "that was before the announcement");
}

#[test]
fn a_clock_that_was_corrected_meanwhile_leaves_the_present() {
    // The announcement is a year in the future by the corrected clock.
    let now = "2026-11-23T10:05:00Z";
    let decision = found("2027-11-23T10:00:00Z", now, now, Some("2026-11-23T10:00:01Z"));
    assert_eq!(completed_at(&decision), now);
}

#[test]
fn trial_closes_the_entry_only_when_no_effect_is_possible() {
    for (outcome, closed) in [
        (None, false),
        (Some(AttemptOutcome::Unknown(Duration::ZERO)), false),
        (Some(AttemptOutcome::Unknown(Duration::from_millis(59_999))), false),
        (Some(AttemptOutcome::Unknown(Duration::from_mins(1))), true),
        (Some(accepted(0)), false),
        (Some(accepted(3600)), false),
        (Some(AttemptOutcome::NotSent(None)), true),
        (Some(AttemptOutcome::NotSent(Some(error(ErrorClass::Unavailable)))), true),
        (Some(refused()), true),
    ] {
        let mut scene = in_flight();
        scene.circumstances.outcome = outcome.clone();
        let decision = scene.decide();
        assert_eq!(decision.journal == JournalStep::Close, closed, "{outcome:?}");
        let is_unknown = decision.verdict == Verdict::Stalled(StalledReason::OutcomeUnknown);
        assert_eq!(decision.verdict == UNKNOWN || is_unknown, !closed, "{outcome:?}");
    }
}

#[test]
fn a_closed_entry_keeps_its_count_and_sets_the_mode_free() {
    let closed = in_flight().outcome(refused()).stored();
    let journal = closed.journal().unwrap();
    assert_eq!((journal.phase, journal.attempts), (Phase::Scheduled, 1));
    assert_eq!(closed.clone().edited().desired(None).report().switch, None);
    let retried = Scene { circumstances: crate::pricing::facts::Circumstances::default(), ..closed };
    assert_eq!(retried.announced("attempt-2").journal().unwrap().attempts, 2);
}

#[test]
fn an_entry_is_not_closed_while_the_platform_cannot_be_read() {
    for class in ErrorClass::ALL {
        for outcome in [AttemptOutcome::Unknown(Duration::from_hours(1)), refused()] {
            let decision = in_flight().failed(class).outcome(outcome).decide();
            assert_eq!(decision.journal, JournalStep::Keep, "{class:?}");
            assert!(!matches!(decision.verdict, Verdict::Ready(_) | Verdict::Unchanged), "{class:?}");
        }
    }
}

#[test]
fn an_entry_that_was_never_sent_is_closed_without_a_read() {
    let ways = [
        in_flight().failed(ErrorClass::Unavailable),
        in_flight().access(unusable()).read(TenantRead::NotRead),
        in_flight().access(other_platform()).read(TenantRead::NotRead),
        in_flight().suspended().failed(ErrorClass::AccessDenied),
    ];
    for scene in ways {
        let scene = scene.outcome(AttemptOutcome::NotSent(None));
        assert_eq!(scene.decide().journal, JournalStep::Close);
        assert_eq!(scene.decide().rule, "open_entry_never_sent");
        assert_eq!(scene.desired(None).decide().journal, JournalStep::Cancel, "it can be cancelled");
    }
}

#[test]
fn a_deleted_object_requests_nothing_and_resolves_its_entry() {
    let deleted = |mut scene: Scene| {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(instant(NOW));
        scene.object.metadata.deletion_timestamp = Some(now);
        scene
    };
    assert_eq!(deleted(Scene::new()).decide().verdict, Verdict::Ready(ReadyReason::Observed));
    assert_eq!(deleted(scheduled()).decide().journal, JournalStep::Cancel);
    assert_eq!(deleted(in_flight()).decide().rule, "open_entry_pending");
    assert_eq!(deleted(in_flight().outcome(refused())).decide().journal, JournalStep::Cancel);
}

#[test]
fn what_only_a_person_can_mend_is_said_of_an_open_entry_too() {
    for (class, reason) in [
        (ErrorClass::AccessDenied, StalledReason::AccessDenied),
        (ErrorClass::NotFound, StalledReason::TenantNotFound),
        (ErrorClass::Locked, StalledReason::TenantLocked),
    ] {
        let decision = in_flight().failed(class).decide();
        assert_eq!(decision.verdict, Verdict::Stalled(reason));
        assert!(decision.message.contains("may be in production and billed"), "{}", decision.message);
    }
}

#[test]
fn an_open_entry_that_was_not_read_is_read_again_soon() {
    let decision = in_flight().read(TenantRead::NotRead).decide();
    assert_eq!((decision.verdict, decision.requeue), (Verdict::Unchanged, Requeue::Backoff));
    assert_eq!(decision.journal, JournalStep::Keep);
}

#[test]
fn a_plan_never_takes_the_place_of_an_open_entry() {
    // A stalled object gets a plan for its month start. An open entry stays, even if it is incomplete.
    let elsewhere = |scene: Scene| {
        let read = scene.read.clone();
        scene.access(other_platform()).read(read).connection_at(crate::api::SwitchAt::MonthStart)
    };
    let mut torn = in_flight();
    torn.object.status.as_mut().unwrap().switch.as_mut().unwrap().scheduled_for = None;
    for open in [in_flight(), torn] {
        let decision = elsewhere(open).decide();
        assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::OutcomeUnknown));
        assert_eq!(decision.journal, JournalStep::Keep);
    }
}

#[test]
fn the_grace_period_reads_every_ten_seconds_and_at_its_end() {
    for (since, requeue) in [(0, 10), (45, 10), (55, 5)] {
        let decision = in_flight().outcome(AttemptOutcome::Unknown(Duration::from_secs(since))).decide();
        assert_eq!(decision.requeue, Requeue::After(Duration::from_secs(requeue)), "after {since} s");
    }
}

#[test]
fn a_requested_pause_is_kept_while_an_entry_is_open() {
    let pause = Duration::from_mins(2);
    let throttled = TenantRead::Failed(PlatformError::for_test(ErrorClass::Throttled, Some(pause)));
    assert_eq!(in_flight().read(throttled).decide().requeue, Requeue::After(pause));
}

#[test]
fn an_entry_begun_on_another_platform_is_not_resolved_here() {
    for mode in ["trial", "production"] {
        let seen = Scene::new().mode(mode).read;
        let decision = in_flight().access(other_platform()).read(seen).decide();
        assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::OutcomeUnknown));
        assert_eq!(decision.journal, JournalStep::Keep);
        assert!(decision.message.contains(PLATFORM) && decision.message.contains("team/default"));
    }
}

#[test]
fn a_suspended_object_resolves_its_entry_and_sends_nothing() {
    let suspended = || in_flight().edited().suspended();
    assert_eq!(suspended().decide().verdict, UNKNOWN);
    assert_eq!(suspended().failed(ErrorClass::Unavailable).decide().verdict, UNKNOWN);
    let completed = suspended().mode("production").decide();
    assert_eq!(completed.verdict, Verdict::Ready(ReadyReason::Suspended));
    assert!(matches!(completed.journal, JournalStep::Complete { by: SwitchedBy::Controller, .. }));
    let closed = suspended().outcome(refused()).decide();
    assert_eq!(closed.verdict, Verdict::Ready(ReadyReason::Suspended));
    assert_eq!((closed.journal, closed.requeue), (JournalStep::Close, Requeue::OnChange));
}

#[test]
fn a_mode_that_is_not_known_leaves_the_entry_open() {
    let decision = in_flight().mode("barter").outcome(refused()).decide();
    assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::UnknownMode));
    assert_eq!(decision.journal, JournalStep::Keep);
}

#[test]
fn after_a_refusal_the_object_says_why_until_it_is_tried_again() {
    for class in ErrorClass::ALL {
        let closed = in_flight().outcome(AttemptOutcome::Refused(error(class))).decide();
        let backing_off =
            Scene::new().pricing("trial").journaled(Phase::Scheduled).backing_off(class).decide();
        assert_eq!(
            (backing_off.verdict, &backing_off.message),
            (closed.verdict, &closed.message),
            "{class:?}"
        );
        assert_eq!(backing_off.requeue, Requeue::After(Duration::from_secs(40)));
    }
}

#[test]
fn a_failed_attempt_is_read_again_when_the_next_one_may_start() {
    // After a 401, a PUT needs a new token and not a person, so it must not wait for the next poll.
    for class in [ErrorClass::Credentials, ErrorClass::BusinessRules, ErrorClass::VersionMismatch] {
        let closed = in_flight().outcome(AttemptOutcome::Refused(error(class)));
        assert_eq!(
            closed.clone().backing_off(class).decide().requeue,
            Requeue::After(Duration::from_secs(40)),
            "{class:?}"
        );
        assert_eq!(closed.decide().requeue, Requeue::After(Duration::ZERO), "{class:?}: the pause is over");
    }
}

#[test]
fn what_the_platform_accepted_is_stored_once_until_it_shows() {
    let first = in_flight().outcome(accepted(1));
    assert_eq!(first.decide().journal, JournalStep::Accept(instant(NOW)));
    let stored = first.stored();
    let journal = stored.journal().unwrap();
    assert_eq!(
        (journal.phase, journal.accepted_at.as_ref().map(|at| at.0)),
        (Phase::InFlight, Some(instant(NOW)))
    );
    let production =
        crate::api::conditions::find(&stored.status().conditions, crate::api::ConditionType::Production);
    assert!(!production.unwrap().message.contains("nothing is billed"), "{production:?}");
    // It is stored only once.
    assert_eq!(stored.decide().journal, JournalStep::Keep);
    assert_eq!(stored.report(), *stored.status(), "nothing is written at rest");
    let done = stored.mode("production").stored();
    assert_eq!(
        (done.journal().unwrap().phase, done.journal().unwrap().by),
        (Phase::Completed, Some(SwitchedBy::Controller))
    );
}

#[test]
fn an_acceptance_is_stored_even_if_the_tenant_cannot_be_read() {
    let ways = vec![
        in_flight().failed(ErrorClass::Unavailable),
        in_flight().failed(ErrorClass::AccessDenied),
        in_flight().failed(ErrorClass::NotFound),
        in_flight().access(unusable()).read(TenantRead::NotRead),
        in_flight().access(Access::NotFound).read(TenantRead::NotRead),
        in_flight().access(Access::NotAllowed).read(TenantRead::NotRead),
        in_flight().access(other_platform()).read(TenantRead::NotRead),
        in_flight().suspended().failed(ErrorClass::Unavailable),
        in_flight().suspended(),
        in_flight().edited().suspended(),
        in_flight().mode("barter"),
    ];
    for scene in ways {
        let decision = scene.clone().outcome(accepted(86_400)).decide();
        assert_eq!(decision.journal, JournalStep::Accept(instant(NOW)), "{}", decision.rule);
        assert!(!decision.message.contains("may be"), "{}: {}", decision.rule, decision.message);
        assert!(!decision.message.contains("not known, but"), "{}: {}", decision.rule, decision.message);
        let unknown = scene.outcome(AttemptOutcome::Unknown(Duration::ZERO)).decide();
        assert_eq!(unknown.journal, JournalStep::Keep, "{}", unknown.rule);
    }
}

#[test]
fn an_accepted_switch_not_shown_for_ten_minutes_stalls() {
    let text = "The platform accepted the switch and still shows trial; it is billed.";
    for (since, verdict, requeue) in [
        (0, UNKNOWN, Requeue::After(Duration::from_secs(10))),
        (595, UNKNOWN, Requeue::After(Duration::from_secs(5))),
        (600, Verdict::Stalled(StalledReason::OutcomeUnknown), Requeue::AtPollInterval),
        (86_400, Verdict::Stalled(StalledReason::OutcomeUnknown), Requeue::AtPollInterval),
    ] {
        for scene in [in_flight(), in_flight().edited().suspended()] {
            let decision = scene.outcome(accepted(since)).decide();
            assert_eq!((decision.verdict, decision.requeue), (verdict, requeue), "after {since} s");
            assert!(decision.message.starts_with(text), "{}", decision.message);
            assert_eq!(decision.message.contains("support"), since >= 600, "{}", decision.message);
        }
    }
}

#[test]
fn nothing_is_sent_after_an_acceptance_for_another_object() {
    for (for_long, stalls) in [(false, false), (true, true)] {
        let mut scene = Scene::new().sibling_accepted(for_long);
        // In no case may the message advise to delete the other object.
        scene.circumstances.sibling_open = true;
        let scene = scene.sibling_stalled();
        let decision = scene.decide();
        assert_eq!(decision.rule, "sibling_accepted");
        assert_eq!(matches!(decision.verdict, Verdict::Stalled(_)), stalls);
        assert!(decision.message.contains("team/younger"), "{}", decision.message);
        assert!(!decision.message.contains("delete it"), "{}", decision.message);
    }
}

#[test]
fn an_acceptance_in_the_entry_overrides_what_is_remembered() {
    let stored = in_flight().outcome(accepted(0)).stored();
    let outcomes =
        [AttemptOutcome::Unknown(Duration::from_hours(1)), AttemptOutcome::NotSent(None), refused()];
    for outcome in outcomes.map(Some).into_iter().chain([None]) {
        let mut scene = stored.clone();
        scene.circumstances.outcome = outcome.clone();
        for scene in [scene.clone(), scene.clone().failed(ErrorClass::Unavailable)] {
            assert_eq!(scene.decide().journal, JournalStep::Keep, "{outcome:?}");
        }
        let done = scene.mode("production").decide().journal;
        assert!(matches!(done, JournalStep::Complete { by: SwitchedBy::Controller, .. }), "{outcome:?}");
    }
}
