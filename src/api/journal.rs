//! The journal of the one switch: the part of the status that ensures that the switch happens at most once.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The journal of the one switch from trial to production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// The phase of the switch.
    ///
    /// `Scheduled`: the switch waits for its time or for admission, and can be cancelled.
    ///
    /// `InFlight`: the request may be on its way. It cannot be taken back until its outcome is known.
    ///
    /// `Completed`: the tenant is in production.
    pub phase: Phase,

    /// The time before which nothing is sent. Fixed once for each generation of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_for: Option<Time>,

    /// When the last request to the platform was announced here, which is always before it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_at: Option<Time>,

    /// The generation of the object that asked for the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_generation: Option<i64>,

    /// The number of attempts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,

    /// A random id of the attempt, new for every attempt. It distinguishes the entries of two replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub attempt_id: Option<String>,

    /// The origin of the platform. An attempt that began there is resolved there and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub platform: Option<String>,

    /// The connection of the attempt, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub connection: Option<String>,

    /// When the platform answered that it accepts the request, if the tenant did not show production then.
    ///
    /// Such an entry is `InFlight` until the tenant shows production. No timeout closes it, no second request follows
    /// it, and `mode` cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Time>,

    /// When the switch was done: the date that the platform reports, if that date can be the date of this switch. It
    /// decides the month on the bill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,

    /// Who did the switch: the `Controller`, or the `Platform` if the tenant was found switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SwitchedBy")]
    pub by: Option<SwitchedBy>,

    /// The field manager that owned `spec.mode` when the attempt was announced. Each client chooses this name, so it is
    /// a claim and no proof. The audit log of the API server says who sent the edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub requested_by: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
fn is_zero(attempts: &u32) -> bool {
    *attempts == 0
}

/// The phase of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The switch waits for its time or for admission. It can be cancelled.
    Scheduled,
    /// The request may be on its way. It cannot be taken back until its outcome is known.
    InFlight,
    /// The tenant is in production.
    Completed,
}

/// Who switched a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SwitchedBy {
    /// This controller.
    Controller,
    /// The platform, or somebody in its console: the tenant was found switched.
    Platform,
}
