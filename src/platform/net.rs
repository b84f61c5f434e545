//! Where a request may go, and how: origin, allow-list, addresses, TLS, proxy, deadlines, one HTTP exchange.

mod address;
pub(super) mod allowed_hosts;
pub(super) mod deadline;
pub(super) mod origin;
pub(super) mod proxy;
pub(super) mod resolver;
mod tls;
pub(super) mod transport;
