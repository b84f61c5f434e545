//! Tenants in the admin interface: read, add, change.

use serde_json::{Value, json};

use crate::simulator::{
    admin::request::{Problem, Request, nothing_here, value},
    shared_state::SharedState,
    state::{
        tenant::{TenantError, TenantKind, TenantRecord, TenantSpec},
        tenant_change::TenantChange,
        tenants_file::Customers,
    },
};

/// Whether the mode of the tenant matters.
pub(crate) fn is_billed(tenant: &TenantRecord) -> bool {
    tenant.kind == TenantKind::Customer && tenant.deleted_at.is_none()
}

pub(crate) fn route(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    match (request.segments.as_slice(), request.method.as_str()) {
        (["tenants"], "GET") => list(shared, request),
        (["tenants"], "POST") => add(shared, request),
        (["tenants", id], "GET") => one(shared, id),
        (["tenants", id], "PUT") => {
            let spec = TenantSpec { id: Some((*id).to_owned()), ..request.json()? };
            shared.state().add_tenant(spec).map_err(|error| refused(&error))?;
            one(shared, id)
        }
        (["tenants", id], "PATCH") => change(shared, id, request.json()?),
        (["tenants", id], "DELETE") => {
            change(shared, id, TenantChange { deleted: Some(true), ..TenantChange::default() })
        }
        _ => Err(nothing_here(request)),
    }
}

fn refused(error: &TenantError) -> Problem {
    let status = if matches!(error, TenantError::DuplicateId(_)) { 409 } else { 400 };
    Problem(status, error.to_string())
}

fn list(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    request.only_arguments(&["name", "mode"])?;
    let name = request.argument("name");
    let mode = request.argument("mode");
    let mut state = shared.state();
    let now = state.now();
    let wanted = |tenant: &&TenantRecord| {
        name.is_none_or(|name| tenant.name == name) && mode.is_none_or(|mode| tenant.pricing.mode == mode)
    };
    value(&state.tenants.all(now).filter(wanted).collect::<Vec<_>>())
}

fn one(shared: &SharedState, id: &str) -> Result<Value, Problem> {
    let mut state = shared.state();
    let now = state.now();
    state.tenants.get(id, now).map_or_else(|| Err(unknown(id)), value)
}

fn unknown(id: &str) -> Problem {
    Problem(404, format!("there is no tenant {id}; GET /simulator/tenants?name=NAME finds its id"))
}

fn add(shared: &SharedState, request: &Request<'_>) -> Result<Value, Problem> {
    let bulk = request.json::<Value>()?.get("count").is_some();
    let specs: Vec<TenantSpec> = if bulk {
        let customers: Customers = request.json()?;
        if customers.count > Customers::MAX {
            return Err(Problem::bad(format!("count: {} is more than {}", customers.count, Customers::MAX)));
        }
        customers.specs().collect()
    } else {
        request.one_or_many()?
    };
    let ids = shared.state().add_tenants(specs).map_err(|(place, error)| {
        let Problem(status, text) = refused(&error);
        Problem(status, format!("tenant {place}: {text}; none was added"))
    })?;
    Ok(json!({ "ids": ids }))
}

fn change(shared: &SharedState, id: &str, change: TenantChange) -> Result<Value, Problem> {
    let mut state = shared.state();
    let now = state.now();
    if let Some(parent) = &change.parent_id
        && state.tenants.get(parent, now).is_none()
    {
        return Err(Problem::bad(format!("parentId: there is no tenant {parent}")));
    }
    let found = state.tenants.update(id, now, |tenant| change.apply(tenant, now));
    drop(state);
    found.map_or_else(|| Err(unknown(id)), |()| one(shared, id))
}
