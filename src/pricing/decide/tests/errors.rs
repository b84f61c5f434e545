//! What each class of error means: its reason, its requeue, its pauses.

use std::time::Duration;

use super::*;
use crate::platform::PlatformError;

fn expected(class: ErrorClass) -> (Verdict, Requeue) {
    use ReconcilingReason as Wait;
    use StalledReason as Stall;
    let wait = |reason| (Verdict::Reconciling(reason), Requeue::Backoff);
    let stall = |reason| (Verdict::Stalled(reason), Requeue::AtPollInterval);
    match class {
        ErrorClass::Unavailable | ErrorClass::Malformed => wait(Wait::PlatformUnavailable),
        ErrorClass::Throttled => wait(Wait::RateLimited),
        ErrorClass::VersionMismatch => wait(Wait::VersionConflict),
        ErrorClass::Deprovisioning => wait(Wait::TenantBusy),
        ErrorClass::AccessDenied => stall(Stall::AccessDenied),
        ErrorClass::NotFound => stall(Stall::TenantNotFound),
        ErrorClass::Locked => stall(Stall::TenantLocked),
        ErrorClass::ParentDisabled
        | ErrorClass::BusinessRules
        | ErrorClass::Redirected
        | ErrorClass::Refused => stall(Stall::PlatformRefused),
        ErrorClass::Credentials
        | ErrorClass::SecretNotFound
        | ErrorClass::SecretInvalid
        | ErrorClass::HostNotAllowed
        | ErrorClass::InvalidConfiguration => stall(Stall::ConnectionNotReady),
    }
}

#[test]
fn each_class_has_its_reason_and_its_pace() {
    for class in ErrorClass::ALL {
        let decision = Scene::new().failed(class).decide();
        assert_eq!((decision.verdict, decision.requeue), expected(class), "{class:?}");
    }
}

#[test]
fn a_message_says_what_failed_and_then_what_to_do() {
    for class in ErrorClass::ALL {
        let decision = Scene::new().failed(class).decide();
        let failed = format!("{}. ", error(class));
        let advice = decision.message.strip_prefix(&failed).unwrap_or_default();
        assert!(!advice.is_empty(), "{class:?}: {}", decision.message);
    }
}

#[test]
fn a_lasting_cause_is_stalled_in_words_of_its_own() {
    let error = error(ErrorClass::Malformed).lasting();
    for scene in [
        Scene::new().read(TenantRead::Failed(error.clone())),
        Scene::new().named(NAME).proof(Proof::Failed(error.clone())),
    ] {
        let decision = scene.decide();
        let expected = (Verdict::Stalled(StalledReason::PlatformRefused), Requeue::AtPollInterval);
        assert_eq!((decision.verdict, decision.requeue), expected);
        assert!(decision.message.contains("Correct this on the platform"), "{}", decision.message);
        assert!(!decision.message.contains("The controller retries"), "{}", decision.message);
    }
}

#[test]
fn a_requested_pause_is_kept_and_stays_out_of_the_message() {
    let throttled = |seconds| {
        let pause = Some(Duration::from_secs(seconds));
        Scene::new().read(TenantRead::Failed(PlatformError::for_test(ErrorClass::Throttled, pause))).decide()
    };
    assert_eq!(throttled(17).requeue, Requeue::After(Duration::from_secs(17)));
    assert_eq!(throttled(17).message, throttled(16).message);
}

#[test]
fn an_object_at_rest_is_read_again_at_the_pace_of_the_error() {
    let throttled = PlatformError::for_test(ErrorClass::Throttled, Some(Duration::from_secs(90)));
    let decision = in_sync().read(TenantRead::Failed(throttled)).decide();
    assert_eq!(decision.requeue, Requeue::After(Duration::from_secs(90)));
    assert_eq!(in_sync().failed(ErrorClass::Credentials).decide().requeue, Requeue::AtPollInterval);
}

#[test]
fn a_version_conflict_is_retried_five_times_and_then_slowly() {
    let slow = Duration::from_mins(10);
    let pauses: Vec<_> =
        (1..=7).map(|failures| pause_after(&error(ErrorClass::VersionMismatch), failures, slow)).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 600, 600].map(Duration::from_secs));
}

#[test]
fn temporary_errors_back_off_up_to_the_slow_pace() {
    let slow = Duration::from_mins(10);
    for class in [ErrorClass::Unavailable, ErrorClass::Malformed, ErrorClass::Deprovisioning] {
        let pause = |failures| pause_after(&error(class), failures, slow);
        assert_eq!(pause(1), Duration::from_secs(2), "{class:?}");
        assert!(pause(2) > pause(1), "{class:?}");
        assert_eq!(pause(20), slow, "{class:?}");
        assert_eq!(pause(u32::MAX), slow, "{class:?}");
    }
}

#[test]
fn errors_that_a_person_must_correct_retry_at_the_slow_pace() {
    let slow = Duration::from_mins(10);
    for class in [
        ErrorClass::AccessDenied,
        ErrorClass::NotFound,
        ErrorClass::Locked,
        ErrorClass::ParentDisabled,
        ErrorClass::BusinessRules,
        ErrorClass::Redirected,
        ErrorClass::Refused,
    ] {
        assert_eq!(pause_after(&error(class), 1, slow), slow, "{class:?}");
    }
}

#[test]
fn the_platforms_own_pause_counts_for_the_next_attempt() {
    let slow = Duration::from_mins(10);
    let throttled = PlatformError::for_test(ErrorClass::Throttled, Some(Duration::from_mins(30)));
    assert_eq!(pause_after(&throttled, 1, slow), Duration::from_mins(30));
    assert_eq!(pause_after(&error(ErrorClass::Throttled), 1, slow), Duration::from_secs(2));
}
