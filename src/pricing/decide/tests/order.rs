//! Which rule decides where several apply.

use super::*;
use crate::platform::TenantKind;

/// Whether the first of the two rules decides where both apply.
fn precedes(first: &str, second: &str) -> bool {
    let position = |name: &str| rule_names().position(|rule| rule == name).unwrap();
    position(first) < position(second)
}

#[test]
fn suspend_beats_everything_but_an_open_entry() {
    for scene in vec![
        Scene::new(),
        scheduled(),
        in_sync(),
        Scene::new().desired(TRIAL).mode("production"),
        Scene::new().mode("barter"),
        Scene::new().access(Access::NotFound),
        Scene::new().access(Access::Forbidden),
        Scene::new().access(Access::NotAllowed),
        Scene::new().access(unusable()),
        Scene::new().failed(ErrorClass::Unavailable),
        Scene::new().backing_off(ErrorClass::Locked),
        Scene::new().locked(),
        Scene::new().duplicate(),
        Scene::new().waits(12),
        Scene::new().exhausted(0, None),
    ] {
        let decision = scene.suspended().decide();
        assert_eq!(decision.verdict, Verdict::Ready(ReadyReason::Suspended));
        assert_eq!(decision.requeue, Requeue::OnChange);
    }
    let open = in_flight().suspended().decide();
    assert_eq!(open.verdict, Verdict::Reconciling(ReconcilingReason::OutcomeUnknown));
}

#[test]
fn an_open_entry_is_resolved_before_the_rules_about_the_tenant() {
    let odd = |scene: Scene| {
        scene.locked().backing_off(ErrorClass::Locked).duplicate().waits(12).named("another name").seen(
            |seen| {
                seen.tenant.deleted = true;
                seen.tenant.enabled = false;
                seen.tenant.kind = TenantKind::Partner;
                seen.date = None;
            },
        )
    };
    assert_eq!(odd(in_flight()).decide().rule, "open_entry_pending");
    assert_eq!(odd(in_flight()).mode("production").decide().rule, "open_entry_took_effect");
    let refused = odd(in_flight()).outcome(AttemptOutcome::Refused(error(ErrorClass::Refused)));
    assert_eq!(refused.decide().rule, "open_entry_without_effect");
}

#[test]
fn a_deleted_tenant_does_not_prevent_cancelling() {
    let minute = AttemptOutcome::Unknown(GRACE_PERIOD);
    let closed = in_flight().seen(|seen| seen.tenant.deleted = true).outcome(minute).stored();
    assert_eq!(closed.journal().map(|journal| journal.phase), Some(Phase::Scheduled));
    let next = closed.forgotten().decide();
    assert_eq!(
        (next.rule, next.verdict),
        ("tenant_deleted", Verdict::Stalled(StalledReason::TenantNotFound))
    );
}

#[test]
fn what_protects_the_tenant_comes_before_the_schedule() {
    for protecting in [
        "duplicate_tenant",
        "unexpected_trial",
        "sibling_completed",
        "not_a_customer",
        "tenant_disabled",
        "tenant_locked",
        "another_tenant",
        "name_changed",
        "platform_clock_unknown",
    ] {
        assert!(
            precedes(protecting, "not_due"),
            "{protecting} is said at once, not on the day of the switch"
        );
    }
}

#[test]
fn a_younger_object_reports_only_that_it_is_a_duplicate() {
    for (mode, desired) in
        [("production", TRIAL), ("suspended", PRODUCTION), ("barter", TRIAL), ("production", PRODUCTION)]
    {
        assert_eq!(Scene::new().desired(desired).mode(mode).duplicate().decide().rule, "duplicate_tenant");
    }
    assert_eq!(Scene::new().desired(None).duplicate().decide().rule, "observe_only");
    let deleted = Scene::new().seen(|seen| seen.tenant.deleted = true);
    assert_eq!(deleted.duplicate().decide().rule, "tenant_deleted");
    assert_eq!(Scene::new().failed(ErrorClass::NotFound).duplicate().decide().rule, "read_failed");
}

#[test]
fn only_an_object_without_obstacles_enters_the_switch_queue() {
    for keeping in ["sibling_stalled", "sibling_open", "backs_off_after_failure", "not_due"] {
        assert!(precedes(keeping, "budget_exhausted"), "{keeping}");
    }
    assert!(precedes("budget_exhausted", "waits_in_queue"));
    assert!(precedes("waits_in_queue", "switch"));
}

#[test]
fn the_switch_is_the_last_rule() {
    assert_eq!(rule_names().last(), Some("switch"));
}

#[test]
fn a_switch_that_is_not_due_does_not_report_earlier_failures() {
    let waiting = scheduled().backing_off(ErrorClass::Locked).decide();
    assert_eq!(waiting.verdict, Verdict::Ready(ReadyReason::SwitchScheduled));
}
