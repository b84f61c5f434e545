//! The state of the simulated platform: tenants, tokens, clock, and the log of requests.

pub(crate) mod billing;
pub(crate) mod clock;
pub(crate) mod log;
pub(crate) mod tenant;
pub(crate) mod tenant_change;
pub(crate) mod tenant_store;
pub(crate) mod tenants_file;
pub(crate) mod tokens;
