//! Everything that the program does to the world outside, in one table: its writes to Kubernetes and its requests
//! to the platform.
//!
//! Each is begun with [`around`], which says where it begins and where its answer has come. In builds with the
//! feature `test-support` the process can be made to end at exactly these places, as by SIGKILL, with the
//! variable `FAILPOINTS` in the syntax of the crate `fail`: `FAILPOINTS='journal.after=return'` ends it the
//! first time that the answer to a journal write has come, `'2*off->return'` the third time. And what was not
//! begun this way is refused where all requests pass (`telemetry::CountWrites`), so that no side effect is added
//! without its points: a test that ends the process at each of them would not know of it.
//!
//! In every other build nothing of this exists: [`around`] is the work itself.

use std::fmt;

use crate::telemetry::words;

words! {
    /// One kind of side effect, with the name of its points.
    SideEffect {
        /// The status of a `TenantPricing` in which an attempt is announced.
        Journal = "journal",
        /// Any other status of a `TenantPricing`.
        TenantPricingStatus = "tenant_pricing_status",
        /// The status of a `PlatformConnection`.
        ConnectionStatus = "connection_status",
        /// An event.
        Event = "event",
        /// The write that makes this process the holder of the Lease.
        LeaseAcquire = "lease_acquire",
        /// The write by which it stays the holder.
        LeaseRenew = "lease_renew",
        /// The write by which it gives the Lease back.
        LeaseRelease = "lease_release",
        /// The request for an access token.
        Token = "token",
        /// The question which tenant the credentials act in.
        OwnTenant = "own_tenant",
        /// The question for many tenants by their ids.
        Tenants = "tenants",
        /// The question for one tenant.
        Tenant = "tenant",
        /// The question for the pricing settings of one tenant.
        Pricing = "pricing",
        /// The search for a tenant by its name.
        Search = "search",
        /// The question for all tenants, page by page.
        Subtree = "subtree",
        /// The switch of a tenant to production.
        Put = "put",
    }
}

/// A place at which the process can be made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before any byte of the request has left.
    Before(SideEffect),
    /// After the answer has come, or it is known that none will, and before anything was made of it.
    After(SideEffect),
    /// An attempt is announced, and nothing was done yet to send it.
    Announced,
}

impl Point {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let both = SideEffect::ALL.iter().flat_map(|effect| [Self::Before(*effect), Self::After(*effect)]);
        both.chain([Self::Announced]).collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(effect) => write!(formatter, "{}.before", effect.as_str()),
            Self::After(effect) => write!(formatter, "{}.after", effect.as_str()),
            Self::Announced => formatter.write_str("announced"),
        }
    }
}

#[cfg(feature = "test-support")]
mod points;
#[cfg(feature = "test-support")]
pub use points::{around, at, heed_environment, under_way};

/// The work itself.
#[cfg(not(feature = "test-support"))]
pub fn around<Work: Future>(_effect: SideEffect, work: Work) -> Work {
    work
}

/// Nothing.
#[cfg(not(feature = "test-support"))]
pub fn at(_point: Point) {}

#[cfg(test)]
mod tests;
