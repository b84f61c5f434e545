//! What each desired mode means for each observed mode.

use super::*;

fn decided(desired: Option<DesiredMode>, observed: &str) -> Decision {
    Scene::new().desired(desired).mode(observed).decide()
}

#[test]
fn each_desired_mode_meets_each_observed_one() {
    use ReadyReason::{InSync, Observed};
    use StalledReason::{ReversalRefused, TenantSuspendedOnPlatform, UnknownMode};
    use Verdict::{Ready, Stalled};
    let switch = Verdict::Switch { scheduled_for: instant(NOW) };
    for (desired, trial, production, suspended, other) in [
        (None, Ready(Observed), Ready(Observed), Ready(Observed), Ready(Observed)),
        (TRIAL, Ready(InSync), Stalled(ReversalRefused), Stalled(ReversalRefused), Stalled(UnknownMode)),
        (PRODUCTION, switch, Ready(InSync), Stalled(TenantSuspendedOnPlatform), Stalled(UnknownMode)),
    ] {
        let expected = [trial, production, suspended, other];
        for (observed, expected) in ["trial", "production", "suspended", "barter"].into_iter().zip(expected) {
            assert_eq!(decided(desired, observed).verdict, expected, "{desired:?} of {observed}");
        }
    }
}

#[test]
fn tenants_past_trial_are_read_daily_and_others_per_poll() {
    for (desired, observed, requeue) in [
        (None, "trial", Requeue::AtPollInterval),
        (None, "production", Requeue::Daily),
        (None, "suspended", Requeue::Daily),
        (None, "barter", Requeue::AtPollInterval),
        (TRIAL, "trial", Requeue::AtPollInterval),
        (TRIAL, "production", Requeue::Daily),
        (PRODUCTION, "production", Requeue::Daily),
        (PRODUCTION, "suspended", Requeue::Daily),
        (PRODUCTION, "barter", Requeue::AtPollInterval),
    ] {
        assert_eq!(decided(desired, observed).requeue, requeue, "{desired:?} of {observed}");
    }
}

#[test]
fn any_proof_of_past_trial_prevents_another_switch() {
    let proven = |scene: Scene| scene.read(Scene::new().pricing("trial").read).decide().rule;
    assert_eq!(proven(Scene::new().stored()), "switch", "no proof");
    assert_eq!(proven(Scene::new().journaled(Phase::Completed)), "unexpected_trial");
    for mode in ["production", "suspended"] {
        let stored = Scene::new().mode(mode).stored();
        let mut seen = stored.clone();
        seen.object.status.as_mut().unwrap().conditions.clear();
        assert_eq!(proven(seen), "unexpected_trial", "seen in {mode}");
        let mut said = stored;
        said.object.status.as_mut().unwrap().observed = None;
        assert_eq!(proven(said), "unexpected_trial", "the condition says {mode}");
    }
}

#[test]
fn the_pricing_settings_and_the_tenant_must_both_say_trial() {
    for (tenant, pricing, switched) in [
        ("trial", "trial", true),
        ("trial", "production", false),
        ("trial", "suspended", false),
        ("trial", "barter", false),
        ("production", "trial", false),
        ("suspended", "trial", false),
        ("barter", "trial", false),
    ] {
        let decision = Scene::new().mode(tenant).pricing(pricing).decide();
        assert_eq!(is_switch(&decision), switched, "{tenant} and {pricing}: {decision:?}");
    }
}

#[test]
fn an_unknown_word_is_named() {
    assert!(decided(PRODUCTION, "barter").message.contains("\"barter\""));
    assert!(decided(None, "barter").message.contains("barter"));
}

#[test]
fn trial_is_ready_and_says_when_the_platform_ends_it() {
    assert!(decided(TRIAL, "trial").message.contains(TRIAL_ENDS));
    let silent = Scene::new().desired(TRIAL).seen(|seen| seen.tenant.production_start = None).decide();
    assert!(!silent.message.contains("automatically"), "{}", silent.message);
}

#[test]
fn a_tenant_first_seen_in_production_gets_no_journal() {
    for observed in ["production", "suspended"] {
        assert_eq!(decided(PRODUCTION, observed).journal, JournalStep::Keep);
    }
}

#[test]
fn a_switch_found_while_its_plan_waited_is_the_platforms() {
    let at = instant("2026-11-20T08:00:00Z");
    for observed in ["production", "suspended"] {
        for waiting in [scheduled(), Scene::new().desired(None).stored().edited().desired(PRODUCTION)] {
            let decision = waiting.mode(observed).decide();
            let complete = JournalStep::Complete { by: SwitchedBy::Platform, at };
            assert_eq!(decision.journal, complete, "{observed}: {decision:?}");
        }
    }
}

#[test]
fn without_a_date_the_time_of_the_read_is_the_switch_time() {
    let decision = scheduled().mode("production").seen(|seen| seen.tenant.production_start = None).decide();
    assert_eq!(decision.journal, JournalStep::Complete { by: SwitchedBy::Platform, at: instant(NOW) });
    assert!(decision.message.contains("November 2026"), "{}", decision.message);
}

#[test]
fn a_switch_that_is_on_record_stays_as_it_was_recorded() {
    for observed in ["production", "suspended", "barter"] {
        let decision = Scene::new().journaled(Phase::Completed).mode(observed).decide();
        assert_eq!(decision.journal, JournalStep::Keep, "{observed}");
    }
    let decision = Scene::new().journaled(Phase::Completed).mode("production").decide();
    assert!(decision.message.contains("switched by this controller"), "{}", decision.message);
}

#[test]
fn what_was_once_proven_past_trial_is_never_switched_again() {
    for proven in [
        in_sync(),
        Scene::new().mode("suspended").stored(),
        Scene::new().desired(None).mode("production").stored().edited().desired(PRODUCTION),
        Scene::new().journaled(Phase::Completed),
        // The tenant is in trial again. Only the condition remembers the proof.
        in_sync().mode("trial").stored(),
        Scene::new().mode("suspended").stored().mode("trial").stored(),
    ] {
        let decision = proven.clone().mode("trial").pricing("trial").decide();
        assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::UnexpectedTrial), "{proven:#?}");
    }
}

#[test]
fn a_plan_that_is_no_longer_requested_is_always_cancelled() {
    for desired in [None, TRIAL] {
        let waiting = || scheduled().edited().desired(desired);
        for scene in [
            waiting(),
            waiting().mode("production"),
            waiting().mode("barter"),
            waiting().suspended(),
            waiting().access(Access::NotFound),
            waiting().access(unusable()),
            waiting().failed(ErrorClass::Unavailable),
            waiting().failed(ErrorClass::AccessDenied),
            waiting().seen(|seen| seen.tenant.deleted = true),
        ] {
            assert_eq!(scene.report().switch, None, "{scene:#?}");
        }
    }
}

#[test]
fn a_plan_that_is_still_requested_survives_every_obstacle() {
    for scene in [
        scheduled().edited().suspended(),
        scheduled().access(Access::NotFound),
        scheduled().failed(ErrorClass::AccessDenied),
        scheduled().mode("barter"),
        scheduled().seen(|seen| seen.tenant.enabled = false),
        scheduled().seen(|seen| seen.tenant.deleted = true),
        scheduled().locked(),
    ] {
        assert_eq!(scene.report().switch.as_ref(), scene.journal(), "{scene:#?}");
    }
}
