//! The rights of the controller, and those of the user who installs the chart. Pure.
//!
//! `templates/rbac.yaml` of the chart grants the rights of the controller. A test on the API server compares the two.

use std::fmt;

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In each namespace that the controller watches, or in the whole cluster if it watches all.
    Watched,
    /// In the whole cluster, if the controller watches all namespaces.
    Cluster,
    /// In the namespace of the Lease, for any Lease: a right to create cannot be bound to a name.
    AnyLease,
    /// In the namespace of the Lease, for that one Lease.
    OwnLease,
    /// In the namespace into which the chart is installed.
    Release,
}

/// A right of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The verb.
    pub verb: &'static str,
    /// The API group. Empty for the core group.
    pub group: &'static str,
    /// The plural of the resource.
    pub resource: &'static str,
    /// The subresource, or empty.
    pub subresource: &'static str,
    /// Where it is needed.
    pub place: Place,
}

impl Right {
    const fn new(verb: &'static str, group: &'static str, resource: &'static str, place: Place) -> Self {
        Self { verb, group, resource, subresource: "", place }
    }

    const fn status(verb: &'static str, resource: &'static str) -> Self {
        Self { verb, group: OWN, resource, subresource: "status", place: Place::Watched }
    }
}

impl fmt::Display for Right {
    /// As kubectl writes it: `patch tenantpricings.tenantpricing.io/status`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        if !self.subresource.is_empty() {
            write!(formatter, "/{}", self.subresource)?;
        }
        Ok(())
    }
}

const OWN: &str = "tenantpricing.io";
const LEASES: &str = "coordination.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// All that the controller may do.
pub const CONTROLLER: &[Right] = &[
    Right::new("create", "events.k8s.io", "events", Place::Watched),
    Right::new("get", "", "namespaces", Place::Watched),
    Right::new("get", OWN, "platformconnections", Place::Watched),
    Right::new("get", "", "secrets", Place::Watched),
    Right::new("get", OWN, "tenantpricings", Place::Watched),
    Right::new("list", OWN, "platformconnections", Place::Watched),
    Right::new("list", OWN, "tenantpricings", Place::Watched),
    Right::status("patch", "platformconnections"),
    Right::status("patch", "tenantpricings"),
    Right::new("watch", OWN, "platformconnections", Place::Watched),
    Right::new("watch", OWN, "tenantpricings", Place::Watched),
    Right::new("list", "", "namespaces", Place::Cluster),
    Right::new("watch", "", "namespaces", Place::Cluster),
    Right::new("create", LEASES, "leases", Place::AnyLease),
    Right::new("get", LEASES, "leases", Place::OwnLease),
    Right::new("update", LEASES, "leases", Place::OwnLease),
    Right::new("watch", LEASES, "leases", Place::OwnLease),
];

/// What the chart's roles for users hold beside that. The user who installs grants it, too.
pub const USERS: &[Right] = &[
    Right::new("create", OWN, "tenantpricings", Place::Cluster),
    Right::new("update", OWN, "tenantpricings", Place::Cluster),
    Right::new("patch", OWN, "tenantpricings", Place::Cluster),
    Right::new("delete", OWN, "tenantpricings", Place::Cluster),
    Right::new("deletecollection", OWN, "tenantpricings", Place::Cluster),
    Right::new("create", OWN, "platformconnections", Place::Cluster),
    Right::new("update", OWN, "platformconnections", Place::Cluster),
    Right::new("patch", OWN, "platformconnections", Place::Cluster),
    Right::new("delete", OWN, "platformconnections", Place::Cluster),
    Right::new("deletecollection", OWN, "platformconnections", Place::Cluster),
];

/// What the user who installs the chart with Helm does in the whole cluster. Helm 4 applies each object on the server,
/// which needs `patch` as well.
pub const INSTALLER_CLUSTER: &[Right] = &[
    Right::new("create", "apiextensions.k8s.io", "customresourcedefinitions", Place::Cluster),
    Right::new("get", "apiextensions.k8s.io", "customresourcedefinitions", Place::Cluster),
    Right::new("patch", "apiextensions.k8s.io", "customresourcedefinitions", Place::Cluster),
    Right::new("create", RBAC, "clusterroles", Place::Cluster),
    Right::new("get", RBAC, "clusterroles", Place::Cluster),
    Right::new("patch", RBAC, "clusterroles", Place::Cluster),
    Right::new("create", RBAC, "clusterrolebindings", Place::Cluster),
    Right::new("get", RBAC, "clusterrolebindings", Place::Cluster),
    Right::new("patch", RBAC, "clusterrolebindings", Place::Cluster),
];

/// What that user does in the whole cluster if the namespace is not there: `helm install --create-namespace`.
pub const INSTALLER_NEW_NAMESPACE: &[Right] = &[Right::new("create", "", "namespaces", Place::Cluster)];

/// What that user does in the namespace of the release. Helm keeps its record of the release in a Secret.
pub const INSTALLER_NAMESPACE: &[Right] = &[
    Right::new("create", "apps", "deployments", Place::Release),
    Right::new("get", "apps", "deployments", Place::Release),
    Right::new("patch", "apps", "deployments", Place::Release),
    Right::new("create", "", "serviceaccounts", Place::Release),
    Right::new("get", "", "serviceaccounts", Place::Release),
    Right::new("patch", "", "serviceaccounts", Place::Release),
    Right::new("create", RBAC, "roles", Place::Release),
    Right::new("get", RBAC, "roles", Place::Release),
    Right::new("patch", RBAC, "roles", Place::Release),
    Right::new("create", RBAC, "rolebindings", Place::Release),
    Right::new("get", RBAC, "rolebindings", Place::Release),
    Right::new("patch", RBAC, "rolebindings", Place::Release),
    Right::new("create", "", "secrets", Place::Release),
    Right::new("get", "", "secrets", Place::Release),
    Right::new("list", "", "secrets", Place::Release),
    Right::new("update", "", "secrets", Place::Release),
];
