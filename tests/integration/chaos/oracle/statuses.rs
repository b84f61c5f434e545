//! Every status that was ever stored is sound, and so is every step from one to the next; nothing holds an object
//! back from being deleted.

use std::collections::BTreeMap;

use tenant_pricing_controller::api::{TenantPricing, TenantPricingStatus, invariants};

use super::Record;

pub fn faults(record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    let mut before: BTreeMap<String, TenantPricingStatus> = BTreeMap::new();
    for stored in record.versions.iter().filter(|stored| stored.kind == "tenantpricings") {
        let Some(object) = &stored.object else { continue };
        let mut found = Vec::new();
        if object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty()) {
            found.push("has a finalizer".to_owned());
        }
        match serde_json::from_value::<TenantPricing>(object.clone()) {
            Ok(parsed) => {
                found.extend(invariants::check(&parsed));
                let status = parsed.status.unwrap_or_default();
                let uid = parsed.metadata.uid.unwrap_or_default();
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
