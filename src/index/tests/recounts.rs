//! Which connections are counted again after a change, and which objects a namespace has.

use super::*;

fn take_changed_counts(index: &Index) -> Vec<String> {
    index.take_changed_counts().iter().map(Key::to_string).collect()
}

#[test]
fn a_connection_is_recounted_only_when_its_counts_may_change() {
    let index = Index::default();
    let mut one = scheduled("one", 0);
    apply(&index, &one);
    assert_eq!(take_changed_counts(&index), ["team/default"]);
    assert_eq!(take_changed_counts(&index), [""; 0], "asked once");
    one.spec.suspend = true;
    apply(&index, &one);
    assert_eq!(take_changed_counts(&index), [""; 0], "its counts are the same");
    one.status.as_mut().unwrap().observed.as_mut().unwrap().mode = "production".to_owned();
    apply(&index, &one);
    assert_eq!(take_changed_counts(&index), ["team/default"]);
    one.spec.connection_ref.name = "other".to_owned();
    apply(&index, &one);
    assert_eq!(
        take_changed_counts(&index),
        ["team/default", "team/other"],
        "it leaves one and joins the other"
    );
    let _ = index.remove(&key("one"));
    assert_eq!(take_changed_counts(&index), ["team/other"]);
}

#[test]
fn the_objects_of_a_namespace_are_found_with_their_connection() {
    let index = Index::default();
    for name in ["team/one", "team/two", "teams/three"] {
        apply(&index, &scheduled(name, 0));
    }
    let mut found = index.in_namespace("team");
    found.sort();
    assert_eq!(found, [(key("one"), key("default")), (key("two"), key("default"))]);
    assert!(index.in_namespace("other").is_empty());
}
