//! The facts that a command works out from manifests and stored objects, for the rules of the controller. Pure.

use jiff::Timestamp;

use crate::{
    api::PlatformConnection,
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
