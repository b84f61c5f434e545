//! The objects of every state are kept for the tests of GitOps tools.

use std::collections::HashSet;

use super::*;
use crate::{
    api::{ReadyReason, ReconcilingReason, StalledReason},
    testing::{all_cases::stored_objects, states::States},
};

#[test]
fn the_golden_file_has_an_object_in_every_state() {
    let mut states = States::default();
    for scene in stored_objects() {
        states.add(&scene.object);
    }
    // To make JSON of each of the many would take long.
    let mut known = HashSet::new();
    for scene in every_scene() {
        let next = written(&scene);
        let is_outdated = Some(next.observed_generation) != scene.object.metadata.generation;
        let words = |condition: &Condition| {
            [&condition.type_, &condition.status, &condition.reason].map(Clone::clone)
        };
        if known.insert((is_outdated, next.conditions.iter().map(words).collect::<Vec<_>>())) {
            states.add(&scene.with_stored(&next).object);
        }
    }
    let mut deleted = json!(Scene::new().mode("production").stored().object);
    deleted["metadata"]["deletionTimestamp"] = json!(NOW);
    states.add_as("being-deleted".to_owned(), deleted);
    let mut reasons: Vec<String> = ReadyReason::ALL.iter().map(ToString::to_string).collect();
    reasons.extend(ReconcilingReason::ALL.iter().map(ToString::to_string));
    // The golden file of `reconcile::unreadable` has the other one.
    let stalled = StalledReason::ALL.iter().filter(|reason| **reason != StalledReason::Unreadable);
    reasons.extend(stalled.map(ToString::to_string));
    let missing: Vec<_> = reasons.iter().filter(|reason| !states.have(reason)).collect();
    assert!(missing.is_empty(), "no scene leads to {missing:?}");
    states.compare("tenantpricings");
}
