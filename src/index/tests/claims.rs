//! An object has a claim on a tenant only through a connection that is present, works, admits it and has read the
//! tenant.

use super::*;
use crate::{
    api::{ReconcilingReason, StalledReason},
    connections::ConnectionProblem,
    platform::ErrorClass,
    pricing::facts::Access,
};

fn waiting() -> Scene {
    Scene::new().not_before(DECEMBER).stored()
}

/// The same object with a spec that names another connection.
fn moved(object: &TenantPricing, connection: &str) -> TenantPricing {
    let mut moved = object.clone();
    moved.spec.connection_ref.name = connection.to_owned();
    moved.metadata.generation = moved.metadata.generation.map(|generation| generation + 1);
    moved
}

/// The object with the status that a reconcile stores if it finds this access to the platform.
fn found(object: &TenantPricing, access: Access) -> TenantPricing {
    let mut found = object.clone();
    let scene = Scene { object: found.clone(), ..Scene::new() }.access(access).stored();
    found.status = scene.object.status;
    found
}

fn unusable() -> Access {
    Access::Unusable(ConnectionProblem::Suspended)
}

/// An index in which an older and a younger object have read the tenant in this process.
fn both_read() -> (Index, TenantPricing) {
    let index = Index::default();
    let older_owner = object(Scene::new(), "older", 0);
    apply(&index, &older_owner);
    apply(&index, &object(Scene::new(), "younger", 1));
    for name in ["older", "younger"] {
        _ = index.record_tenant(&key(name), &tenant_id(TENANT), CONNECTION_UID);
    }
    let older_owner = object(waiting(), "older", 0);
    apply(&index, &older_owner);
    assert_eq!(super::older_owner(&index, "younger").as_deref(), Some("team/older"));
    (index, older_owner)
}

fn claims(index: &Index, change: impl Fn(Via) -> Via) -> bool {
    let found = index.older_owner(&key("younger"), &tenant(), |_, _| Some(change(via(origin()))));
    found.is_some()
}

fn suspended(via: Via) -> Via {
    Via { suspended: true, ..via }
}

fn created_again(via: Via) -> Via {
    Via { uid: "uid-of-another".to_owned(), ..via }
}

#[test]
fn a_pin_made_through_another_connection_gives_no_claim() {
    let (index, older_owner) = both_read();
    // Its admission is withdrawn, and its reference is changed to a connection of its own.
    let refused = found(&older_owner, Access::NotAllowed);
    assert_eq!(apply(&index, &refused), ["team/younger"]);
    assert!(!claims(&index, |via| via));
    let mine = moved(&refused, "mine");
    assert_eq!(apply(&index, &mine), [""; 0], "nothing changes for the younger one");
    assert!(!claims(&index, |via| via) && !claims(&index, suspended));
    let stalled = found(&mine, unusable());
    assert_eq!(apply(&index, &stalled), [""; 0]);
    assert!(!claims(&index, |via| via) && !claims(&index, suspended));
    // A read through that connection gives it one.
    assert_eq!(
        names(&index.record_tenant(&key("older"), &tenant_id(TENANT), CONNECTION_UID)),
        ["team/younger"]
    );
    assert!(claims(&index, |via| via));
}

#[test]
fn after_a_start_a_status_without_a_read_gives_no_claim() {
    let older_owner = object(waiting(), "older", 0);
    for (why, status) in [
        ("suspended", found(&moved(&older_owner, "mine"), unusable())),
        ("refused", found(&older_owner, Access::NotAllowed)),
        ("missing", found(&moved(&older_owner, "mine"), Access::NotFound)),
    ] {
        let index = Index::default();
        apply(&index, &status);
        apply(&index, &scheduled("younger", 1));
        assert!(!claims(&index, suspended), "{why}");
    }
    for class in [ErrorClass::NotFound, ErrorClass::AccessDenied] {
        let index = Index::default();
        apply(&index, &object(waiting().edited().failed(class).stored(), "older", 0));
        apply(&index, &scheduled("younger", 1));
        assert!(!claims(&index, |via| via), "{class:?}");
    }
}

#[test]
fn after_a_start_a_status_that_shows_a_read_keeps_its_claim() {
    for (why, scene) in
        [("in sync", waiting()), ("disabled", Scene::new().seen(|seen| seen.tenant.enabled = false).stored())]
    {
        let index = Index::default();
        apply(&index, &object(scene, "older", 0));
        apply(&index, &scheduled("younger", 1));
        assert!(claims(&index, |via| via), "{why}");
        assert!(claims(&index, suspended), "{why}: a suspended connection keeps the claims that it gave");
    }
}

#[test]
fn after_a_start_the_younger_waits_for_a_pending_read() {
    for (why, scene) in [
        ("edited while no controller ran", waiting().edited()),
        ("out of reach", Scene::new().failed(ErrorClass::Unavailable).stored()),
        ("the connection was suspended", waiting().edited().access(unusable()).stored()),
    ] {
        let index = Index::default();
        let mut older_owner = object(scene, "older", 0);
        older_owner.status.as_mut().unwrap().tenant_id = Some(TENANT.to_owned());
        apply(&index, &older_owner);
        apply(&index, &scheduled("younger", 1));
        assert!(claims(&index, |via| via), "{why}");
        assert!(!claims(&index, suspended), "{why}: no read can come");
        // The read shows that the tenant is out of reach.
        let mut lost = older_owner.clone();
        let scene = Scene { object: older_owner, ..Scene::new() }.failed(ErrorClass::AccessDenied).stored();
        lost.status = scene.object.status;
        apply(&index, &lost);
        assert!(!claims(&index, |via| via), "{why}: it was not read");
    }
}

#[test]
fn a_recreated_connection_keeps_the_younger_waiting() {
    let (index, _) = both_read();
    assert!(claims(&index, created_again), "its objects are read at once");
    assert!(!claims(&index, |via| suspended(created_again(via))), "no read can come");
    _ = index.record_tenant(&key("older"), &tenant_id(TENANT), "uid-of-another");
    assert!(claims(&index, |via| suspended(created_again(via))));
}

#[test]
fn a_suspended_or_throttled_connection_keeps_its_claims() {
    let (index, older_owner) = both_read();
    assert!(claims(&index, suspended));
    let mut edited = older_owner;
    edited.metadata.generation = Some(2);
    for status in [
        found(&edited, unusable()),
        object(
            Scene { object: edited.clone(), ..Scene::new() }.failed(ErrorClass::Throttled).stored(),
            "older",
            0,
        ),
    ] {
        apply(&index, &status);
        assert!(claims(&index, suspended));
    }
    let state = State::Reconciling(Some(ReconcilingReason::RateLimited));
    assert_eq!(index.inner.lock().records[&key("older")].state(), state);
}

#[test]
fn a_connection_can_read_for_the_older_object_too() {
    let (index, older_owner) = both_read();
    let lost = Scene { object: older_owner, ..Scene::new() }.failed(ErrorClass::AccessDenied).stored();
    apply(&index, &object(lost, "older", 0));
    let stalled = State::Stalled(Some(StalledReason::AccessDenied));
    assert_eq!(index.inner.lock().records[&key("older")].state(), stalled);
    assert!(!claims(&index, |via| via), "its connection cannot read the tenant");
    assert!(claims(&index, |via| Via { has_just_read: true, ..via }), "or its status is late");
}

#[test]
fn what_a_standby_learns_from_the_watch_counts_when_it_leads() {
    let index = Index::default();
    apply(&index, &object(Scene::new(), "older", 0));
    apply(&index, &scheduled("younger", 1));
    assert_eq!(older_owner(&index, "younger"), None, "nothing was read for it");
    assert_eq!(apply(&index, &scheduled("older", 0)), ["team/younger"]);
    assert!(claims(&index, |via| via) && claims(&index, suspended));
}

#[test]
/// Its connection does not admit it, or needs a person to fix it.
fn an_object_without_a_usable_connection_has_no_claim() {
    let (index, _) = both_read();
    let asked = |admits: bool| {
        let via = |_: &Key, object: &Key| {
            assert_eq!(*object, key("older"), "the admission is asked for the object that may claim");
            admits.then(|| via(origin()))
        };
        index.older_owner(&key("younger"), &tenant(), via)
    };
    assert!(asked(true).is_some() && asked(false).is_none());
}
