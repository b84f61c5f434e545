//! A tenant in the API's three levels of detail.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::simulator::{
    faults::action::FaultAction,
    http::{context::Context, routes::pricing},
    state::tenant::TenantRecord,
};

/// How much of a tenant is shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Detail {
    Stamps,
    Basic,
    Full,
}

const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Shows a tenant with every field that the contract requires at this level.
pub(crate) fn item(context: &mut Context<'_>, tenant: &TenantRecord, detail: Detail) -> Value {
    let id = Some(tenant.id.as_str());
    let created_at = context.time(id, tenant.created_at);
    let updated_at = context.time(id, tenant.updated_at);
    let deleted_at = tenant.deleted_at.map(|at| context.time(id, at));
    let mut item = json!({
        "id": tenant.id,
        "parent_id": tenant.parent_id,
        "version": tenant.version,
        "created_at": created_at,
        "updated_at": updated_at,
        "deleted_at": deleted_at,
        "contacts": [],
        "offering_items": [],
    });
    if detail == Detail::Stamps {
        return item;
    }
    item["name"] = json!(tenant.name);
    item["kind"] = json!(tenant.kind);
    item["enabled"] = json!(tenant.enabled);
    if detail == Detail::Basic {
        return item;
    }
    let pricing = pricing::shown(context, tenant);
    let production_start_date = pricing.production_start_date.map(|at| context.time(id, at));
    let rest = json!({
        "customer_type": "default",
        "customer_id": null,
        "brand_id": null,
        "brand_uuid": NO_ID,
        "brand_enabled": false,
        "barrier": 0,
        "internal_tag": null,
        "language": "en",
        "owner_id": null,
        "has_children": !context.tenants.children(&tenant.id).is_empty(),
        "default_idp_id": NO_ID,
        "update_lock": {"enabled": tenant.locked_by.is_some(), "owner_id": tenant.locked_by},
        "ancestral_access": tenant.ancestral_access,
        "mfa_status": "disabled",
        "pricing_mode": pricing.mode,
        "contact": {
            "id": NO_ID,
            "created_at": created_at,
            "updated_at": updated_at,
            "types": [],
            "email": "",
            "firstname": null,
            "lastname": null,
        },
        "external_operation_status": tenant.deprovisioning.then_some("deleting"),
        "production_start_date": production_start_date,
    });
    if let (Some(item), Value::Object(rest)) = (item.as_object_mut(), rest) {
        item.extend(rest);
        if context.habits.has(id, &FaultAction::HidePricingMode) {
            item.remove("pricing_mode");
        }
    }
    item
}
