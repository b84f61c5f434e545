//! The calls of the platform's API, and how requests map to them.

use hyper::Method;
use serde::{Deserialize, Serialize};

/// Everything the platform's API is mounted below.
pub(crate) const API_BASE: &str = "/api/2";

/// One call of the platform's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// `POST /idp/token`
    Token,
    /// `GET /clients/{client_id}`
    FetchClient,
    /// `GET /search`
    Search,
    /// `GET /tenants`, by ids, by parent or by subtree
    FetchTenants,
    /// `GET /tenants/{tenant_id}`
    FetchTenant,
    /// `GET /tenants/{tenant_id}/children`
    FetchChildren,
    /// `GET /tenants/{tenant_id}/pricing`
    FetchPricing,
    /// `PUT /tenants/{tenant_id}/pricing`, the only write
    PutPricing,
    /// Any other request outside `/simulator`
    Other,
}

impl Operation {
    /// Whether the call is a read. A token request is not.
    #[must_use]
    pub fn is_read(self) -> bool {
        !matches!(self, Self::Token | Self::PutPricing)
    }
}

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Token,
    Client(String),
    Search,
    Tenants,
    Tenant(String),
    Children(String),
    Pricing(String),
    PutPricing(String),
    /// The path exists, the method does not.
    WrongMethod,
    Unknown,
}

impl Route {
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(path) = path.strip_prefix(API_BASE) else { return Self::Unknown };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let get = method == Method::GET;
        let (route, allowed) = match segments.as_slice() {
            ["idp", "token"] => (Self::Token, method == Method::POST),
            ["clients", id] if !id.is_empty() => (Self::Client((*id).to_owned()), get),
            ["search"] => (Self::Search, get),
            ["tenants"] => (Self::Tenants, get),
            ["tenants", id] if !id.is_empty() => (Self::Tenant((*id).to_owned()), get),
            ["tenants", id, "children"] if !id.is_empty() => (Self::Children((*id).to_owned()), get),
            ["tenants", id, "pricing"] if !id.is_empty() && method == Method::PUT => {
                (Self::PutPricing((*id).to_owned()), true)
            }
            ["tenants", id, "pricing"] if !id.is_empty() => (Self::Pricing((*id).to_owned()), get),
            _ => return Self::Unknown,
        };
        if allowed { route } else { Self::WrongMethod }
    }

    pub fn operation(&self) -> Operation {
        match self {
            Self::Token => Operation::Token,
            Self::Client(_) => Operation::FetchClient,
            Self::Search => Operation::Search,
            Self::Tenants => Operation::FetchTenants,
            Self::Tenant(_) => Operation::FetchTenant,
            Self::Children(_) => Operation::FetchChildren,
            Self::Pricing(_) => Operation::FetchPricing,
            Self::PutPricing(_) => Operation::PutPricing,
            Self::WrongMethod | Self::Unknown => Operation::Other,
        }
    }

    /// The tenants that path and query name.
    pub fn tenants(&self, query: &[(String, String)]) -> Vec<String> {
        match self {
            Self::Tenant(id) | Self::Children(id) | Self::Pricing(id) | Self::PutPricing(id) => {
                vec![id.clone()]
            }
            Self::Tenants => query
                .iter()
                .filter(|(key, _)| matches!(key.as_str(), "uuids" | "parent_id" | "subtree_root_id"))
                .flat_map(|(_, value)| value.split(',').map(str::to_owned))
                .collect(),
            Self::Search => {
                query.iter().filter(|(key, _)| key == "tenant").map(|(_, value)| value.clone()).collect()
            }
            Self::Token | Self::Client(_) | Self::WrongMethod | Self::Unknown => Vec::new(),
        }
    }

    /// The one tenant that the request is about, if any. Its requests must not overlap.
    pub fn single_tenant(&self) -> Option<&str> {
        match self {
            Self::Tenant(id) | Self::Pricing(id) | Self::PutPricing(id) => Some(id),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &str, path: &str) -> Operation {
        Route::of(&method.parse().unwrap(), path).operation()
    }

    #[test]
    fn each_call_is_recognised() {
        assert_eq!(operation("POST", "/api/2/idp/token"), Operation::Token);
        assert_eq!(operation("GET", "/api/2/clients/c"), Operation::FetchClient);
        assert_eq!(operation("GET", "/api/2/search"), Operation::Search);
        assert_eq!(operation("GET", "/api/2/tenants"), Operation::FetchTenants);
        assert_eq!(operation("GET", "/api/2/tenants/t"), Operation::FetchTenant);
        assert_eq!(operation("GET", "/api/2/tenants/t/children"), Operation::FetchChildren);
        assert_eq!(operation("GET", "/api/2/tenants/t/pricing"), Operation::FetchPricing);
        assert_eq!(operation("PUT", "/api/2/tenants/t/pricing"), Operation::PutPricing);
    }

    #[test]
    fn a_path_that_only_resembles_one_is_unknown() {
        for path in
            ["/", "/tenants", "/api/2", "/api/2/", "/api/2/tenants/", "/api/2//tenants", "/api/1/tenants"]
        {
            assert_eq!(Route::of(&Method::GET, path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of(&Method::GET, "/api/2/tenants/t/pricing/"), Route::Unknown);
        assert_eq!(Route::of(&Method::DELETE, "/api/2/tenants/t"), Route::WrongMethod);
    }
}
