//! Messages are whole sentences that a person can act on.

use super::*;
use crate::testing::all_cases::every_scene;

/// The faults of a message. Empty if it reads well.
fn faults(message: &str) -> Vec<&'static str> {
    [
        (message.trim() != message, "blanks at an end"),
        (message.contains("  "), "two blanks"),
        (message.contains(['\n', '\t']), "a line break"),
        (message.contains(".."), "two full stops"),
        (!message.ends_with('.'), "no full stop at the end"),
        (message.contains("\"\"") || message.contains("Some("), "something that is missing"),
        (message.len() > 700, "too long to be read"),
        (!message.starts_with(|first: char| first.is_alphanumeric()), "no first word"),
    ]
    .into_iter()
    .filter_map(|(wrong, what)| wrong.then_some(what))
    .collect()
}

#[test]
fn every_message_reads_well() {
    for scene in every_scene() {
        let decision = scene.decide();
        if decision.verdict != Verdict::Unchanged {
            assert_eq!(faults(&decision.message), Vec::<&str>::new(), "{:?}", decision.message);
        }
    }
}

#[test]
fn what_stalls_says_what_to_do() {
    const WAYS_OUT: &[&str] = &[
        "Ask ",
        "Correct ",
        "Create ",
        "Delete ",
        "Enable ",
        "Give ",
        "Have ",
        "Look for ",
        "Name ",
        "Point ",
        "Put ",
        "Resolve ",
        "Restore ",
        "Say ",
        "Set ",
        "re-read",
        "write it",
        "again",
    ];
    for scene in every_scene() {
        let decision = scene.decide();
        if matches!(decision.verdict, Verdict::Stalled(_)) {
            let message = &decision.message;
            assert!(WAYS_OUT.iter().any(|way_out| message.contains(way_out)), "no way out: {message}");
        }
    }
}

#[test]
fn a_connection_that_is_at_fault_is_named() {
    for access in [Access::NotFound, Access::Forbidden, Access::NotAllowed, Access::Undecided, unusable()] {
        let message = Scene::new().access(access).decide().message;
        assert!(message.contains("PlatformConnection team/default"), "{message}");
    }
}

#[test]
fn what_bills_names_the_month() {
    assert!(Scene::new().decide().message.contains("November 2026"));
    assert!(scheduled().decide().message.contains("December 2026"));
    assert!(in_flight().mode("production").decide().message.contains("November 2026"));
    assert!(scheduled().mode("production").decide().message.contains("November 2026"));
    let trial = Scene::new().desired(TRIAL).decide();
    assert!(trial.message.contains("Nothing is billed"), "{}", trial.message);
}
