//! The list of the checks. The command, its JSON and the table in `docs/cli.md` are made from it or compared with it.
//! Pure.

use crate::string_enum::string_enum;

string_enum! {
    /// The groups of checks, in their order.
    Group {
        /// The cluster and its API server.
        Cluster = "cluster",
        /// The CRDs.
        Crds = "crds",
        /// What the installer and the controller may do.
        Rights = "rights",
        /// The Deployments and their Leases.
        Controller = "controller",
        /// The `PlatformConnection`s.
        Connections = "connections",
        /// The `TenantPricing`s.
        Objects = "objects",
        /// The policies about switches.
        Policies = "policies",
    }
}

impl Group {
    /// The heading of the group.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Crds => "CRDs",
            Self::Rights => "Rights",
            Self::Controller => "Controller",
            Self::Connections => "Connections",
            Self::Objects => "TenantPricings",
            Self::Policies => "Policies",
        }
    }
}

string_enum! {
    /// The checks, in their order.
    Check {
        /// The kubeconfig.
        Kubeconfig = "kubeconfig",
        /// The API server.
        ApiServer = "api-server",
        /// The version of the API server.
        ApiServerVersion = "api-server-version",
        /// The clock of the API server.
        ApiServerClock = "api-server-clock",
        /// The CRDs.
        CrdServed = "crd-served",
        /// The content of the CRDs.
        CrdMatches = "crd-matches",
        /// The rights of the user who installs.
        InstallerRights = "installer-rights",
        /// The rights of the controller, as the user who installs grants them.
        InstallerGrants = "installer-grants",
        /// The rights of the controller.
        ControllerRights = "controller-rights",
        /// The Deployment.
        ControllerInstalled = "controller-installed",
        /// The arguments of the Deployment.
        ControllerSettings = "controller-settings",
        /// The replicas.
        ControllerAvailable = "controller-available",
        /// The version of the image.
        ControllerVersion = "controller-version",
        /// The Lease.
        ControllerLease = "controller-lease",
        /// The number of elections.
        OneElection = "one-election",
        /// The condition of a connection.
        ConnectionReady = "connection-ready",
        /// The Secret of a connection.
        ConnectionSecret = "connection-secret",
        /// The URL of a connection.
        ConnectionHost = "connection-host",
        /// The namespaces that a connection admits.
        ConnectionNamespaces = "connection-namespaces",
        /// The connections that objects name.
        ObjectConnection = "object-connection",
        /// Who watches the objects.
        ObjectWatched = "object-watched",
        /// The clocks, as the objects report them.
        ObjectClock = "object-clock",
        /// The policies.
        SwitchPolicy = "switch-policy",
    }
}

/// When a check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before an installation and after it.
    Always,
    /// Only before it, with `--pre`.
    Before,
    /// Only after it.
    After,
}

impl Check {
    /// The group of the check.
    pub(crate) fn group(self) -> Group {
        match self {
            Self::Kubeconfig | Self::ApiServer | Self::ApiServerVersion | Self::ApiServerClock => {
                Group::Cluster
            }
            Self::CrdServed | Self::CrdMatches => Group::Crds,
            Self::InstallerRights | Self::InstallerGrants | Self::ControllerRights => Group::Rights,
            Self::ControllerInstalled
            | Self::ControllerSettings
            | Self::ControllerAvailable
            | Self::ControllerVersion
            | Self::ControllerLease
            | Self::OneElection => Group::Controller,
            Self::ConnectionReady
            | Self::ConnectionSecret
            | Self::ConnectionHost
            | Self::ConnectionNamespaces => Group::Connections,
            Self::ObjectConnection | Self::ObjectWatched | Self::ObjectClock => Group::Objects,
            Self::SwitchPolicy => Group::Policies,
        }
    }

    /// When the check is made.
    pub(crate) fn when(self) -> When {
        match self {
            Self::Kubeconfig
            | Self::ApiServer
            | Self::ApiServerVersion
            | Self::ApiServerClock
            | Self::CrdServed
            | Self::CrdMatches => When::Always,
            Self::InstallerRights | Self::InstallerGrants => When::Before,
            Self::ControllerRights
            | Self::ControllerInstalled
            | Self::ControllerSettings
            | Self::ControllerAvailable
            | Self::ControllerVersion
            | Self::ControllerLease
            | Self::OneElection
            | Self::ConnectionReady
            | Self::ConnectionSecret
            | Self::ConnectionHost
            | Self::ConnectionNamespaces
            | Self::ObjectConnection
            | Self::ObjectWatched
            | Self::ObjectClock
            | Self::SwitchPolicy => When::After,
        }
    }

    /// What the check asks for.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kubeconfig => "the kubeconfig names a cluster",
            Self::ApiServer => "the API server answers",
            Self::ApiServerVersion => "the API server is new enough for the chart",
            Self::ApiServerClock => "the clocks of this machine and of the API server agree",
            Self::CrdServed => "the CRD is installed and established",
            Self::CrdMatches => "the CRD is the one of this program",
            Self::InstallerRights => "you may install the objects of the chart",
            Self::InstallerGrants => "you may grant the rights that the chart grants",
            Self::ControllerRights => "the controller has every right that it needs",
            Self::ControllerInstalled => "a Deployment of the chart is there",
            Self::ControllerSettings => "the arguments of the Deployment can be read",
            Self::ControllerAvailable => "the replicas are available",
            Self::ControllerVersion => "the controller has the version of this program",
            Self::ControllerLease => "a replica holds and renews the Lease",
            Self::OneElection => "no object is watched by two elections",
            Self::ConnectionReady => "the connection is ready and not suspended",
            Self::ConnectionSecret => "the Secret of the connection can be used",
            Self::ConnectionHost => "the controller may call the URL",
            Self::ConnectionNamespaces => "the connection admits the objects that name it",
            Self::ObjectConnection => "the connection of each object is there",
            Self::ObjectWatched => "a controller watches each object",
            Self::ObjectClock => "the clocks of the controller and of the platform agree",
            Self::SwitchPolicy => "a policy about switches is in force",
        }
    }

    /// The section of the documentation about it.
    pub(crate) fn docs(self) -> &'static str {
        match self {
            Self::Kubeconfig | Self::ApiServer => "docs/operations.md#how-it-finds-the-cluster",
            Self::ApiServerVersion => "charts/tenant-pricing-controller/README.md#install",
            Self::ApiServerClock | Self::ObjectClock => "docs/reference/conditions.md#reconciling",
            Self::CrdServed => "charts/tenant-pricing-controller/README.md#crds",
            Self::CrdMatches | Self::ControllerVersion => "docs/operations.md#upgrading",
            Self::InstallerRights | Self::InstallerGrants | Self::ControllerRights => {
                "charts/tenant-pricing-controller/README.md#rights"
            }
            Self::ControllerInstalled => "docs/install.md#1-install",
            Self::ControllerSettings => "docs/operations.md#flags",
            Self::ControllerAvailable => "docs/operations.md#probes-and-metrics",
            Self::ControllerLease => "docs/operations.md#several-replicas",
            Self::OneElection | Self::ObjectWatched => "docs/gitops.md#splitting-a-fleet",
            Self::ConnectionReady => "docs/reference/conditions.md#ready-of-a-platformconnection",
            Self::ConnectionSecret => "docs/reference/platformconnection.md#credentials",
            Self::ConnectionHost => "docs/operations.md#which-addresses-a-host-may-have",
            Self::ConnectionNamespaces => "docs/gitops.md#connections-for-many-teams",
            Self::ObjectConnection => "docs/reference/conditions.md#stalled",
            Self::SwitchPolicy => "docs/authorization.md#what-needs-the-verb",
        }
    }

    /// Whether the check is made, before an installation or after it.
    pub(crate) fn applies(self, before_installation: bool) -> bool {
        match self.when() {
            When::Always => true,
            When::Before => before_installation,
            When::After => !before_installation,
        }
    }
}
