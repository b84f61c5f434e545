//! The API calls of this program, and the words for them.

use std::fmt;

use super::TenantId;
use crate::failpoints::SideEffect;

/// One call of the platform's API. It displays as an activity, such as `reading tenant …`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    Token,
    OwnTenant,
    Tenants,
    Tenant(&'a TenantId),
    Pricing(&'a TenantId),
    Search,
    Subtree,
    Switch(&'a TenantId),
}

impl<'a> Call<'a> {
    /// The word of the call in the label of a metric.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::OwnTenant => "own_tenant",
            Self::Tenants => "tenants",
            Self::Tenant(_) => "tenant",
            Self::Pricing(_) => "pricing",
            Self::Search => "search",
            Self::Subtree => "subtree",
            Self::Switch(_) => "switch",
        }
    }

    /// The side effect that the call is.
    pub(super) const fn side_effect(self) -> SideEffect {
        match self {
            Self::Token => SideEffect::Token,
            Self::OwnTenant => SideEffect::OwnTenant,
            Self::Tenants => SideEffect::Tenants,
            Self::Tenant(_) => SideEffect::Tenant,
            Self::Pricing(_) => SideEffect::Pricing,
            Self::Search => SideEffect::Search,
            Self::Subtree => SideEffect::Subtree,
            Self::Switch(_) => SideEffect::Put,
        }
    }

    /// The one tenant that the call is about, if any. A failure may then be the trouble of that tenant alone.
    pub(super) const fn tenant(self) -> Option<&'a TenantId> {
        match self {
            Self::Tenant(id) | Self::Pricing(id) | Self::Switch(id) => Some(id),
            Self::Token | Self::OwnTenant | Self::Tenants | Self::Search | Self::Subtree => None,
        }
    }

    /// Whether the answer is a list, which may be empty. The platform never answers such a call with 404.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Tenants | Self::Search | Self::Subtree)
    }

    /// Whether the call changes something. A write is never used as a probe.
    pub(super) const fn is_write(self) -> bool {
        matches!(self, Self::Switch(_))
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => formatter.write_str("fetching an access token"),
            Self::OwnTenant => formatter.write_str("reading the client's own tenant"),
            Self::Tenants => formatter.write_str("reading tenants"),
            Self::Tenant(id) => write!(formatter, "reading tenant {id}"),
            Self::Pricing(id) => write!(formatter, "reading the pricing settings of tenant {id}"),
            Self::Search => formatter.write_str("searching tenants by name"),
            Self::Subtree => formatter.write_str("listing tenants"),
            Self::Switch(id) => write!(formatter, "switching tenant {id} to production"),
        }
    }
}
