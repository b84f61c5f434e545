//! The connection reports an outage. Of the objects, only those report it that need the platform now.

use super::*;
use crate::platform::PlatformError;

/// The objects that need nothing of the platform now.
fn at_rest() -> Vec<(&'static str, Scene)> {
    vec![
        ("in production as asked", in_sync()),
        ("observed", Scene::new().desired(None).stored()),
        ("in trial as asked", Scene::new().desired(TRIAL).stored()),
        ("scheduled and not due", scheduled()),
        ("refused", Scene::new().desired(TRIAL).mode("production").stored()),
        ("disabled", Scene::new().seen(|seen| seen.tenant.enabled = false).stored()),
        ("an answered request to reconcile", in_sync().asked_to_reconcile("1").stored()),
    ]
}

/// The objects that need the platform now.
fn in_need() -> Vec<(&'static str, Scene)> {
    let mut without_status = Scene::new();
    without_status.object.status = None;
    vec![
        ("never seen", Scene::new()),
        ("without a status", without_status),
        ("edited", in_sync().edited()),
        ("asked to reconcile", in_sync().asked_to_reconcile("1")),
        ("asked to reconcile again", in_sync().asked_to_reconcile("1").stored().asked_to_reconcile("2")),
        ("a switch is due", scheduled().at_both_clocks(DECEMBER)),
        ("a switch is under way", in_flight()),
        ("never found", Scene::new().failed(ErrorClass::NotFound).stored()),
    ]
}

fn outages(scene: &Scene) -> Vec<Scene> {
    let classes = ErrorClass::ALL.into_iter().filter(|class| class.concerns_connection());
    let mut outages: Vec<_> = classes.map(|class| scene.clone().failed(class)).collect();
    outages.extend([unusable(), Access::Undecided].map(|access| scene.clone().access(access)));
    outages
}

#[test]
fn an_outage_leaves_what_is_at_rest_as_it_is() {
    for (name, scene) in at_rest() {
        for outage in outages(&scene) {
            assert_eq!(outage.decide().verdict, Verdict::Unchanged, "{name}: {:?}", outage.read);
            assert_eq!(outage.report(), *outage.status(), "{name}: nothing is written");
        }
    }
}

#[test]
fn only_objects_that_need_the_platform_report_an_outage() {
    for (name, scene) in in_need() {
        for outage in outages(&scene) {
            let decision = outage.decide();
            assert!(
                matches!(decision.verdict, Verdict::Reconciling(_) | Verdict::Stalled(_)),
                "{name}: {decision:?}"
            );
        }
    }
}

#[test]
fn an_object_that_needs_the_platform_retries_with_backoff() {
    let decision = Scene::new().access(Access::Undecided).decide();
    assert_eq!(decision.verdict, Verdict::Reconciling(ReconcilingReason::ConnectionNotReady));
    assert_eq!(decision.requeue, Requeue::Backoff);
}

#[test]
fn a_reported_outage_stays_until_the_platform_is_read() {
    for first in [ErrorClass::Unavailable, ErrorClass::Throttled, ErrorClass::Credentials] {
        let spoke = in_sync().edited().failed(first).stored();
        for outage in outages(&spoke) {
            assert_ne!(outage.decide().verdict, Verdict::Unchanged, "after {first:?}: {:?}", outage.read);
        }
        let seen = spoke.read(Scene::new().mode("production").read).decide();
        assert_eq!(seen.verdict, Verdict::Ready(ReadyReason::InSync));
    }
}

#[test]
fn another_failed_request_does_not_rewrite_a_reported_outage() {
    let another = |class| TenantRead::Failed(PlatformError::of_class(class));
    // A switch under way reports more than the outage, and each change of its state.
    for (name, scene) in in_need().into_iter().filter(|(name, _)| *name != "a switch is under way") {
        let spoke = scene.failed(ErrorClass::Unavailable).stored();
        for class in [ErrorClass::Unavailable, ErrorClass::Malformed] {
            let outage = spoke.clone().read(another(class));
            assert_eq!(outage.report(), *outage.status(), "{name}: {class:?}");
        }
    }
    let spoke = in_sync().edited().failed(ErrorClass::Unavailable).stored();
    for class in [ErrorClass::Throttled, ErrorClass::Credentials] {
        let other_trouble = spoke.clone().read(another(class));
        assert_ne!(other_trouble.report(), *other_trouble.status(), "{class:?}");
        assert_ne!(other_trouble.decide().message, spoke.decide().message, "{class:?}");
    }
    let edited = spoke.clone().edited().read(another(ErrorClass::Unavailable));
    assert_ne!(edited.report(), *edited.status(), "an edit is answered");
    assert_ne!(edited.decide().message, spoke.decide().message, "by what failed now");
}

#[test]
fn an_error_about_one_tenant_is_reported_at_once() {
    for class in ErrorClass::ALL.into_iter().filter(|class| !class.concerns_connection()) {
        for (name, scene) in at_rest() {
            let decision = scene.failed(class).decide();
            assert_ne!(decision.verdict, Verdict::Unchanged, "{name}: {class:?}");
        }
    }
}

#[test]
fn a_due_switch_that_is_no_longer_wanted_needs_nothing() {
    let mut scene = scheduled().at_both_clocks(DECEMBER).desired(None);
    scene.object.status.as_mut().unwrap().observed_generation = 1;
    assert_eq!(scene.failed(ErrorClass::Unavailable).decide().verdict, Verdict::Unchanged);
}

#[test]
fn an_object_that_no_connection_admits_waits_for_no_read() {
    for scene in [Scene::new(), in_sync(), scheduled(), in_flight()] {
        let refused = scene.clone().access(Access::NotAllowed).decide();
        assert_eq!(refused.requeue, Requeue::Recheck, "{refused:?}");
    }
    for access in [Access::NotFound, Access::Forbidden] {
        assert_eq!(Scene::new().access(access.clone()).decide().requeue, Requeue::Backoff, "{access:?}");
    }
    let message = |access| Scene::new().access(access).decide().message;
    assert!(message(Access::NotFound).starts_with("There is no PlatformConnection team/default."));
    assert!(message(Access::Forbidden).contains("may not read PlatformConnection team/default"));
}
