//! `run`: the controller.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config, Resource, api::ListParams, client::ClientBuilder};
use tokio::time::timeout;

use crate::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    cluster::lease::{self, Elector},
    connections::Settings,
    controller::{self, Options, asked_to_end},
    platform::AllowedHosts,
    telemetry::{AdminServer, CountWrites, Health, LogFormat, Metrics, start_logging},
};

/// How long an answer to a single request may keep silent. Watches are told to end after 290 s.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The flags of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Hosts of the platform that may be talked to, separated by commas: `host`, `*.domain`, `host:port`, or
    /// `http://host:port` for one without TLS.
    #[arg(long, env = "TENANT_PRICING_ALLOWED_HOSTS", value_name = "LIST", default_value = "*.acronis.com",
          value_parser = AllowedHosts::parse)]
    allowed_hosts: AllowedHosts,

    /// The proxy through which the platform is reached, for example `http://proxy.example:3128`. The usual
    /// proxy variables of the environment are not looked at.
    #[arg(long, env = "TENANT_PRICING_PLATFORM_PROXY", value_name = "URL")]
    platform_proxy: Option<url::Url>,

    /// Namespaces to watch, separated by commas, those of the connections among them. Default: all.
    #[arg(long, env = "TENANT_PRICING_WATCH_NAMESPACES", value_name = "LIST", value_delimiter = ',')]
    watch_namespaces: Vec<String>,

    /// The labels of the `TenantPricing`s to watch, written as for `kubectl get -l`: `shard=a`, or
    /// `shard in (a,b),!test`. The others are left to somebody else. Default: all.
    #[arg(long, env = "TENANT_PRICING_WATCH_LABEL_SELECTOR", value_name = "SELECTOR")]
    watch_label_selector: Option<String>,

    /// Elects a leader among the replicas by a Lease: one acts, the others stand by. `false` only where there is
    /// never more than one process, not even for a moment.
    #[arg(long, env = "TENANT_PRICING_LEADER_ELECT", value_name = "BOOL", default_value_t = true,
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = clap::ArgAction::Set)]
    leader_elect: bool,

    /// The namespace of the Lease. Default: that of the pod, or of the kubeconfig's context.
    #[arg(long, env = "TENANT_PRICING_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,

    /// The name of the Lease. Installations that share a namespace each need one of their own.
    #[arg(
        long,
        env = "TENANT_PRICING_LEASE_NAME",
        value_name = "NAME",
        default_value = "tenant-pricing-controller"
    )]
    lease_name: String,

    /// IP address and port where `/livez`, `/readyz` and `/metrics` are served; port 0 takes one that is free.
    #[arg(long, env = "TENANT_PRICING_ADMIN_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0:8080",
          value_parser = admin_address)]
    admin_address: SocketAddr,

    /// How log lines look.
    #[arg(long, env = "TENANT_PRICING_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,

    /// How much is logged: error, warn, info, debug, trace, or a list of directives.
    #[arg(long, env = "TENANT_PRICING_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// A file with the offset of the controller's clock, in seconds. In builds for tests only.
    #[cfg(feature = "test-support")]
    #[arg(long, env = "TENANT_PRICING_TEST_CLOCK_FILE", hide = true)]
    test_clock_file: Option<std::path::PathBuf>,
}

/// Why the controller could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A flag.
    #[error(transparent)]
    LogLevel(#[from] crate::telemetry::InvalidLogLevel),
    /// The runtime.
    #[error("failed to start: {0}")]
    Start(#[from] std::io::Error),
    /// The admin server's address.
    #[error(
        "failed to listen on --admin-address {address}: {error}. Name an address of this machine and a port that \
         is free, or port 0 to take any: --admin-address 127.0.0.1:0"
    )]
    AdminAddress {
        /// As the flag says.
        address: SocketAddr,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// No way to the API server is configured.
    #[error("failed to find the cluster: {0}. Set KUBECONFIG, or run inside a cluster")]
    Cluster(#[source] kube::Error),
    /// The CRDs are not installed.
    #[error(
        "the API server does not know {0}. Install the CRDs: tenant-pricing-controller crds | kubectl apply \
         --server-side -f -"
    )]
    NotInstalled(String),
    /// Another process leads, and this one is told not to ask.
    #[error(
        "--leader-elect=false, but {holder} holds Lease {lease} and renews it: both would act. Leave --leader-elect \
         out, or stop the other one and wait 15 s"
    )]
    LeaderBeside {
        /// Its namespace and name.
        lease: String,
        /// Who leads.
        holder: String,
    },
    /// The API server makes no sense of the label selector.
    #[error(
        "--watch-label-selector {selector:?} cannot be used: {why}. Write it as for kubectl get -l, such as \
         shard=a or 'shard in (a,b),!test', or leave it out to watch all objects"
    )]
    LabelSelector {
        /// As it was given.
        selector: String,
        /// In the API server's words.
        why: String,
    },
}

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting.
pub(super) fn run(arguments: &RunArguments) -> Result<(), RunError> {
    start_logging(arguments.log_format, &arguments.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(serve(arguments));
    // What is still under way has had its time.
    runtime.shutdown_background();
    outcome
}

async fn serve(arguments: &RunArguments) -> Result<(), RunError> {
    let end = asked_to_end()?;
    let (health, metrics) = (Health::default(), Metrics::default());
    metrics.leading(false);
    serve_admin(arguments.admin_address, health.clone(), metrics.clone()).await?;
    let mut config = Config::infer().await.map_err(kube::Error::InferConfig).map_err(RunError::Cluster)?;
    // A write whose answer is lost must not be sent again unseen: it is resolved by reading.
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let client = client(config.clone(), &metrics)?;
    let asked = health.clone();
    let end = async move {
        end.await;
        asked.ending();
    };
    tokio::pin!(end);
    tokio::select! {
        () = &mut end => return Ok(()),
        installed = check_installed(&client, arguments) => installed?,
    }
    let options = Options {
        namespaces: arguments.watch_namespaces.clone(),
        label_selector: arguments.label_selector().map(str::to_owned),
        settings: Settings {
            allowed_hosts: arguments.allowed_hosts.clone(),
            proxy: arguments.platform_proxy.clone(),
            metrics: metrics.clone(),
            clock: arguments.clock(),
        },
        clock: arguments.clock(),
        health,
        metrics,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        allowed_hosts = %arguments.allowed_hosts,
        namespaces = ?arguments.watch_namespaces,
        label_selector = arguments.label_selector(),
        "started"
    );
    let elector = elector(arguments, config, &client, &options.metrics).await?;
    controller::run(client, options, elector, end).await;
    tracing::info!("ended");
    Ok(())
}

fn client(config: Config, metrics: &Metrics) -> Result<Client, RunError> {
    let builder = ClientBuilder::try_from(config).map_err(RunError::Cluster)?;
    Ok(builder.with_layer(&CountWrites::new(metrics.clone())).build())
}

/// Who stands for the lease, if there is an election.
async fn elector(
    arguments: &RunArguments,
    mut config: Config,
    client: &Client,
    metrics: &Metrics,
) -> Result<Option<Elector>, RunError> {
    let namespace = arguments.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    if !arguments.leader_elect {
        refuse_beside_a_leader(client, &namespace, &arguments.lease_name).await?;
        return Ok(None);
    }
    // A way of its own: what else is under way must not keep a renewal waiting.
    config.read_timeout = Some(lease::REQUEST_TIMEOUT);
    config.connect_timeout = Some(lease::REQUEST_TIMEOUT);
    let own = self::client(config, metrics)?;
    let lease = (namespace.as_str(), arguments.lease_name.as_str());
    Ok(Some(Elector::new(own, client.clone(), lease, lease::identity(), arguments.clock())))
}

/// A process without an election does not start beside one that was elected: both would act.
async fn refuse_beside_a_leader(client: &Client, namespace: &str, name: &str) -> Result<(), RunError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    // Without the right to read it, there was no election either.
    let Ok(Ok(Some(found))) = timeout(lease::REQUEST_TIMEOUT, leases.get_opt(name)).await else {
        return Ok(());
    };
    match lease::live_holder(&found, Clock::system().now()) {
        Some(holder) => {
            Err(RunError::LeaderBeside { lease: format!("{namespace}/{name}"), holder: holder.to_owned() })
        }
        None => Ok(()),
    }
}

/// Serves what the kubelet and Prometheus ask for, from before there is a cluster until the process ends.
async fn serve_admin(address: SocketAddr, health: Health, metrics: Metrics) -> Result<(), RunError> {
    let server =
        AdminServer::bind(address).await.map_err(|error| RunError::AdminAddress { address, error })?;
    tracing::info!(address = %server.address(), "the admin server listens");
    tokio::spawn(server.serve(health, metrics));
    Ok(())
}

/// An IP address with its port.
fn admin_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "it is no IP address with a port. Write 0.0.0.0:8080, [::]:8080 where there is only IPv6, or \
         127.0.0.1:8080 for this machine alone"
            .to_owned()
    })
}

/// A cluster without the CRDs is said so at once, and so is a label selector that makes no sense, rather than in
/// a watch that fails again and again. Whatever else is wrong may pass, and the watches try on.
async fn check_installed(client: &Client, arguments: &RunArguments) -> Result<(), RunError> {
    let namespace = arguments.watch_namespaces.first().map(String::as_str);
    let selector = arguments.label_selector();
    let pricings = list_one::<TenantPricing>(client, namespace, selector).await;
    let connections = list_one::<PlatformConnection>(client, namespace, None).await;
    for (kind, answer) in [("TenantPricing", pricings), ("PlatformConnection", connections)] {
        match (answer, selector) {
            (Ok(()), _) => {}
            (Err(kube::Error::Api(error)), _) if error.code == 404 => {
                return Err(RunError::NotInstalled(format!("{kind}s of {}", crate::api::GROUP)));
            }
            (Err(kube::Error::Api(error)), Some(selector)) if error.code == 400 => {
                let why = error.message.clone();
                return Err(RunError::LabelSelector { selector: selector.to_owned(), why });
            }
            (Err(error), _) => tracing::warn!(kind, %error, "the API server does not answer yet"),
        }
    }
    Ok(())
}

async fn list_one<K>(
    client: &Client,
    namespace: Option<&str>,
    labels: Option<&str>,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut parameters = ListParams::default().limit(1);
    parameters.label_selector = labels.map(str::to_owned);
    api.list_metadata(&parameters).await.map(drop)
}

impl RunArguments {
    /// None means all objects, and so does a variable that is set to nothing.
    fn label_selector(&self) -> Option<&str> {
        self.watch_label_selector.as_deref().map(str::trim).filter(|selector| !selector.is_empty())
    }

    #[cfg(feature = "test-support")]
    fn clock(&self) -> Clock {
        self.test_clock_file.clone().map_or_else(Clock::system, Clock::from_file)
    }

    #[cfg(not(feature = "test-support"))]
    fn clock(&self) -> Clock {
        let _ = self;
        Clock::system()
    }
}
