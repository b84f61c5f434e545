//! Which objects compete for a tenant, and which are enqueued when that changes.

use super::*;
use crate::{
    platform::{ErrorClass, Origin},
    pricing::facts::Access,
};

fn indexed(objects: &[TenantPricing]) -> Index {
    let index = Index::default();
    for object in objects {
        apply(&index, object);
    }
    index
}

fn in_flight(name: &str, age: i64) -> TenantPricing {
    object(Scene::new().pricing("trial").announced("attempt-1"), name, age)
}

#[test]
fn the_oldest_acts_in_whatever_order_they_are_delivered() {
    let (one, two, three) = (scheduled("one", 0), scheduled("two", 1), scheduled("three", 2));
    for order in [[&one, &two, &three], [&three, &two, &one], [&two, &one, &three]] {
        let index = indexed(&order.map(Clone::clone));
        assert_eq!(older_owner(&index, "one"), None);
        assert_eq!(older_owner(&index, "two").as_deref(), Some("team/one"));
        assert_eq!(older_owner(&index, "three").as_deref(), Some("team/one"));
    }
}

#[test]
fn at_the_same_age_namespace_and_name_decide() {
    // As a text, "a-b/x" would come before "a/y".
    let index = indexed(&[scheduled("a-b/x", 0), scheduled("a/y", 0), scheduled("a/z", 0)]);
    assert_eq!(older_owner(&index, "a/y"), None);
    assert_eq!(older_owner(&index, "a/z").as_deref(), Some("a/y"));
    assert_eq!(older_owner(&index, "a-b/x").as_deref(), Some("a/y"));
}

#[test]
fn only_an_active_object_that_has_read_the_tenant_competes() {
    let waiting = || Scene::new().not_before(DECEMBER).stored();
    let refused = |access| Scene::new().not_before(DECEMBER).stored().access(access).stored();
    let mut deleted = waiting();
    deleted.object.metadata.deletion_timestamp = Some(time(NOW));
    for (why, scene, competes) in [
        ("asks for production", waiting(), true),
        ("asks for trial", Scene::new().desired(Some(DesiredMode::Trial)).stored(), true),
        ("is edited", waiting().edited(), true),
        ("stalls for another reason", waiting().locked().stored(), true),
        ("only observes", Scene::new().desired(None).stored(), false),
        ("has not read the tenant", Scene::new(), false),
        ("is suspended", waiting().suspended(), false),
        ("is being deleted", deleted, false),
        ("has lost its connection", refused(Access::NotFound), false),
        ("is not admitted", refused(Access::NotAllowed), false),
    ] {
        let index = indexed(&[object(scene, "older", 0), scheduled("younger", 1)]);
        let found = older_owner(&index, "younger");
        assert_eq!(found.is_some(), competes, "one that {why}");
    }
}

#[test]
/// A tenant is identified by its platform and its id.
fn objects_of_other_tenants_or_platforms_do_not_compete() {
    let mut elsewhere = scheduled("elsewhere", 1);
    elsewhere.spec.connection_ref.name = "us5".to_owned();
    let index = indexed(&[elsewhere, scheduled("younger", 2)]);
    let platform = |url: &str| Some(via(Origin::parse(url).unwrap()));
    let older_owner =
        |way: &dyn Fn(&Key, &Key) -> Option<Via>| index.older_owner(&key("younger"), &tenant(), way);
    assert_eq!(older_owner(&|_, _| platform("https://us5-cloud.acronis.com")), None);
    assert_eq!(older_owner(&|_, _| None), None, "it is unknown where the connection leads");
    // Two connections to one data centre are one platform.
    assert!(older_owner(&|connection, _| (*connection == key("us5")).then(|| via(origin()))).is_some());
    let other = tenant_key(OTHER_TENANT);
    assert_eq!(index.older_owner(&key("younger"), &other, one_platform), None);
}

#[test]
/// The spec and the connection of the object may have changed since.
fn an_open_attempt_counts_on_the_platform_where_it_began() {
    let mut open = in_flight("open", 0);
    open.spec.mode = None;
    open.spec.suspend = true;
    open.spec.connection_ref.name = "us5".to_owned();
    let index = indexed(&[open.clone(), scheduled("younger", 1)]);
    let nowhere = |_: &Key, _: &Key| None;
    assert!(index.older_owner(&key("younger"), &tenant(), nowhere).is_some());
    assert!(index.sibling_open(&key("younger"), &tenant()));
    assert!(!index.sibling_open(&key("open"), &tenant()), "its own attempt is not elsewhere");
    let other_platform =
        TenantKey { platform: Origin::parse("https://us5-cloud.acronis.com").unwrap(), ..tenant() };
    assert!(!index.sibling_open(&key("younger"), &other_platform));
    assert_eq!(index.older_owner(&key("younger"), &other_platform, nowhere), None);
    // An attempt without a readable platform may have begun anywhere.
    open.status.as_mut().unwrap().switch.as_mut().unwrap().platform = Some("?".to_owned());
    apply(&index, &open);
    assert!(index.sibling_open(&key("younger"), &other_platform));
}

#[test]
fn an_open_attempt_of_a_stalled_object_is_distinguished() {
    let index = indexed(&[scheduled("older", 0), in_flight("open", 1)]);
    let stalled = |key: &Key| index.sibling_stalled(key, &tenant());
    assert_eq!(stalled(&key("older")), None);
    let lost = Scene::new().pricing("trial").announced("attempt").failed(ErrorClass::AccessDenied).stored();
    let mut object = in_flight("open", 1);
    object.status.as_mut().unwrap().conditions = lost.object.status.unwrap().conditions;
    assert_eq!(apply(&index, &object), ["team/older"], "the older one reports it as well");
    assert_eq!((stalled(&key("older")), stalled(&key("open"))), (Some(key("open")), None));
    let other_platform =
        TenantKey { platform: Origin::parse("https://us5-cloud.acronis.com").unwrap(), ..tenant() };
    assert_eq!(index.sibling_stalled(&key("older"), &other_platform), None);
    // Stalled, but without an open attempt.
    object.status.as_mut().unwrap().switch = None;
    apply(&index, &object);
    assert_eq!(stalled(&key("older")), None);
}

#[test]
fn a_younger_open_attempt_is_no_older_owner_but_is_waited_for() {
    let index = indexed(&[scheduled("older", 0), in_flight("open", 1)]);
    assert_eq!(older_owner(&index, "older"), None);
    assert!(index.sibling_open(&key("older"), &tenant()));
}

#[test]
fn the_younger_are_enqueued_when_the_older_owner_changes() {
    let index =
        indexed(&[scheduled("younger", 1), object(Scene::new().desired(None).stored(), "observer", 2)]);
    let older_owner = scheduled("older", 0);
    assert_eq!(apply(&index, &older_owner), ["team/younger"], "it comes");
    assert_eq!(apply(&index, &older_owner), [""; 0], "nothing changed");
    let mut changed = older_owner.clone();
    changed.spec.mode = Some(DesiredMode::Trial);
    changed.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    assert_eq!(apply(&index, &changed), [""; 0], "it competes as before");
    changed.spec.suspend = true;
    assert_eq!(apply(&index, &changed), ["team/younger"], "it is suspended");
    assert_eq!(names(&index.remove(&key("older"))), [""; 0], "it did not compete any more");
    apply(&index, &older_owner);
    assert_eq!(names(&index.remove(&key("older"))), ["team/younger"], "it is deleted");
    assert_eq!(super::older_owner(&index, "younger"), None);
}

#[test]
fn one_of_many_enqueues_no_other_unless_it_owns_the_tenant() {
    let index = indexed(&[scheduled("first", 0), scheduled("second", 1), scheduled("fourth", 3)]);
    let third = scheduled("third", 2);
    assert_eq!(apply(&index, &third), [""; 0], "the first acts for all of them");
    assert_eq!(names(&index.remove(&key("third"))), [""; 0]);
    let mut elsewhere = third;
    elsewhere.spec.connection_ref.name = "us5".to_owned();
    // The index does not know whether it leads to the same platform.
    assert_eq!(apply(&index, &elsewhere), ["team/fourth"]);
    assert_eq!(names(&index.remove(&key("first"))), ["team/fourth", "team/second", "team/third"]);
    let begun = in_flight("second", 1);
    assert_eq!(apply(&index, &begun), ["team/fourth", "team/third"]);
}

#[test]
fn the_end_of_an_attempt_enqueues_only_possible_successors() {
    let index = indexed(&[scheduled("first", 0), scheduled("second", 1), in_flight("open", 2)]);
    assert_eq!(apply(&index, &scheduled("open", 2)), ["team/first"]);
}

#[test]
fn an_older_owner_is_enqueued_when_a_younger_attempt_ends() {
    let index = indexed(&[scheduled("older", 0), in_flight("open", 1)]);
    let closed = object(Scene::new().not_before(DECEMBER).stored(), "open", 1);
    assert_eq!(apply(&index, &closed), ["team/older"]);
    assert!(!index.sibling_open(&key("older"), &tenant()));
}

#[test]
fn a_read_counts_before_the_status_says_it() {
    let index = indexed(&[object(Scene::new(), "older", 0), object(Scene::new(), "younger", 1)]);
    assert_eq!(names(&index.record_tenant(&key("younger"), &tenant_id(TENANT), CONNECTION_UID)), [""; 0]);
    assert_eq!(older_owner(&index, "younger"), None);
    assert_eq!(
        names(&index.record_tenant(&key("older"), &tenant_id(TENANT), CONNECTION_UID)),
        ["team/younger"]
    );
    assert_eq!(
        names(&index.record_tenant(&key("older"), &tenant_id(TENANT), CONNECTION_UID)),
        [""; 0],
        "that was known"
    );
    assert_eq!(older_owner(&index, "younger").as_deref(), Some("team/older"));
    // The watch delivers a status that does not say so yet.
    let late = object(Scene::new(), "older", 0);
    assert_eq!(apply(&index, &late), [""; 0]);
    assert_eq!(older_owner(&index, "younger").as_deref(), Some("team/older"));
    // It has read nothing through the other connection.
    let mut moved = late;
    moved.spec.connection_ref.name = "us5".to_owned();
    assert_eq!(apply(&index, &moved), ["team/younger"]);
    assert_eq!(older_owner(&index, "younger"), None);
    assert_eq!(names(&index.record_tenant(&key("unknown"), &tenant_id(TENANT), CONNECTION_UID)), [""; 0]);
}

#[test]
fn objects_that_share_a_tenant_with_a_connection_are_found() {
    let mut through_other = scheduled("other", 1);
    through_other.spec.connection_ref.name = "eu2".to_owned();
    let index = indexed(&[scheduled("older", 0), through_other]);
    assert_eq!(names(&index.sharing_with(&key("default"))), ["team/other"]);
    assert_eq!(names(&index.sharing_with(&key("eu2"))), ["team/older"]);
    _ = index.remove(&key("older"));
    assert_eq!(names(&index.sharing_with(&key("eu2"))), [""; 0]);
}

#[test]
fn two_that_are_shown_at_once_agree_on_who_acts() {
    // However many reconciles run at once, exactly one of the objects that have read the tenant has no older owner.
    let all: Vec<_> = (0..20).map(|age| scheduled(&format!("{:02}", (age * 7) % 20), age % 3)).collect();
    let index = indexed(&all);
    let acting: Vec<_> = all
        .iter()
        .filter(|object| older_owner(&index, object.metadata.name.as_ref().unwrap()).is_none())
        .collect();
    assert_eq!(acting.len(), 1);
}

#[test]
fn the_oldest_object_of_a_connection_is_found_in_any_order() {
    let records: Vec<_> = [("two", 1), ("one", 0), ("three", 2)]
        .map(|(name, age)| (key(name), Record::of(&scheduled(name, age), key("default"))))
        .into();
    let oldest = |order: [usize; 3]| {
        let found = oldest_by_connection(order.iter().map(|at| (&records[*at].0, &records[*at].1)));
        found.into_iter().map(Key::to_string).collect::<Vec<_>>()
    };
    for order in [[0, 1, 2], [1, 0, 2], [2, 0, 1]] {
        assert_eq!(oldest(order), ["team/one"]);
    }
}
