//! The status of an object that this version cannot read, as JSON.
//!
//! A newer version may have written it, so only the conditions of the controller change.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{ConditionStatus, ConditionType};

/// The status of a stored object, at this time.
pub(crate) struct RawStatus<'a> {
    status: &'a Value,
    generation: Option<i64>,
    now: Timestamp,
}

impl<'a> RawStatus<'a> {
    /// The status of this object.
    pub(crate) fn of(object: &'a DynamicObject, now: Timestamp) -> Self {
        Self { status: &object.data["status"], generation: object.metadata.generation, now }
    }

    /// The stored condition of a type.
    pub(crate) fn find(&self, kind: ConditionType) -> Option<&'a Value> {
        let conditions = self.status["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind.as_str())
    }

    /// A condition for the present generation. Its time stays if its status does.
    pub(crate) fn condition(
        &self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: &str,
        message: &str,
    ) -> Value {
        let same = self.find(kind).filter(|condition| condition["status"] == status.as_str());
        let since =
            same.map_or_else(|| json!(Time(self.now)), |condition| condition["lastTransitionTime"].clone());
        json!({
            "type": kind.as_str(), "status": status.as_str(), "reason": reason, "message": message,
            "observedGeneration": self.generation, "lastTransitionTime": since,
        })
    }

    /// The fields to write so that the controller's conditions are these, or `None` if they are. The conditions of
    /// others stay. `S` is the type of the status: one that it cannot read keeps its observed generation.
    pub(crate) fn with_conditions<S: DeserializeOwned>(&self, own: Vec<Value>) -> Option<Value> {
        let is_own =
            |condition: &&Value| ConditionType::ALL.iter().any(|own| condition["type"] == own.as_str());
        let before = self.status["conditions"].as_array().cloned().unwrap_or_default();
        let mut conditions = own;
        conditions.extend(before.iter().filter(|condition| !is_own(condition)).cloned());
        let by_type = |mut conditions: Vec<Value>| {
            conditions.sort_by_key(|condition| condition["type"].as_str().map(str::to_owned));
            conditions
        };
        if by_type(before) == by_type(conditions.clone()) {
            return None;
        }
        let mut fields = json!({"conditions": conditions});
        if serde_json::from_value::<Option<S>>(self.status.clone()).is_ok() {
            fields["observedGeneration"] = json!(self.generation);
        }
        Some(fields)
    }
}
