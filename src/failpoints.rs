//! Every side effect of the program, in one table: its writes to Kubernetes and its requests to the platform.
//!
//! Each side effect runs inside [`side_effect`]. In builds with the feature `test-support` there is a failpoint before
//! and after it. The variable `FAILPOINTS`, in the syntax of the crate `fail`, kills the process there as SIGKILL
//! would. `FAILPOINTS='journal.after=return'` kills it when the first answer to a journal write has arrived,
//! `'2*off->return'` when the third has.
//!
//! A request outside this function is refused where all requests go through (`telemetry::CountWrites`). So no side
//! effect can be added without its failpoints, and the crash tests know them all.
//!
//! In every other build none of this exists: [`side_effect`] is the work itself.

use std::fmt;

use crate::string_enum::string_enum;

string_enum! {
    /// One kind of side effect. Its word is the name of its failpoints.
    SideEffect {
        /// The status of a `TenantPricing` that announces an attempt.
        Journal = "journal",
        /// Any other status of a `TenantPricing`.
        TenantPricingStatus = "tenant_pricing_status",
        /// The status of a `PlatformConnection`.
        ConnectionStatus = "connection_status",
        /// An event.
        Event = "event",
        /// The write that makes this process the holder of the Lease.
        LeaseAcquire = "lease_acquire",
        /// The write that keeps this process the holder.
        LeaseRenew = "lease_renew",
        /// The write that releases the Lease.
        LeaseRelease = "lease_release",
        /// The request for an access token.
        Token = "token",
        /// The read of the tenant in which the credentials act.
        OwnTenant = "own_tenant",
        /// The read of many tenants by their ids.
        Tenants = "tenants",
        /// The read of one tenant.
        Tenant = "tenant",
        /// The read of one tenant's pricing settings.
        Pricing = "pricing",
        /// The search for a tenant by its name.
        Search = "search",
        /// The listing of all tenants, page by page.
        Subtree = "subtree",
        /// The switch of a tenant to production.
        Put = "put",
    }
}

/// A failpoint: a place at which a test can kill the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before any byte of the request has left.
    Before(SideEffect),
    /// After the answer has arrived, or none can arrive any more, and before the program uses it.
    After(SideEffect),
    /// An attempt is announced, and no step was taken yet to send it.
    Announced,
}

impl Point {
    /// Every failpoint.
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
pub use points::{current, failpoint, init_from_env, side_effect};

/// Runs the work of one side effect. Only builds for tests have failpoints around it.
#[cfg(not(feature = "test-support"))]
pub fn side_effect<Work: Future>(_effect: SideEffect, work: Work) -> Work {
    work
}

/// A failpoint, which only builds for tests have.
#[cfg(not(feature = "test-support"))]
pub fn failpoint(_point: Point) {}

#[cfg(test)]
mod tests;
