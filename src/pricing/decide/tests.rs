//! Tests of the rules: at least one case for each, then what they do together.

mod errors;
mod every_rule;
mod exhaustive;
mod modes;
mod open_entry;
mod order;
mod outage;
mod queue;
mod schedule;
mod words;

use super::*;
use crate::{
    connections::ConnectionProblem,
    platform::ErrorClass,
    pricing::facts::{Access, AttemptOutcome, Connection, Proof, TenantRead},
    testing::fixtures::*,
};

const PRODUCTION: Option<DesiredMode> = Some(DesiredMode::Production);
const TRIAL: Option<DesiredMode> = Some(DesiredMode::Trial);

/// An object whose switch was announced, with an unknown outcome.
fn in_flight() -> Scene {
    Scene::new().pricing("trial").announced("attempt-1")
}

/// An object whose switch waits for the first of the month.
fn scheduled() -> Scene {
    let scene = Scene::new().at(crate::api::SwitchAt::MonthStart).stored();
    assert_eq!(scene.journal().map(|journal| journal.phase), Some(Phase::Scheduled));
    scene
}

/// An object whose tenant is in production, as requested.
fn in_sync() -> Scene {
    Scene::new().mode("production").stored()
}

/// An open connection to another platform.
fn other_platform() -> Access {
    Access::Open(Connection {
        key: "team/other".to_owned(),
        origin: crate::platform::Origin::parse("https://us5-cloud.acronis.com").unwrap(),
        switch_at: crate::api::SwitchAt::Immediately,
    })
}

fn unusable() -> Access {
    Access::Unusable(ConnectionProblem::Suspended)
}

fn is_switch(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Switch { .. })
}
