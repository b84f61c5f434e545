//! The HTTP edge: everything the program knows of the platform's account management API.
//!
//! [`PlatformClient`] reads tenants and their pricing, and sends the one write there is: the switch of a
//! tenant from trial to production. What comes back is data of this module ([`Tenant`], [`Pricing`]) or a
//! [`PlatformError`] whose [`ErrorClass`] alone decides what the controller does next.
//!
//! What holds here, whatever the platform answers:
//! - No byte of an answer reaches an error text, except an error code reduced to harmless characters.
//! - The client secret and the tokens are held in types that cannot be printed.
//! - Requests go to one origin that the allow-list admits; redirects are never followed, and a proxy is used
//!   only when one was configured.
//! - Nothing is retried, with one exception: a *read* that was answered 401 is repeated once with a new token.

mod client;
mod credentials;
mod error;
mod gate;
mod hosts;
mod model;
mod origin;
mod put;
mod tenants;
mod time;
mod token;
mod transport;
mod watching;
mod wire;

pub use client::{ClientOptions, PlatformClient};
pub use credentials::{CredentialError, CredentialSource, Credentials};
pub use error::{ErrorClass, PlatformError};
pub use hosts::{AllowedHosts, HostNotAllowed, InvalidAllowedHost};
pub use model::{Answer, InvalidTenantId, Lock, Mode, Pricing, PricingVersion, Tenant, TenantId, TenantKind};
pub use origin::{InvalidUrl, Origin};
pub use put::PutOutcome;
pub use transport::install_tls_provider;
pub use watching::Watching;

#[cfg(test)]
mod tests;
