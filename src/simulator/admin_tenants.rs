//! Tenants in the simulator's own interface: looking, adding, changing.

use serde_json::{Value, json};

use super::admin::{Problem, Request, nothing_here, value};
use super::core::Core;
use super::tenant_change::TenantChange;
use super::tenants::{TenantError, TenantKind, TenantRecord, TenantSpec};
use super::tenants_file::Customers;

/// Whether the tenant is one whose mode matters.
pub(super) fn is_billed(tenant: &TenantRecord) -> bool {
    tenant.kind == TenantKind::Customer && tenant.deleted_at.is_none()
}

pub(super) fn route(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
    match (request.segments.as_slice(), request.method.as_str()) {
        (["tenants"], "GET") => list(core, request),
        (["tenants"], "POST") => add(core, request),
        (["tenants", id], "GET") => one(core, id),
        (["tenants", id], "PUT") => {
            let spec = TenantSpec { id: Some((*id).to_owned()), ..request.json()? };
            core.state().add_tenant(spec).map_err(|error| refused(&error))?;
            one(core, id)
        }
        (["tenants", id], "PATCH") => change(core, id, request.json()?),
        (["tenants", id], "DELETE") => {
            change(core, id, TenantChange { deleted: Some(true), ..TenantChange::default() })
        }
        _ => Err(nothing_here(request)),
    }
}

fn refused(error: &TenantError) -> Problem {
    let status = if matches!(error, TenantError::DuplicateId(_)) { 409 } else { 400 };
    Problem(status, error.to_string())
}

fn list(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
    request.only_arguments(&["name", "mode"])?;
    let name = request.argument("name");
    let mode = request.argument("mode");
    let mut state = core.state();
    let now = state.now();
    let wanted = |tenant: &&TenantRecord| {
        name.is_none_or(|name| tenant.name == name) && mode.is_none_or(|mode| tenant.pricing.mode == mode)
    };
    value(&state.tenants.all(now).filter(wanted).collect::<Vec<_>>())
}

fn one(core: &Core, id: &str) -> Result<Value, Problem> {
    let mut state = core.state();
    let now = state.now();
    state.tenants.get(id, now).map_or_else(|| Err(unknown(id)), value)
}

fn unknown(id: &str) -> Problem {
    Problem(404, format!("there is no tenant {id}; GET /simulator/tenants?name=NAME finds its id"))
}

fn add(core: &Core, request: &Request<'_>) -> Result<Value, Problem> {
    let bulk = request.json::<Value>()?.get("count").is_some();
    let specs: Vec<TenantSpec> = if bulk {
        let customers: Customers = request.json()?;
        if customers.count > Customers::MOST {
            return Err(Problem::bad(format!("count: {} is more than {}", customers.count, Customers::MOST)));
        }
        customers.specs().collect()
    } else {
        request.one_or_many()?
    };
    let ids = core.state().add_tenants(specs).map_err(|(place, error)| {
        let Problem(status, text) = refused(&error);
        Problem(status, format!("tenant {place}: {text}; none was added"))
    })?;
    Ok(json!({ "ids": ids }))
}

fn change(core: &Core, id: &str, change: TenantChange) -> Result<Value, Problem> {
    let mut state = core.state();
    let now = state.now();
    if let Some(parent) = &change.parent_id
        && state.tenants.get(parent, now).is_none()
    {
        return Err(Problem::bad(format!("parentId: there is no tenant {parent}")));
    }
    let found = state.tenants.update(id, now, |tenant| change.apply(tenant, now));
    drop(state);
    found.map_or_else(|| Err(unknown(id)), |()| one(core, id))
}
