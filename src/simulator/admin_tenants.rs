//! Tenants in the simulator's own interface: looking, adding, changing.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::admin::{Problem, Request, nothing_here, value};
use super::core::Core;
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
        (["tenants", id], "DELETE") => change(core, id, Change { deleted: Some(true), ..Change::default() }),
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

/// The fields to change. Where null means something, a field left out means something else.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(clippy::option_option)]
struct Change {
    name: Option<String>,
    kind: Option<TenantKind>,
    parent_id: Option<String>,
    enabled: Option<bool>,
    mode: Option<String>,
    #[serde(deserialize_with = "given")]
    currency: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    production_start_date: Option<Option<Timestamp>>,
    #[serde(deserialize_with = "given")]
    locked_by: Option<Option<String>>,
    deprovisioning: Option<bool>,
    parent_disabled: Option<bool>,
    ancestral_access: Option<bool>,
    hidden: Option<bool>,
    deleted: Option<bool>,
}

#[allow(clippy::option_option)]
fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

fn change(core: &Core, id: &str, change: Change) -> Result<Value, Problem> {
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

impl Change {
    fn apply(self, tenant: &mut TenantRecord, now: Timestamp) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut tenant.name, self.name);
        set(&mut tenant.kind, self.kind);
        set(&mut tenant.parent_id, self.parent_id);
        set(&mut tenant.enabled, self.enabled);
        set(&mut tenant.pricing.mode, self.mode);
        set(&mut tenant.pricing.currency, self.currency);
        set(&mut tenant.pricing.production_start_date, self.production_start_date);
        set(&mut tenant.locked_by, self.locked_by);
        set(&mut tenant.deprovisioning, self.deprovisioning);
        set(&mut tenant.parent_disabled, self.parent_disabled);
        set(&mut tenant.ancestral_access, self.ancestral_access);
        set(&mut tenant.hidden, self.hidden);
        if let Some(deleted) = self.deleted {
            tenant.deleted_at = deleted.then(|| tenant.deleted_at.unwrap_or(now));
        }
    }
}
