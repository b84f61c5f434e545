//! A switch is decided only if nothing prevents it.

use super::*;
use crate::platform::TenantKind;

/// An obstacle to a switch: its name, and the change that adds it to a scene.
type Obstacle = (&'static str, fn(Scene) -> Scene);

const OBSTACLES: &[Obstacle] = &[
    ("another mode is asked for", |scene| scene.desired(TRIAL)),
    ("no mode is asked for", |scene| scene.desired(None)),
    ("spec.suspend", Scene::suspended),
    ("the tenant does not say trial", |scene| scene.mode("production")),
    ("the pricing settings do not say trial", |scene| scene.pricing("production")),
    ("not a customer", |scene| scene.seen(|seen| seen.tenant.kind = TenantKind::Other("gremium".to_owned()))),
    ("disabled", |scene| scene.seen(|seen| seen.tenant.enabled = false)),
    ("locked", Scene::locked),
    ("deleted", |scene| scene.seen(|seen| seen.tenant.deleted = true)),
    ("another tenant", |scene| scene.seen(|seen| seen.tenant.id = tenant_id(OTHER_TENANT))),
    ("once proven past trial", |mut scene| {
        scene.object.status = Scene::new().mode("production").stored().object.status;
        scene
    }),
    ("an open entry", |scene| scene.journaled(Phase::InFlight)),
    ("not due by the controller's clock", |mut scene| {
        scene.now = instant("2026-11-23T08:59:59Z");
        scene
    }),
    ("not due by the platform's clock", |scene| {
        scene.seen(|seen| seen.date = seen.date.and(Some(instant("2026-11-23T08:59:59Z"))))
    }),
    ("the platform's clock is not known", |scene| scene.seen(|seen| seen.date = None)),
    ("held after a failure", |scene| scene.backing_off(ErrorClass::VersionMismatch)),
    ("open elsewhere", |mut scene| {
        scene.circumstances.sibling_open = true;
        scene
    }),
    ("stalled elsewhere", Scene::sibling_stalled),
    ("an older object", Scene::duplicate),
    ("no room in the budget", |scene| scene.exhausted(0, None)),
];

/// An object whose switch waits and is due.
fn due() -> Scene {
    Scene::new().not_before("2026-11-23T09:00:00Z").pricing("trial").journaled(Phase::Scheduled)
}

#[test]
fn every_set_of_obstacles_prevents_a_switch() {
    assert!(is_switch(&due().decide()));
    refuses_all(&due(), &[], OBSTACLES);
}

/// Tries all sets of obstacles: without the first of `obstacles`, then with it, and so on.
fn refuses_all(scene: &Scene, standing: &[&str], obstacles: &[Obstacle]) {
    let Some(((name, obstruct), others)) = obstacles.split_first() else {
        let decision = scene.decide();
        assert!(standing.is_empty() || !is_switch(&decision), "switched against {standing:?}: {decision:?}");
        return;
    };
    refuses_all(scene, standing, others);
    refuses_all(&obstruct(scene.clone()), &[standing, &[*name]].concat(), others);
}

#[test]
fn no_switch_is_decided_upon_out_of_turn() {
    for ahead in [0, 1, 10_000] {
        assert!(!is_switch(&due().waits(ahead).decide()), "{ahead} go first");
    }
}

#[test]
fn no_switch_is_decided_without_a_usable_connection() {
    for access in [
        Access::NotResolved,
        Access::NotFound,
        Access::Forbidden,
        Access::NotAllowed,
        Access::Undecided,
        unusable(),
    ] {
        let read = due().read;
        let decision = due().access(access).read(read).decide();
        assert!(!is_switch(&decision), "{decision:?}");
    }
    for class in ErrorClass::ALL {
        assert!(!is_switch(&due().failed(class).decide()), "{class:?}");
    }
    for read in [
        TenantRead::NotRead,
        TenantRead::NoSuchName(None),
        TenantRead::AmbiguousName(vec![tenant_id(TENANT)]),
    ] {
        assert!(!is_switch(&due().read(read).decide()));
    }
}

#[test]
fn no_journal_but_a_waiting_one_or_none_leads_to_a_switch() {
    for (phase, switched) in [(Phase::Scheduled, true), (Phase::InFlight, false), (Phase::Completed, false)] {
        assert_eq!(is_switch(&due().journaled(phase).decide()), switched, "{phase:?}");
    }
    assert!(is_switch(&Scene::new().decide()));
}

#[test]
fn only_a_customer_is_switched() {
    for kind in ["root", "partner", "folder", "unit", "Customer", ""] {
        let scene = due().seen(|seen| seen.tenant.kind = TenantKind::from(kind));
        assert_eq!(scene.decide().verdict, Verdict::Stalled(StalledReason::NotACustomerTenant), "{kind}");
    }
}

#[test]
fn ids_compare_without_case_and_names_with_it() {
    let mut upper = Scene::new();
    upper.object.spec.tenant.id = Some(TENANT.to_uppercase());
    assert!(is_switch(&upper.decide()));
    assert!(is_switch(&Scene::new().named(NAME).decide()));
    let other_case = Scene::new().named(&NAME.to_lowercase()).decide();
    assert_eq!(other_case.verdict, Verdict::Stalled(StalledReason::TenantNotFound));
}

#[test]
fn no_switch_by_name_is_decided_upon_without_its_proof() {
    let (one, other) = (tenant_id(TENANT), tenant_id(OTHER_TENANT));
    let third = tenant_id("22222222-2222-4333-8444-555555555555");
    let proofs = [
        Proof::Missing,
        Proof::Awaited,
        Proof::Customers(Vec::new()),
        Proof::Customers(vec![other.clone()]),
        Proof::Customers(vec![one.clone(), other.clone()]),
        Proof::Customers(vec![other.clone(), one.clone()]),
        Proof::Customers(vec![one.clone(), other, third]),
    ];
    let failures = ErrorClass::ALL.map(|class| Proof::Failed(error(class)));
    let named = due().named(NAME);
    for proof in proofs.into_iter().chain(failures) {
        for scene in [named.clone(), named.clone().stored(), named.clone().journaled(Phase::Scheduled)] {
            let decision = scene.proof(proof.clone()).decide();
            assert!(!is_switch(&decision), "{proof:?}: {decision:?}");
        }
        assert!(is_switch(&due().proof(proof).decide()), "an id has nothing to prove");
    }
    assert!(is_switch(&named.proof(Proof::Customers(vec![one])).decide()));
}

#[test]
fn an_ambiguous_name_names_all_its_customers() {
    let ids: Vec<_> =
        (0..20).map(|n| tenant_id(&format!("22222222-2222-4333-8444-5555555555{n:02}"))).collect();
    let decision = due().named(NAME).proof(Proof::Customers(ids.clone())).decide();
    assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::TenantNameAmbiguous));
    assert!(ids.iter().all(|id| decision.message.contains(id.as_str())), "{}", decision.message);
}

#[test]
fn the_pinned_tenant_is_the_only_one_that_is_switched() {
    let mut elsewhere = Scene::new().named(NAME).desired(None).stored().edited().desired(PRODUCTION);
    assert!(is_switch(&elsewhere.decide()));
    elsewhere = elsewhere.seen(|seen| seen.tenant.id = tenant_id(OTHER_TENANT));
    let decision = elsewhere.decide();
    assert_eq!(decision.verdict, Verdict::Stalled(StalledReason::TenantChanged));
    assert!(decision.message.contains(TENANT) && decision.message.contains(OTHER_TENANT));
}
