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
    for stored in record.versions.iter().filter(|stored| stored.kind == "tenantpricings") {
        let Some(object) = &stored.object else { continue };
        let mut found = Vec::new();
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
                found.extend(invariants::check(&parsed));
                if let Some(was) = before.insert(uid, status.clone()) {
                    found.extend(invariants::check_step(&was, &status));
                }
            }
            Err(error) => found.push(error.to_string()),
        }
        let (name, revision) = (&stored.name, stored.revision);
        faults.extend(found.into_iter().map(|fault| format!("{name}, version {revision}: {fault}")));
    }
    faults
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
