//! Every status that was ever stored is sound, and so is every step from one to the next; nothing holds an object
//! back from being deleted.
//!
//! What another program wrote is its own business, until a controller writes over it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenant_pricing_controller::api::{ConditionType, TenantPricing, TenantPricingStatus, invariants};

use super::Record;
use crate::chaos::action::{DRILL, MARK};

pub fn faults(record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    let mut before: BTreeMap<String, TenantPricingStatus> = BTreeMap::new();
    let mut foreign: BTreeMap<String, Foreign> = BTreeMap::new();
    // A version over which the same controller may write at once, and the faults if it does not.
    let mut pending: BTreeMap<String, (Value, Vec<String>)> = BTreeMap::new();
    for stored in record.versions.iter().filter(|stored| stored.kind == "tenantpricings") {
        let Some(object) = &stored.object else { continue };
        let mut found = Vec::new();
        let mut left_behind = None;
        let in_version = |fault: String| format!("{}, version {}: {fault}", stored.name, stored.revision);
        if object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty()) {
            found.push("has a finalizer".to_owned());
        }
        match serde_json::from_value::<TenantPricing>(object.clone()) {
            Ok(parsed) => {
                let status = parsed.status.clone().unwrap_or_default();
                let uid = parsed.metadata.uid.clone().unwrap_or_default();
                if foreign.entry(uid.clone()).or_default().is_foreign(&status) {
                    // A controller that does not remember what stood here begins from this.
                    before.remove(&uid);
                    continue;
                }
                // A controller may take two writes where another program has written before.
                if let Some((earlier, faults_of_it)) = pending.remove(&uid)
                    && !is_rest_of(&own(&status), &earlier)
                {
                    faults.extend(faults_of_it);
                }
                let was = before.insert(uid.clone(), status.clone());
                let of_step = was.map(|was| invariants::check_step(&was, &status)).unwrap_or_default();
                found.extend(invariants::check(&parsed).into_iter().chain(of_step.clone()));
                if foreign.get(&uid).is_some_and(|foreign| foreign.mark.is_some()) {
                    // The second write may be lost. Then the controller answers for the conditions that it owns.
                    let owned = invariants::check(&with_owned_conditions(parsed, object));
                    let faults = owned.into_iter().chain(of_step).map(in_version).collect();
                    left_behind = Some((uid, own(&status), faults));
                }
            }
            Err(error) => found.push(error.to_string()),
        }
        match left_behind {
            Some((uid, own, faults)) if !found.is_empty() => drop(pending.insert(uid, (own, faults))),
            _ => faults.extend(found.into_iter().map(in_version)),
        }
    }
    faults.extend(pending.into_values().flat_map(|(_, faults)| faults));
    faults
}

/// An object without the conditions that its last apply did not set. Server-side apply leaves them where they are, if
/// another manager owns them, or if the controller set them by a merge patch before.
fn with_owned_conditions(mut parsed: TenantPricing, object: &Value) -> TenantPricing {
    let managers = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let is_apply =
        |entry: &&Value| entry["manager"] == "tenant-pricing-controller" && entry["operation"] == "Apply";
    let ours: Vec<_> = managers.filter(is_apply).collect();
    let is_owned = |kind: &str| {
        let key = format!("k:{}", json!({"type": kind}));
        ours.iter().any(|entry| entry["fieldsV1"]["f:status"]["f:conditions"].get(&key).is_some())
    };
    if let Some(status) = &mut parsed.status {
        status.conditions.retain(|condition| is_owned(&condition.type_));
    }
    parsed
}

/// Whether a status is an earlier one but for conditions that have gone since.
fn is_rest_of(status: &Value, earlier: &Value) -> bool {
    let without_conditions = |status: &Value| {
        let mut status = status.clone();
        let conditions = status["conditions"].take();
        (status, conditions.as_array().cloned().unwrap_or_default())
    };
    let ((rest, conditions), (whole, before)) = (without_conditions(status), without_conditions(earlier));
    rest == whole && conditions.iter().all(|condition| before.contains(condition))
}

/// What other programs wrote of an object's status.
#[derive(Default)]
struct Foreign {
    mark: Option<String>,
    /// What they left of the controller's part, until a controller writes it.
    left: Option<Value>,
}

impl Foreign {
    /// Whether this status, stored after those before, is what another program wrote.
    fn is_foreign(&mut self, status: &TenantPricingStatus) -> bool {
        let mark = status.conditions.iter().find(|condition| condition.type_ == MARK);
        let mark = mark.map(|condition| condition.message.clone());
        let own = own(status);
        if mark.is_some() && mark != self.mark {
            self.mark = mark;
            self.left = Some(own);
            return true;
        }
        // A controller may write twice to remove what another program owns.
        let is_drill = status.conditions.iter().any(|condition| condition.reason == DRILL);
        if self.left.as_ref() != Some(&own) && !is_drill {
            self.left = None;
        }
        self.left.is_some()
    }
}

/// The controller's part of a status.
fn own(status: &TenantPricingStatus) -> Value {
    let is_own = |kind: &str| ConditionType::ALL.iter().any(|own| own.as_str() == kind);
    let mut status = status.clone();
    status.conditions.retain(|condition| is_own(&condition.type_));
    status.conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
    json!(status)
}
