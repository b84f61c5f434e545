//! What the completed journal of an object says to the other objects of its tenant.

use super::*;
use crate::{api::SwitchedBy, pricing::facts::AttemptOutcome};

/// An object whose switch this controller has made.
fn switched() -> TenantPricing {
    let open = Scene::new().pricing("trial").announced("attempt-1");
    let done = open.outcome(AttemptOutcome::Unknown(std::time::Duration::ZERO)).mode("production").stored();
    let journal = done.journal().unwrap();
    assert_eq!((journal.phase, journal.by), (Phase::Completed, Some(SwitchedBy::Controller)));
    object(done, "older", 0)
}

fn sibling_completed(index: &Index) -> Option<String> {
    let other = index.sibling_completed(&key("younger"), &tenant())?;
    assert_eq!(other.announced, Some(instant(NOW)));
    Some(other.object.to_string())
}

fn edited(object: &TenantPricing, edit: impl FnOnce(&mut crate::api::Journal)) -> TenantPricing {
    let mut edited = object.clone();
    edit(edited.status.as_mut().unwrap().switch.as_mut().unwrap());
    edited
}

#[test]
fn a_switch_of_this_controller_is_known_to_the_others() {
    let (index, switched) = (Index::default(), switched());
    apply(&index, &scheduled("younger", 1));
    assert_eq!(sibling_completed(&index), None);
    apply(&index, &switched);
    assert_eq!(sibling_completed(&index).as_deref(), Some("team/older"));
    let own = index.sibling_completed(&key("older"), &tenant());
    assert_eq!(own, None, "the object's own record is no record of another object");
    let mut suspended = switched.clone();
    suspended.spec.suspend = true;
    apply(&index, &suspended);
    assert_eq!(sibling_completed(&index).as_deref(), Some("team/older"), "whatever its spec asks for");
    _ = index.remove(&key("older"));
    assert_eq!(sibling_completed(&index), None, "to delete it is the way to request a new switch");
}

#[test]
fn a_record_counts_only_on_its_platform_and_if_ours() {
    for other in [
        edited(&switched(), |journal| journal.platform = Some("https://us5-cloud.acronis.com".to_owned())),
        edited(&switched(), |journal| journal.platform = None),
        edited(&switched(), |journal| journal.by = Some(SwitchedBy::Platform)),
        edited(&switched(), |journal| journal.by = None),
    ] {
        let index = Index::default();
        apply(&index, &other);
        assert_eq!(index.sibling_completed(&key("younger"), &tenant()), None, "{other:#?}");
    }
}

/// The watch may show the object from before its attempt, and others may have wiped the status.
#[test]
fn a_completion_is_known_before_the_watch_delivers_it() {
    let (index, before, switched) = (Index::default(), scheduled("older", 0), switched());
    apply(&index, &before);
    let status = switched.status.clone().unwrap();
    let another = object(Scene::new(), "another", 0);
    index.record_completion(&another, &status);
    assert_eq!(index.sibling_completed(&key("younger"), &tenant()), None, "that object is not known");
    index.record_completion(&before, before.status.as_ref().unwrap());
    assert_eq!(index.sibling_completed(&key("younger"), &tenant()), None, "nothing is completed");
    index.record_completion(&before, &status);
    let is_known = || index.sibling_completed(&key("younger"), &tenant()).is_some();
    assert!(is_known());
    let mut wiped = before.clone();
    wiped.status.as_mut().unwrap().switch = None;
    for late in [&before, &wiped, &switched, &wiped] {
        apply(&index, late);
        assert!(is_known());
    }
    let mut created_again = before.clone();
    created_again.metadata.uid = Some("another-uid".to_owned());
    apply(&index, &created_again);
    assert!(!is_known(), "a recreated object is a new request");
}

/// A status that another writer forged is restored at once. It leaves nothing behind.
#[test]
fn a_record_that_this_process_did_not_make_goes_with_it() {
    let (index, switched) = (Index::default(), switched());
    apply(&index, &switched);
    assert!(sibling_completed(&index).is_some());
    apply(&index, &scheduled("older", 0));
    assert_eq!(sibling_completed(&index), None);
}
