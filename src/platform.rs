//! The HTTP client: all that the program knows about the platform's account management API.
//!
//! [`PlatformClient`] reads tenants and their pricing. [`SwitchClient`] also sends the one kind of write: the switch of
//! a tenant from trial to production. A call returns data of this module ([`Tenant`], [`Pricing`]) or a
//! [`PlatformError`]. Its [`ErrorClass`] alone decides what the controller does next.
//!
//! The parts: `auth` says who the client is, `net` where a request may go, `flow` when it may leave, and `wire` what an
//! answer means. `put.rs` alone holds the write.
//!
//! Whatever the platform answers, these invariants hold:
//! - No byte of an answer reaches an error text, except an error code reduced to harmless characters.
//! - The client secret and the tokens are held in types that print nothing.
//! - Requests go to one origin that the allow-list admits, at an address that it admits. Redirects are never
//!   followed. A proxy is used only when one was configured.
//! - Nothing is retried, with two exceptions. A *read* that was answered 401 is repeated once with a new token. A later
//!   page of a long listing is tried up to five times, with pauses.
//! - No request exceeds the rate limit, and none leaves during a pause that the platform asked for. While the platform
//!   is unreachable, only one probe at a time leaves.

mod auth;
mod call;
mod client;
mod customers;
mod error;
mod flow;
mod metrics;
mod net;
mod put;
mod tenants;
mod wire;

pub use auth::{
    credentials::{CredentialError, CredentialSource, Credentials, stored_value},
    history::History,
    token::Review,
};
pub use client::{ClientOptions, PlatformClient};
pub use customers::{Customers, NameMatches, SimilarName};
pub use error::{ErrorClass, PlatformError};
pub use flow::rate_limiter::Priority;
pub use metrics::ClientMetrics;
pub use net::{
    allowed_hosts::AllowedHosts,
    origin::Origin,
    proxy::ProxyUrl,
    resolver::Resolver,
    transport::{PUT_TIMEOUT, install_tls_provider},
};
pub use put::{PutOutcome, PutPermit, SwitchClient};
#[cfg(feature = "cli")]
pub use tenants::MAX_IDS_PER_CALL;
pub use wire::model::{Answer, Lock, Mode, Pricing, PricingVersion, Tenant, TenantId, TenantKind};

#[cfg(test)]
mod tests;
