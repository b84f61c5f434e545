//! `GET /search`: tenants and users by word prefixes.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::simulator::{
    answer::Answer,
    faults::action::FaultAction,
    http::{call::Call, context::Context},
    state::{
        tenant::{TenantKind, TenantRecord},
        tenant_store::words,
    },
};

const MIN_TEXT_CHARS: usize = 3;
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 300;

/// Finds tenants and users below a tenant.
///
/// Every customer has an administrator whose last name is the customer's, so each hit includes a user. Tenants that
/// shut their parents out are skipped, and so are their users.
pub(crate) fn search(context: &mut Context<'_>, call: &Call) -> Result<Answer, Answer> {
    let Some(root) = call.argument("tenant").map(str::to_owned) else {
        return Err(context.refuse(400, 400, "tenant: is missing"));
    };
    let text = call.argument("text").unwrap_or_default();
    if text.chars().count() < MIN_TEXT_CHARS {
        return Err(context.refuse(400, 400, "text: is shorter than 3 characters"));
    }
    let limit = match call.argument("limit").map(str::parse) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
        Some(_) => return Err(context.refuse(400, 400, "limit: is not a number from 1 to 300")),
    };
    let allow_deleted = call.flag("allow_deleted")?;
    context.visible_tenant(&root, false)?;
    let lag = context.habits.find(None, |action| match action {
        FaultAction::SearchLag { seconds } => Some(SignedDuration::from_secs(i64::from(*seconds))),
        _ => None,
    });
    let known_since = lag.and_then(|lag| context.now.checked_sub(lag).ok());

    let prefixes: Vec<String> = words(text).split_whitespace().map(|word| format!(" {word}")).collect();
    let mut items = Vec::new();
    // A text without a single letter or digit finds nothing.
    let found = context.tenants.with_words(&prefixes).filter(|_| !prefixes.is_empty());
    for tenant in found {
        let visible = tenant.ancestral_access
            && (allow_deleted || tenant.deleted_at.is_none())
            && known_since.is_none_or(|since| tenant.created_at <= since)
            && context.tenants.is_below(&tenant.id, &root)
            && context.sees(tenant);
        if !visible {
            continue;
        }
        let path = path(context, tenant);
        if tenant.kind == TenantKind::Customer {
            items.push(administrator(tenant, &path));
        }
        items.push(hit(tenant, &path));
        if items.len() >= limit {
            break;
        }
    }
    items.truncate(limit);
    Ok(Answer::ok(json!({ "items": items })))
}

/// The names from the caller's tenant down to the one above this one.
fn path(context: &Context<'_>, tenant: &TenantRecord) -> Vec<String> {
    let above = context.tenants.ancestors(&tenant.id).map(|above| above.name.clone());
    let mut names: Vec<String> = above.collect();
    names.reverse();
    names
}

fn hit(tenant: &TenantRecord, path: &[String]) -> Value {
    json!({
        "obj_type": "tenant",
        "id": tenant.id,
        "parent_id": tenant.parent_id,
        "path": path,
        "kind": tenant.kind,
        "name": tenant.name,
        "deleted_at": tenant.deleted_at.map(|at| crate::simulator::times::TimeFormat::NoZone.write(at)),
    })
}

fn administrator(tenant: &TenantRecord, path: &[String]) -> Value {
    // The tenant's id with another first group of digits: stable, and the id of no tenant.
    let id = format!("ffffffff{}", &tenant.id[8..]);
    json!({
        "obj_type": "user",
        "id": id,
        "parent_id": tenant.id,
        "path": path,
        "login": format!("admin@{}", &tenant.id[..8]),
        "name": tenant.name,
        "first_name": "Administrator",
        "last_name": tenant.name,
        "deleted_at": null,
    })
}
