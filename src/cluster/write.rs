//! The writes to Kubernetes: one server-side patch of the status, under the resource version that was decided
//! upon, so that nothing is ever decided on one state and written over another.

use std::{fmt::Debug, time::Duration};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::Listed;
use crate::api::{ConditionType, PlatformConnection, TenantPricing};
use crate::side_effects::{SideEffect, around};

/// The field manager of everything this program writes.
pub const FIELD_MANAGER: &str = "tenant-pricing-controller";

/// A write that takes longer is given up; whether it was stored is then not known.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// After a write that met a newer object, the watch has caught up within so long.
pub const CATCH_UP: Duration = Duration::from_millis(200);

/// What became of a write.
#[derive(Debug)]
pub enum Written<K> {
    /// It is stored; this is the object now.
    Stored(Box<K>),
    /// The object changed since it was read, or is gone: nothing is stored.
    Conflict,
    /// The API server refused it: nothing is stored.
    Refused(kube::Error),
    /// No certain answer: it may be stored or not.
    Unknown(String),
}

/// The kinds whose status is written here.
pub trait OwnConditions {
    /// The conditions that this program sets. Those of other types are somebody else's.
    const OWN: &'static [ConditionType];

    /// How the answer to a write is read.
    type Answer: Clone + Debug + DeserializeOwned + Resource<DynamicType = (), Scope = NamespaceResourceScope>;

    /// The object that was answered, if it can be read.
    fn answered(answer: Self::Answer) -> Option<Self>
    where
        Self: Sized;

    /// The status as it is stored.
    fn stored_status(&self) -> Value;
}

impl OwnConditions for TenantPricing {
    const OWN: &'static [ConditionType] = ConditionType::ALL;

    // Without what is of no use here, which is the larger part: ten thousand of them may be read.
    type Answer = Listed;

    fn answered(answer: Listed) -> Option<Self> {
        answer.object.ok()
    }

    fn stored_status(&self) -> Value {
        json!(self.status)
    }
}

impl OwnConditions for PlatformConnection {
    const OWN: &'static [ConditionType] = ConditionType::OF_CONNECTION;

    type Answer = Self;

    fn answered(answer: Self) -> Option<Self> {
        Some(answer)
    }

    fn stored_status(&self) -> Value {
        json!(self.status)
    }
}

/// Writes the status of `object`, as it was read, if it is still that one. `effect` is what that means for the
/// world outside.
///
/// Conditions that somebody else sets are left out: what is applied is owned, and they could not be removed
/// any more. A status that differs from the stored one in them alone, or in the order of conditions, is not
/// written.
pub async fn write_status<K>(
    client: &Client,
    object: &K,
    status: &impl Serialize,
    effect: SideEffect,
) -> Written<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + OwnConditions + Clone,
{
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<K::Answer> = Api::namespaced(client.clone(), &namespace);
    let name = object.name_any();
    let (status, stored) = (own(json!(status), K::OWN), own(object.stored_status(), K::OWN));
    // Without conditions nothing was written yet.
    let is_written = stored["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    if is_written && in_order(&status) == in_order(&stored) {
        return Written::Stored(Box::new(object.clone()));
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(&patch);
    let write = around(effect, api.patch_status(&name, &parameters, &patch));
    match tokio::time::timeout(WRITE_TIMEOUT, write).await {
        Ok(Ok(answer)) => match K::answered(answer) {
            Some(stored) => Written::Stored(Box::new(stored)),
            None => Written::Unknown("the object in the answer cannot be read".to_owned()),
        },
        Ok(Err(kube::Error::Api(error))) if error.code == 409 || error.code == 404 => Written::Conflict,
        Ok(Err(kube::Error::Api(error))) if (400..500).contains(&error.code) && error.code != 408 => {
            Written::Refused(kube::Error::Api(error))
        }
        Ok(Err(error)) => Written::Unknown(error.to_string()),
        Err(_) => Written::Unknown(format!("no answer within {} s", WRITE_TIMEOUT.as_secs())),
    }
}

/// A status without the conditions that are somebody else's.
fn own(mut status: Value, own: &[ConditionType]) -> Value {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| own.iter().any(|own| condition["type"] == own.as_str()));
    }
    status
}

/// A status with its conditions in the order of their types: theirs depends on who wrote first.
fn in_order(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.sort_by(|left, right| left["type"].as_str().cmp(&right["type"].as_str()));
    }
    status
}
