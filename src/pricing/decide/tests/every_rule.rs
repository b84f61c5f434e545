//! For each rule, a case that it decides, and that another rule would decide differently.

use std::collections::BTreeSet;

use super::*;
use crate::platform::TenantKind;

/// The rule, a scene that it decides, and the verdict.
type Case = (&'static str, Scene, Verdict);

fn ready(rule: &'static str, scene: Scene, reason: ReadyReason) -> Case {
    (rule, scene, Verdict::Ready(reason))
}

fn waits(rule: &'static str, scene: Scene, reason: ReconcilingReason) -> Case {
    (rule, scene, Verdict::Reconciling(reason))
}

fn stalls(rule: &'static str, scene: Scene, reason: StalledReason) -> Case {
    (rule, scene, Verdict::Stalled(reason))
}

fn reaching_the_tenant() -> Vec<Case> {
    use StalledReason as Stall;
    let deleted = |scene: Scene| scene.seen(|seen| seen.tenant.deleted = true);
    let several = vec![tenant_id(TENANT), tenant_id(OTHER_TENANT)];
    vec![
        ready("suspended", Scene::new().suspended(), ReadyReason::Suspended),
        ready("suspended", scheduled().suspended(), ReadyReason::Suspended),
        stalls("connection_missing", Scene::new().access(Access::NotFound), Stall::ConnectionNotFound),
        stalls("connection_missing", Scene::new().access(Access::Forbidden), Stall::ConnectionNotFound),
        stalls("connection_missing", in_sync().access(Access::NotFound), Stall::ConnectionNotFound),
        stalls(
            "connection_not_allowed",
            Scene::new().access(Access::NotAllowed),
            Stall::ConnectionNotAllowed,
        ),
        stalls("connection_unusable", Scene::new().access(unusable()), Stall::ConnectionNotReady),
        waits(
            "connection_unusable",
            Scene::new().access(Access::Undecided),
            ReconcilingReason::ConnectionNotReady,
        ),
        ("connection_unusable", in_sync().access(unusable()), Verdict::Unchanged),
        waits(
            "read_failed",
            Scene::new().failed(ErrorClass::Unavailable),
            ReconcilingReason::PlatformUnavailable,
        ),
        stalls(
            "name_not_found",
            Scene::new().named(NAME).read(TenantRead::NoSuchName(None)),
            Stall::TenantNotFound,
        ),
        stalls(
            "name_ambiguous",
            Scene::new().named(NAME).read(TenantRead::AmbiguousName(several)),
            Stall::TenantNameAmbiguous,
        ),
        stalls("name_misleads", Scene::new().named("Acme AG"), Stall::TenantNotFound),
        stalls("name_misleads", Scene::new().named("Acme AG").desired(None), Stall::TenantNotFound),
        stalls("name_misleads", deleted(Scene::new().named(NAME)), Stall::TenantNotFound),
        stalls(
            "name_misleads",
            Scene::new().named(NAME).seen(|seen| seen.tenant.kind = TenantKind::Folder),
            Stall::TenantNotFound,
        ),
        stalls("tenant_deleted", deleted(Scene::new()), Stall::TenantNotFound),
        stalls("tenant_deleted", deleted(Scene::new().desired(None)), Stall::TenantNotFound),
        stalls("tenant_deleted", deleted(in_sync()), Stall::TenantNotFound),
    ]
}

/// An object whose tenant was found by its name, and whose id is stored.
fn pinned() -> Scene {
    let scene = Scene::new().named(NAME);
    let mut status = scene.status().clone();
    status.tenant_id = Some(TENANT.to_owned());
    scene.with_stored(&status)
}

fn open_entries() -> Vec<Case> {
    vec![
        stalls(
            "begun_on_another_platform",
            in_flight().access(other_platform()),
            StalledReason::OutcomeUnknown,
        ),
        stalls(
            "begun_on_another_platform",
            in_flight().access(Access::NotFound),
            StalledReason::OutcomeUnknown,
        ),
        stalls(
            "begun_on_another_platform",
            in_flight().access(Access::Forbidden),
            StalledReason::OutcomeUnknown,
        ),
        waits(
            "open_entry_never_sent",
            in_flight().outcome(AttemptOutcome::NotSent(None)).failed(ErrorClass::Unavailable),
            ReconcilingReason::Progressing,
        ),
        waits(
            "suspended_and_unread",
            in_flight().suspended().failed(ErrorClass::AccessDenied),
            ReconcilingReason::OutcomeUnknown,
        ),
        waits(
            "open_entry_unread",
            in_flight().failed(ErrorClass::Unavailable),
            ReconcilingReason::OutcomeUnknown,
        ),
        ready("open_entry_took_effect", in_flight().mode("production"), ReadyReason::InSync),
        stalls(
            "open_entry_took_effect",
            in_flight().mode("suspended"),
            StalledReason::TenantSuspendedOnPlatform,
        ),
        stalls(
            "open_entry_without_effect",
            in_flight().outcome(AttemptOutcome::Refused(error(ErrorClass::Locked))),
            StalledReason::TenantLocked,
        ),
        waits("open_entry_accepted", in_flight().accepted(Duration::ZERO), ReconcilingReason::OutcomeUnknown),
        stalls("open_entry_accepted", in_flight().accepted(STALE_LIMIT), StalledReason::OutcomeUnknown),
        waits("open_entry_pending", in_flight(), ReconcilingReason::OutcomeUnknown),
    ]
}

fn modes() -> Vec<Case> {
    use StalledReason as Stall;
    vec![
        ready("observe_only", Scene::new().desired(None), ReadyReason::Observed),
        stalls("duplicate_tenant", Scene::new().duplicate(), Stall::DuplicateTenant),
        stalls("duplicate_tenant", scheduled().duplicate(), Stall::DuplicateTenant),
        stalls("duplicate_tenant", Scene::new().desired(TRIAL).duplicate(), Stall::DuplicateTenant),
        stalls("duplicate_tenant", in_sync().duplicate(), Stall::DuplicateTenant),
        stalls("unknown_mode", Scene::new().mode("barter"), Stall::UnknownMode),
        ready("trial_wanted", Scene::new().desired(TRIAL), ReadyReason::InSync),
        stalls("reversal_refused", Scene::new().desired(TRIAL).mode("production"), Stall::ReversalRefused),
        stalls("suspended_on_platform", Scene::new().mode("suspended"), Stall::TenantSuspendedOnPlatform),
        ready("in_production", Scene::new().mode("production"), ReadyReason::InSync),
        stalls("unexpected_trial", in_sync().mode("trial"), Stall::UnexpectedTrial),
        waits("sibling_completed", Scene::new().sibling_completed(false), ReconcilingReason::OutcomeUnknown),
        stalls("sibling_completed", Scene::new().sibling_completed(true), Stall::UnexpectedTrial),
    ]
}

fn switching() -> Vec<Case> {
    use StalledReason as Stall;
    let failed = |class| Scene::new().named(NAME).proof(Proof::Failed(error(class)));
    let borne_by =
        |ids: &[&str]| pinned().proof(Proof::Customers(ids.iter().map(|id| tenant_id(id)).collect()));
    let partner = Scene::new().seen(|seen| seen.tenant.kind = TenantKind::Partner);
    let disabled = Scene::new().seen(|seen| seen.tenant.enabled = false);
    let another = Scene::new().seen(|seen| seen.tenant.id = tenant_id(OTHER_TENANT));
    let undated = Scene::new().seen(|seen| seen.date = None);
    let mut elsewhere = Scene::new();
    elsewhere.circumstances.sibling_open = true;
    let sibling_stalled = elsewhere.clone().sibling_stalled();
    vec![
        stalls("not_a_customer", partner, Stall::NotACustomerTenant),
        stalls("tenant_disabled", disabled, Stall::TenantDisabled),
        stalls("tenant_locked", Scene::new().locked(), Stall::TenantLocked),
        stalls("another_tenant", another, Stall::TenantChanged),
        stalls(
            "name_changed",
            pinned().seen(|seen| seen.tenant.name = "Acme AG".to_owned()),
            Stall::TenantChanged,
        ),
        ("name_unproved", pinned().proof(Proof::Missing), Verdict::Unchanged),
        waits("name_unproved", pinned().proof(Proof::Awaited), ReconcilingReason::TenantNameUnproved),
        waits("name_unproved", failed(ErrorClass::Unavailable), ReconcilingReason::PlatformUnavailable),
        waits("name_unproved", failed(ErrorClass::Throttled), ReconcilingReason::RateLimited),
        stalls("name_unproved", failed(ErrorClass::AccessDenied), Stall::AccessDenied),
        stalls("name_of_another_tenant", borne_by(&[]), Stall::TenantNotFound),
        stalls("name_of_another_tenant", borne_by(&[OTHER_TENANT]), Stall::TenantChanged),
        stalls("name_of_another_tenant", borne_by(&[TENANT, OTHER_TENANT]), Stall::TenantNameAmbiguous),
        waits("platform_clock_unknown", undated, ReconcilingReason::ClockSkew),
        waits(
            "clock_skew",
            Scene::new().not_before(DECEMBER).seen(|seen| seen.date = Some(instant("2099-01-01T00:00:00Z"))),
            ReconcilingReason::ClockSkew,
        ),
        ready("not_due", Scene::new().not_before(DECEMBER), ReadyReason::SwitchScheduled),
        ready("not_due", Scene::new().at(crate::api::SwitchAt::MonthStart), ReadyReason::SwitchScheduled),
        waits("sibling_accepted", Scene::new().sibling_accepted(false), ReconcilingReason::OutcomeUnknown),
        stalls("sibling_accepted", Scene::new().sibling_accepted(true), Stall::OutcomeUnknown),
        stalls("sibling_stalled", sibling_stalled, Stall::OutcomeUnknown),
        waits("sibling_open", elsewhere, ReconcilingReason::OutcomeUnknown),
        waits(
            "backs_off_after_failure",
            Scene::new().backing_off(ErrorClass::VersionMismatch),
            ReconcilingReason::VersionConflict,
        ),
        waits(
            "budget_exhausted",
            Scene::new().exhausted(100, Some("2026-11-23T10:59:00Z")),
            ReconcilingReason::SwitchBudgetExhausted,
        ),
        waits(
            "budget_exhausted",
            scheduled().at_both_clocks(DECEMBER).exhausted(0, None),
            ReconcilingReason::SwitchBudgetExhausted,
        ),
        waits("waits_in_queue", Scene::new().waits(12), ReconcilingReason::RateLimited),
        ("waits_in_queue", scheduled().at_both_clocks(DECEMBER).waits(12), Verdict::Unchanged),
        ("switch", Scene::new(), Verdict::Switch { scheduled_for: instant(NOW) }),
    ]
}

fn cases() -> Vec<Case> {
    [reaching_the_tenant(), open_entries(), modes(), switching()].concat()
}

/// The ruling without this rule.
fn decide_without(name: &str, scene: &Scene) -> Option<Ruling> {
    let others = RULES.iter().filter(|(rule, _)| *rule != name);
    others.map(|(_, rule)| rule(&scene.facts())).find_map(|ruling| ruling)
}

#[test]
fn every_rule_decides_its_cases() {
    for (rule, scene, verdict) in cases() {
        let decision = scene.decide();
        assert_eq!((decision.rule, decision.verdict), (rule, verdict), "{decision:#?}");
    }
}

#[test]
fn every_rule_has_a_case_and_a_name_of_its_own() {
    let decided: BTreeSet<_> = cases().iter().map(|(rule, ..)| *rule).collect();
    let names: Vec<_> = rule_names().collect();
    assert_eq!(decided, names.iter().copied().collect());
    assert_eq!(decided.len(), names.len(), "two rules share a name");
}

#[test]
fn without_a_rule_its_cases_are_decided_differently() {
    for (rule, scene, verdict) in cases() {
        let with = scene.decide();
        let without = decide_without(rule, &scene);
        let same = without.as_ref().is_some_and(|without| {
            (without.verdict, without.journal, without.requeue, &without.message)
                == (verdict, with.journal, with.requeue, &with.message)
        });
        assert!(!same, "{rule} is not needed for {scene:#?}");
    }
}

#[test]
fn an_object_whose_tenant_was_not_read_is_left_unchanged() {
    let decision = Scene::new().read(TenantRead::NotRead).decide();
    assert_eq!((decision.rule, decision.verdict), ("not_read", Verdict::Unchanged));
}
