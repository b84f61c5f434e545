mod states;

use super::*;
use crate::{
    api::AllowedNamespaces,
    testing::fixtures::{self, NOW, TENANT, error, instant, tenant_id},
};

fn connection() -> PlatformConnection {
    let mut connection = fixtures::connection(AllowedNamespaces::default());
    connection.metadata.generation = Some(4);
    connection
}

fn accepted() -> CheckResult {
    CheckResult::Accepted(tenant_id(TENANT))
}

fn failed(class: ErrorClass) -> CheckResult {
    CheckResult::Failed(error(class))
}

/// Every possible result of a check.
fn everything() -> Vec<CheckResult> {
    let mut all = vec![
        accepted(),
        CheckResult::Suspended,
        CheckResult::Unusable(
            ConnectionReason::HostNotAllowed,
            "spec.url: write it as https://host.".to_owned(),
        ),
    ];
    all.extend(ErrorClass::ALL.map(failed));
    all
}

fn ready(status: &PlatformConnectionStatus) -> &Condition {
    status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap()
}

/// The connection after the result is stored, as the API server would return it.
fn stored(mut connection: PlatformConnection, tried: &CheckResult, now: &str) -> PlatformConnection {
    let text = serde_json::to_string(&status(&connection, tried, None, instant(now))).unwrap();
    connection.status = Some(serde_json::from_str(&text).unwrap());
    connection
}

#[test]
fn each_outcome_has_its_reason() {
    use ConnectionReason as Reason;
    let reason_of = |class| match class {
        ErrorClass::Credentials | ErrorClass::AccessDenied | ErrorClass::NotFound => {
            Reason::CredentialsRejected
        }
        ErrorClass::SecretNotFound => Reason::SecretNotFound,
        ErrorClass::SecretInvalid => Reason::SecretInvalid,
        ErrorClass::HostNotAllowed => Reason::HostNotAllowed,
        ErrorClass::Throttled => Reason::RateLimited,
        ErrorClass::Unavailable
        | ErrorClass::Malformed
        | ErrorClass::VersionMismatch
        | ErrorClass::ParentDisabled
        | ErrorClass::Deprovisioning
        | ErrorClass::Locked
        | ErrorClass::BusinessRules
        | ErrorClass::Redirected
        | ErrorClass::Refused => Reason::PlatformUnavailable,
        ErrorClass::InvalidConfiguration => Reason::ConfigurationInvalid,
    };
    let mut expected = vec![("True", Reason::CredentialsAccepted), ("True", Reason::Suspended)];
    expected.push(("False", Reason::HostNotAllowed));
    expected.extend(ErrorClass::ALL.map(|class| ("False", reason_of(class))));
    for (tried, (truth, reason)) in everything().iter().zip(expected) {
        let status = status(&connection(), tried, None, instant(NOW));
        let ready = ready(&status);
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), (truth, reason.as_str()), "{tried:?}");
    }
}

#[test]
fn every_message_is_made_of_whole_sentences() {
    for tried in everything() {
        let status = status(&connection(), &tried, None, instant(NOW));
        let message = &ready(&status).message;
        assert!(message.ends_with('.') && !message.contains("  ") && !message.contains(".."), "{message}");
    }
}

#[test]
fn the_tenant_is_kept_while_the_platform_cannot_be_reached() {
    let known = stored(connection(), &accepted(), NOW);
    let status = status(&known, &failed(ErrorClass::Unavailable), None, instant(NOW));
    assert_eq!(status.tenant_id.as_deref(), Some(TENANT));
}

#[test]
fn nothing_is_written_because_time_has_passed() {
    for tried in everything() {
        let known = stored(connection(), &tried, NOW);
        let later = status(&known, &tried, None, instant("2026-11-24T08:00:00Z"));
        assert_eq!(Some(&later), known.status.as_ref(), "{tried:?}");
    }
}

#[test]
fn the_transition_time_moves_only_with_the_status() {
    let later = "2026-11-24T08:00:00Z";
    let known = stored(connection(), &failed(ErrorClass::SecretNotFound), NOW);
    let other_reason = stored(known, &failed(ErrorClass::SecretInvalid), later);
    assert_eq!(ready(other_reason.status.as_ref().unwrap()).last_transition_time.0, instant(NOW));
    let well = stored(other_reason, &accepted(), later);
    assert_eq!(ready(well.status.as_ref().unwrap()).last_transition_time.0, instant(later));
}

#[test]
fn the_status_names_the_checked_generation_and_keeps_the_rest() {
    let mut known = stored(connection(), &accepted(), NOW);
    let tenants = crate::api::TenantCounts { trial: 3, ..crate::api::TenantCounts::default() };
    let theirs = Condition { type_: "Audited".to_owned(), ..ready(known.status.as_ref().unwrap()).clone() };
    let before = known.status.as_mut().unwrap();
    before.tenants = Some(tenants.clone());
    before.conditions.push(theirs.clone());
    known.metadata.generation = Some(5);
    let after = status(&known, &CheckResult::Suspended, None, instant(NOW));
    assert_eq!((after.observed_generation, ready(&after).observed_generation), (5, Some(5)));
    assert_eq!(after.tenants, Some(tenants));
    let counted = crate::api::TenantCounts { production: 1, ..crate::api::TenantCounts::default() };
    let moved = status(&known, &CheckResult::Suspended, Some(counted.clone()), instant(NOW));
    assert_eq!(moved, PlatformConnectionStatus { tenants: Some(counted), ..after.clone() });
    assert_eq!(after.conditions.len(), 2);
    assert!(after.conditions.contains(&theirs));
}

#[test]
fn a_pause_is_reconciling_and_a_need_for_a_person_is_stalled() {
    use ConnectionReason as Reason;
    for tried in everything() {
        let status = status(&connection(), &tried, None, instant(NOW));
        let ready = ready(&status);
        let other: Vec<&Condition> =
            status.conditions.iter().filter(|other| other.type_ != "Ready").collect();
        let stalled = [
            Reason::CredentialsRejected,
            Reason::SecretNotFound,
            Reason::SecretInvalid,
            Reason::HostNotAllowed,
            Reason::SelectorInvalid,
            Reason::ConfigurationInvalid,
        ];
        let expected = match ready.reason.as_str() {
            "CredentialsAccepted" | "Suspended" => None,
            reason if stalled.iter().any(|stalled| stalled.as_str() == reason) => Some("Stalled"),
            _ => Some("Reconciling"),
        };
        assert_eq!(other.first().map(|other| other.type_.as_str()), expected, "{tried:?}");
        assert_eq!(ready.status == "True", expected.is_none(), "{tried:?}");
        for other in other {
            assert_eq!((&other.reason, &other.message), (&ready.reason, &ready.message));
            assert_eq!((other.status.as_str(), other.observed_generation), ("True", Some(4)));
        }
    }
}

#[test]
fn a_condition_that_no_longer_holds_is_gone() {
    let stalled = stored(connection(), &failed(ErrorClass::SecretNotFound), NOW);
    let waits = stored(stalled, &failed(ErrorClass::Unavailable), NOW);
    let kinds = |connection: &PlatformConnection| -> Vec<String> {
        let status = connection.status.as_ref().unwrap();
        status.conditions.iter().map(|condition| condition.type_.clone()).collect()
    };
    assert_eq!(kinds(&waits), ["Ready", "Reconciling"]);
    assert_eq!(kinds(&stored(waits, &accepted(), NOW)), ["Ready"]);
}

#[test]
fn a_pause_says_until_when_and_says_it_once() {
    let paused = |seconds: u64, now: &str| {
        let pause = std::time::Duration::from_secs(seconds);
        CheckResult::failed(PlatformError::for_test(ErrorClass::Throttled, Some(pause)), instant(now))
    };
    let first = stored(connection(), &paused(60, "2026-11-23T10:00:00.2Z"), "2026-11-23T10:00:00.2Z");
    let said = ready(first.status.as_ref().unwrap()).message.clone();
    assert!(said.contains("until 2026-11-23T10:01:01Z"), "{said}");
    // Checked again within the same pause: only the rounding of the end differs.
    for (left, now) in
        [(30, "2026-11-23T10:00:30.9Z"), (1, "2026-11-23T10:00:59.1Z"), (2, "2026-11-23T10:01:00Z")]
    {
        let again = stored(first.clone(), &paused(left, now), now);
        assert_eq!(again.status, first.status, "{left} s left at {now}");
    }
    let longer = stored(first, &paused(600, "2026-11-23T10:00:30Z"), "2026-11-23T10:00:30Z");
    let said = &ready(longer.status.as_ref().unwrap()).message;
    assert!(said.contains("until 2026-11-23T10:10:30Z"), "{said}");
    // A pause of unknown length has no end in its message.
    let unknown = CheckResult::failed(PlatformError::for_test(ErrorClass::Throttled, None), instant(NOW));
    assert!(matches!(unknown, CheckResult::Failed(_)));
}
