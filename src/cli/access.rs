//! How an object reaches its platform, by what the connection says. Pure.

use crate::{
    api::PlatformConnection,
    cluster::Key,
    connections::{Admission, ConnectionProblem},
    platform::Origin,
    pricing::facts::{Access, Connection},
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
