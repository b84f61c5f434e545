//! Objects as the watch delivers them, and what the index says about them together.

mod claims;
mod competitors;
mod counts;
mod intents;
mod records;
mod recounts;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{counts::ConnectionCounts, record::State, *};
use crate::{
    api::{DesiredMode, Phase},
    connections::ConnectionProblem,
    platform::ErrorClass,
    pricing::decide::Verdict,
    testing::fixtures::*,
};

/// The object of a scene with this name. It was created `age` seconds after [`NOW`].
fn object(scene: Scene, name: &str, age: i64) -> TenantPricing {
    let mut object = scene.object;
    let (namespace, name) = name.split_once('/').unwrap_or(("team", name));
    object.metadata.namespace = Some(namespace.to_owned());
    object.metadata.name = Some(name.to_owned());
    object.metadata.uid = Some(format!("uid-of-{namespace}-{name}"));
    object.metadata.creation_timestamp = Some(Time(instant(NOW) + SignedDuration::from_secs(age)));
    object
}

/// An object that asks for production and has read the tenant.
fn scheduled(name: &str, age: i64) -> TenantPricing {
    object(Scene::new().not_before(DECEMBER).stored(), name, age)
}

fn key(name: &str) -> Key {
    let (namespace, name) = name.split_once('/').unwrap_or(("team", name));
    Key::new(namespace, name)
}

fn tenant() -> TenantKey {
    tenant_key(TENANT)
}

/// Every connection leads to the same platform.
#[allow(clippy::unnecessary_wraps)] // the signature is the index's
fn one_platform(_: &Key, _: &Key) -> Option<Via> {
    Some(via(origin()))
}

fn older_owner(index: &Index, name: &str) -> Option<String> {
    index.older_owner(&key(name), &tenant(), one_platform).map(|older_owner| older_owner.to_string())
}

fn apply(index: &Index, object: &TenantPricing) -> Vec<String> {
    names(&index.apply(&Key::of(object), object))
}

fn names(keys: &[Key]) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

#[test]
fn a_record_is_small() {
    assert!(size_of::<Record>() <= 128, "{} bytes", size_of::<Record>());
}

#[test]
fn a_connection_is_remembered_as_long_as_an_object_names_it() {
    let index = Index::default();
    let (one, mut two) = (scheduled("one", 0), scheduled("two", 1));
    apply(&index, &one);
    apply(&index, &two);
    assert_eq!(index.inner.lock().connections, HashMap::from([(key("default"), 2)]));
    two.spec.connection_ref.name = "other".to_owned();
    apply(&index, &two);
    apply(&index, &two);
    assert_eq!(index.inner.lock().connections, HashMap::from([(key("default"), 1), (key("other"), 1)]));
    _ = index.remove(&key("one"));
    _ = index.remove(&key("two"));
    assert_eq!(index.inner.lock().connections, HashMap::new());
}

#[test]
fn the_objects_of_a_connection_are_found() {
    let index = Index::default();
    apply(&index, &scheduled("waiting", 0));
    apply(&index, &object(Scene::new().mode("production").stored(), "done", 1));
    let mut elsewhere = scheduled("elsewhere", 2);
    elsewhere.spec.connection_ref.namespace = Some("platform".to_owned());
    apply(&index, &elsewhere);
    apply(&index, &object(Scene::new().failed(ErrorClass::Unavailable).stored(), "failed", 3));
    let mut found = names(&index.of_connection(&key("default")));
    found.sort();
    assert_eq!(found, ["team/done", "team/failed", "team/waiting"]);
    assert_eq!(names(&index.in_trouble_with(&key("default"))), ["team/failed"]);
    assert_eq!(names(&index.of_connection(&key("platform/default"))), ["team/elsewhere"]);
    assert!(index.in_trouble_with(&key("platform/default")).is_empty());
}

#[test]
fn a_record_says_what_the_object_says() {
    let of = |scene: Scene| Record::of(&object(scene, "acme", 0), key("default"));
    let new = of(Scene::new());
    assert_eq!((new.state(), new.mode(), new.phase), (State::NotSeen, ObservedMode::Unknown, None));
    assert!(!new.up_to_date && !new.suspended);
    let waiting = of(Scene::new().not_before(DECEMBER).stored());
    assert_eq!(waiting.state(), State::Ready(Some(crate::api::ReadyReason::SwitchScheduled)));
    assert_eq!(waiting.scheduled_for(), Some(instant(DECEMBER)));
    assert_eq!(waiting.trial_ends(), Some(instant(TRIAL_ENDS)));
    let mut held = Scene::new().not_before(DECEMBER).stored();
    held.object.spec.suspend = true;
    assert_eq!(of(held).scheduled_for(), None, "it is held, whatever its day");
    assert!(waiting.up_to_date);
    assert!(!of(Scene::new().not_before(DECEMBER).stored().edited()).up_to_date);
    let done = of(Scene::new().pricing("trial").announced("attempt-1").mode("production").stored());
    assert_eq!((done.phase, done.scheduled_for()), (Some(Phase::Completed), None));
    assert_eq!((done.mode(), done.trial_ends()), (ObservedMode::Production, None));
    let failed = of(Scene::new().failed(ErrorClass::Unavailable).stored());
    let unavailable = crate::api::ReconcilingReason::PlatformUnavailable;
    assert_eq!(failed.state(), State::Reconciling(Some(unavailable)));
    let mut newer = Scene::new().seen(|seen| seen.tenant.enabled = false).stored();
    let conditions = &mut newer.object.status.as_mut().unwrap().conditions;
    for condition in conditions {
        condition.reason = "OfANewerVersion".to_owned();
    }
    assert_eq!(of(newer).state(), State::Stalled(None));
    let mut deleted = Scene::new();
    deleted.object.metadata.deletion_timestamp = Some(time(NOW));
    assert_eq!((of(Scene::new()).desired(), of(deleted).desired()), (Some(DesiredMode::Production), None));
    assert!(of(Scene::new().suspended()).suspended);
}

#[test]
fn a_stall_that_a_connection_may_end_concerns_it() {
    use crate::pricing::facts::Access;
    let speaks = |scene: Scene| {
        Record::of(&object(scene.stored(), "acme", 0), key("default")).speaks_of_the_connection()
    };
    for access in [
        Access::NotFound,
        Access::NotAllowed,
        Access::Undecided,
        Access::Unusable(ConnectionProblem::Suspended),
    ] {
        assert!(speaks(Scene::new().access(access.clone())), "{access:?}");
    }
    assert!(speaks(Scene::new().failed(ErrorClass::Unavailable)));
    assert!(!speaks(Scene::new().failed(ErrorClass::NotFound)));
    assert!(!speaks(Scene::new().mode("production")));
}

#[test]
fn the_trials_that_end_in_a_span_are_found() {
    let index = Index::default();
    apply(&index, &scheduled("waiting", 0));
    apply(&index, &object(Scene::new().mode("production").stored(), "done", 1));
    let (ends, before) = (instant(TRIAL_ENDS), instant(TRIAL_ENDS) - SignedDuration::from_secs(1));
    assert_eq!(names(&index.trials_ending(before, ends)), ["team/waiting"]);
    assert!(
        index.trials_ending(ends, ends + SignedDuration::from_secs(9)).is_empty(),
        "it is not after `from`"
    );
    assert!(index.trials_ending(instant(NOW), before).is_empty());
}

#[test]
/// The first object is deleted and created again while the watch is disconnected.
fn a_recreated_object_inherits_no_read() {
    let index = Index::default();
    let mut first = object(Scene::new(), "acme", 0);
    apply(&index, &first);
    apply(&index, &scheduled("younger", 1));
    assert_eq!(
        names(&index.record_tenant(&key("acme"), &tenant_id(TENANT), CONNECTION_UID)),
        ["team/younger"]
    );
    assert_eq!(older_owner(&index, "younger").as_deref(), Some("team/acme"));
    first.metadata.uid = Some("another".to_owned());
    assert_eq!(apply(&index, &first), ["team/younger"]);
    assert_eq!(older_owner(&index, "younger"), None);
}

#[test]
/// A fleet of objects with a tenant each.
fn a_fleet_enqueues_nothing_and_leaves_nothing_behind() {
    let index = Index::default();
    let mut object = scheduled("any", 0);
    let mut fleet = |work: &dyn Fn(&Key, &TenantPricing) -> Vec<Key>| {
        for number in 0..1000_u32 {
            let status = object.status.as_mut().unwrap();
            status.tenant_id = Some(format!("{number:08x}-0000-4000-8000-000000000000"));
            object.metadata.name = Some(format!("tenant-{number}"));
            assert_eq!(work(&Key::of(&object), &object), []);
        }
    };
    fleet(&|key, object| index.apply(key, object));
    fleet(&|key, object| index.apply(key, object));
    fleet(&|key, _| index.remove(key));
    let inner = index.inner.lock();
    assert!(inner.records.is_empty() && inner.tenants.entries.is_empty() && inner.connections.is_empty());
}
