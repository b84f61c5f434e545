//! The facts that a command works out from manifests and stored objects, for the rules of the controller. Pure.

use jiff::Timestamp;

use crate::{
    api::{PlatformConnection, TenantPricing},
    cluster::Key,
    connections::{Admission, ConnectionProblem},
    platform::{Mode, Origin, Tenant, TenantId, TenantKind},
    pricing::facts::{Access, Connection, Seen},
};

/// The access of an object through a connection, given whether the connection admits it.
pub(crate) fn access(connection: &PlatformConnection, admission: Admission) -> Access {
    match admission {
        Admission::Refused => return Access::NotAllowed,
        Admission::Undecided => return Access::Undecided,
        Admission::Admitted => {}
    }
    if connection.spec.suspend {
        return Access::Unusable(ConnectionProblem::Suspended);
    }
    match Origin::parse(&connection.spec.url) {
        Err(error) => Access::Unusable(ConnectionProblem::Url(format!("spec.url: {error}."))),
        Ok(origin) => Access::Open(Connection {
            key: Key::of(connection).to_string(),
            origin,
            switch_at: connection.spec.switch.at,
        }),
    }
}

/// A tenant, when nothing else is known about it. The rest is assumed so that a switch is possible: the tenant is a
/// customer, enabled, not deleted and not locked. `date` is the platform's clock.
pub(crate) fn assumed(id: TenantId, name: String, mode: Mode, date: Timestamp) -> Seen {
    let tenant = Tenant {
        id,
        name,
        kind: TenantKind::Customer,
        enabled: true,
        deleted: false,
        parent_id: None,
        mode,
        lock: None,
        production_start: None,
    };
    Seen { tenant, pricing: None, date: Some(date), locked_by_another: false }
}

/// The tenant as the status of an object describes it, with the platform's clock at `now`. `None`: the status describes
/// none.
pub(crate) fn last_seen(object: &TenantPricing, now: Timestamp) -> Option<Seen> {
    let status = object.status.as_ref()?;
    let observed = status.observed.as_ref()?;
    let id = status.tenant_id.as_deref().or(object.spec.tenant.id.as_deref())?.parse().ok()?;
    let name = observed.tenant_name.clone().or_else(|| object.spec.tenant.name.clone());
    let mut seen = assumed(id, name.unwrap_or_default(), Mode::from(observed.mode.as_str()), now);
    seen.tenant.production_start = observed.production_start_date.as_ref().map(|date| date.0);
    Some(seen)
}

/// What [`last_seen`] takes for granted, in sentences: the cluster does not store it.
pub(crate) fn assumptions(object: &TenantPricing) -> Vec<String> {
    let mut assumptions = vec![
        "Whether the tenant is still a customer in trial, enabled and not locked. The controller reads it right before the \
         switch."
            .to_owned(),
    ];
    if object.spec.tenant.name.is_some() {
        assumptions.push(
            "Whether exactly one customer has the name. A listing of all tenants shows that.".to_owned(),
        );
    }
    assumptions
}
