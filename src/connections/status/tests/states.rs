//! The connections of every state are kept for the tests of GitOps tools.

use super::*;
use crate::testing::states::States;

#[test]
fn the_golden_file_has_a_connection_in_every_state() {
    let mut states = States::default();
    states.add(&PlatformConnection { status: Some(PlatformConnectionStatus::default()), ..connection() });
    let mut tried = everything();
    for reason in [ConnectionReason::SelectorInvalid, ConnectionReason::ConfigurationInvalid] {
        tried.push(CheckResult::Unusable(reason, "spec: it cannot be used.".to_owned()));
    }
    for tried in tried {
        let mut stored = stored(connection(), &tried, NOW);
        states.add(&stored);
        stored.metadata.generation = Some(5);
        states.add(&stored);
    }
    let mut deleted = serde_json::json!(stored(connection(), &accepted(), NOW));
    deleted["metadata"]["deletionTimestamp"] = serde_json::json!(NOW);
    states.add_as("being-deleted".to_owned(), deleted);
    // The golden file of `reconcile::unreadable` has the other one.
    let others = ConnectionReason::ALL.iter().filter(|reason| **reason != ConnectionReason::Unreadable);
    let missing: Vec<_> = others.filter(|reason| !states.have(reason.as_str())).collect();
    assert!(missing.is_empty(), "no result leads to {missing:?}");
    states.compare("platformconnections");
}
