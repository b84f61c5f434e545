//! The HTTP side: connections, the life of one request on them, and the routes of the platform's API.

mod call;
mod context;
mod ending;
mod exchange;
mod routes;
pub(crate) mod server;
mod wire;
