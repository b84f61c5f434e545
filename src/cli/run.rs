//! `run`: the controller.

use std::{collections::BTreeSet, convert::Infallible, net::SocketAddr, time::Duration};

use clap::{ArgMatches, Args, parser::ValueSource};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config, Resource, api::ListParams, client::ClientBuilder};
use secrecy::SecretString;
use tokio::time::timeout;

use crate::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    cluster::{
        access::{self, Access, AccessError, Credentials},
        explain,
        lease::{self, Elector, Held},
    },
    connections,
    controller::{self, Options, asked_to_end},
    platform::Resolver,
    telemetry::{AdminServer, CountWrites, Health, Metrics, start_logging},
};

use super::settings::{self, InvalidSettings, Settings};

/// How long an answer to a single request may keep silent. Watches are told to end after 290 s.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The flags of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Hosts of the platform that may be talked to, separated by commas: `host`, `*.domain`, `host:port`, or
    /// `http://host:port` for one without TLS.
    #[arg(long, env = "TENANT_PRICING_ALLOWED_HOSTS", value_name = "LIST",
          default_value = settings::ALLOWED_HOSTS)]
    pub(super) allowed_hosts: String,

    /// The proxy through which the platform is reached, for example `http://proxy.example:3128`. The usual
    /// proxy variables of the environment are not looked at.
    // Neither shown by --help nor in the refusal of a wrong one: it may hold a password.
    #[arg(long, env = "TENANT_PRICING_PLATFORM_PROXY", value_name = "URL", hide_env_values = true,
          value_parser = unread)]
    pub(super) platform_proxy: Option<SecretString>,

    /// Namespaces to watch, separated by commas, those of the connections among them. Default: all.
    #[arg(long, env = "TENANT_PRICING_WATCH_NAMESPACES", value_name = "LIST", value_delimiter = ',')]
    pub(super) watch_namespaces: Vec<String>,

    /// The labels of the `TenantPricing`s to watch, written as for `kubectl get -l`: `shard=a`, or
    /// `shard in (a,b),!test`. The others are left to somebody else. Default: all.
    #[arg(long, env = "TENANT_PRICING_WATCH_LABEL_SELECTOR", value_name = "SELECTOR")]
    pub(super) watch_label_selector: Option<String>,

    /// Elects a leader among the replicas by a Lease: one acts, the others stand by. `false` only where there is
    /// never more than one process, not even for a moment.
    #[arg(long, env = "TENANT_PRICING_LEADER_ELECT", value_name = "BOOL", default_value = "true",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) leader_elect: String,

    /// The namespace of the Lease. Default: that of the pod, or of the kubeconfig's context.
    #[arg(long, env = "TENANT_PRICING_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub(super) lease_namespace: Option<String>,

    /// The name of the Lease. Installations that share a namespace each need one of their own.
    #[arg(
        long,
        env = "TENANT_PRICING_LEASE_NAME",
        value_name = "NAME",
        default_value = settings::LEASE_NAME
    )]
    pub(super) lease_name: String,

    /// IP address and port where `/livez`, `/readyz` and `/metrics` are served; port 0 takes one that is free.
    #[arg(long, env = "TENANT_PRICING_ADMIN_ADDRESS", value_name = "ADDRESS",
          default_value = settings::ADMIN_ADDRESS)]
    pub(super) admin_address: String,

    /// How log lines look: `text` for people, `json` for log collectors.
    #[arg(long, env = "TENANT_PRICING_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: String,

    /// How much is logged: error, warn, info, debug, trace, off, or a list of directives.
    #[arg(long, env = "TENANT_PRICING_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,

    /// The flags, by their ids, whose values come from environment variables.
    #[arg(skip)]
    from_variables: BTreeSet<String>,

    /// A file with the offset of the controller's clock, in seconds. In builds for tests only.
    #[cfg(feature = "test-support")]
    #[arg(long, env = "TENANT_PRICING_TEST_CLOCK_FILE", hide = true)]
    test_clock_file: Option<std::path::PathBuf>,

    /// A file with addresses of hosts, as in `/etc/hosts`. In builds for tests only.
    #[cfg(feature = "test-support")]
    #[arg(long, env = "TENANT_PRICING_TEST_HOSTS_FILE", hide = true)]
    test_hosts_file: Option<std::path::PathBuf>,
}

/// Why the controller could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Flags.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// A flag.
    #[error("--log-level: {0}")]
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
    #[error("failed to find the cluster: {0}")]
    Cluster(#[from] AccessError),
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
    /// A process leads that this one would not take turns with.
    #[error(
        "another process acts already: {holder} renews Lease {namespace}/{name}, and this one would use the Lease in \
         namespace {own}. Stop it first, or give --lease-namespace={namespace} to take turns with it, which needs an \
         election. Where the two share no object, give --lease-namespace={own}"
    )]
    LeaderElsewhere {
        /// The namespace of its Lease.
        namespace: String,
        /// The name of both Leases.
        name: String,
        /// Who leads.
        holder: String,
        /// The namespace of the own Lease.
        own: String,
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
    let settings = Settings::check(arguments)?;
    start_logging(settings.log_format, &settings.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(serve(arguments, settings));
    // What is still under way has had its time.
    runtime.shutdown_background();
    outcome
}

async fn serve(arguments: &RunArguments, settings: Settings) -> Result<(), RunError> {
    let end = asked_to_end()?;
    let (health, metrics) = (Health::default(), Metrics::default());
    metrics.leading(false);
    serve_admin(settings.admin_address, health.clone(), metrics.clone()).await?;
    let (asked, ending) = (health.clone(), health.clone());
    let end = async move {
        end.await;
        asked.ending();
    };
    tokio::pin!(end);
    // Whatever the start waits for, a process that is asked to end then has nothing under way.
    let Connected { client, watching, elector, elsewhere } = tokio::select! {
        () = &mut end => {
            tracing::info!("asked to end: this process has not started yet, and nothing is under way");
            return Ok(());
        }
        connected = connect(arguments, &settings, &metrics) => connected?,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        allowed_hosts = %settings.allowed_hosts,
        namespaces = ?settings.watch_namespaces,
        label_selector = settings.watch_label_selector,
        "started"
    );
    let options = Options {
        namespaces: settings.watch_namespaces,
        label_selector: settings.watch_label_selector,
        settings: connections::Settings {
            allowed_hosts: settings.allowed_hosts,
            proxy: settings.platform_proxy,
            lookup: arguments.lookup(),
            metrics: metrics.clone(),
            clock: arguments.clock(),
        },
        clock: arguments.clock(),
        health,
        metrics,
    };
    let mut found = None;
    let end = async {
        tokio::select! {
            () = &mut end => {}
            error = elsewhere.found() => {
                tracing::error!(%error, "this process ends");
                ending.ending();
                found = Some(error);
            }
        }
    };
    controller::run(client, watching, options, elector, end).await;
    tracing::info!("ended");
    found.map_or(Ok(()), Err)
}

async fn connect(
    arguments: &RunArguments,
    settings: &Settings,
    metrics: &Metrics,
) -> Result<Connected, RunError> {
    let Access { mut config, credentials, is_in_cluster } = Access::find().await?;
    // A write whose answer is lost must not be sent again unseen: it is resolved by reading.
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let client = self::client(config.clone(), &credentials, metrics)?;
    let watching = self::client(config.clone(), &credentials, metrics)?;
    check_installed(&client, settings).await?;
    let namespace = settings.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let searched = !is_in_cluster && settings.lease_namespace.is_none();
    if !settings.leader_elect {
        refuse_beside_a_leader(&client, &namespace, &settings.lease_name).await?;
    }
    if searched {
        refuse_beside_another_lease(&client, &namespace, &settings.lease_name).await?;
    }
    let elsewhere = Elsewhere {
        client: searched.then(|| client.clone()),
        namespace: namespace.clone(),
        name: settings.lease_name.clone(),
    };
    let elector = if settings.leader_elect {
        // A way of its own: what else is under way must not keep a renewal waiting.
        config.read_timeout = Some(lease::REQUEST_TIMEOUT);
        config.connect_timeout = Some(lease::REQUEST_TIMEOUT);
        let own = self::client(config, &credentials, metrics)?;
        let lease = (namespace.as_str(), settings.lease_name.as_str());
        Some(Elector::new(own, client.clone(), lease, lease::identity(), arguments.clock()))
    } else {
        None
    };
    Ok(Connected { client, watching, elector, elsewhere })
}

/// A client that has found the CRDs, and an elector if there is an election.
struct Connected {
    client: Client,
    /// For watches alone.
    watching: Client,
    elector: Option<Elector>,
    elsewhere: Elsewhere,
}

/// The search for another live Lease while the process runs.
struct Elsewhere {
    /// None where there is no search.
    client: Option<Client>,
    namespace: String,
    name: String,
}

impl Elsewhere {
    /// Waits until there is one.
    async fn found(self) -> RunError {
        if let Some(client) = &self.client
            && let Ok(Some(held)) = lease::elsewhere(client, (&self.namespace, &self.name), false).await
        {
            return RunError::elsewhere(held, &self.namespace);
        }
        std::future::pending().await
    }
}

impl RunError {
    fn elsewhere(held: Held, own: &str) -> Self {
        let Held { namespace, name, holder } = held;
        Self::LeaderElsewhere { namespace, name, holder, own: own.to_owned() }
    }
}

/// Where it is not said which Lease counts, a process does not start beside one that leads with another.
async fn refuse_beside_another_lease(client: &Client, namespace: &str, name: &str) -> Result<(), RunError> {
    match lease::elsewhere(client, (namespace, name), true).await {
        Ok(None) => Ok(()),
        Ok(Some(held)) => Err(RunError::elsewhere(held, namespace)),
        Err(reason) => {
            tracing::warn!(
                lease = format!("{namespace}/{name}"),
                reason,
                "whether another process leads with a Lease of another namespace is not known. If the controller runs \
                 elsewhere as well, give --lease-namespace and --lease-name of its Lease"
            );
            Ok(())
        }
    }
}

fn client(config: Config, credentials: &Credentials, metrics: &Metrics) -> Result<Client, RunError> {
    let builder = ClientBuilder::try_from(config).map_err(|error| access::explain_build(&error))?;
    Ok(builder.with_layer(&CountWrites::new(metrics.clone())).with_layer(credentials).build())
}

/// A process without an election does not start beside one that was elected: both would act.
async fn refuse_beside_a_leader(client: &Client, namespace: &str, name: &str) -> Result<(), RunError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    // Without the right to read it, there was no election either.
    let Ok(Ok(Some(found))) = timeout(lease::REQUEST_TIMEOUT, leases.get_opt(name)).await else {
        return Ok(());
    };
    let now = Clock::system().now();
    let Some(holder) = lease::live_holder(&found, now) else { return Ok(()) };
    let lease = format!("{namespace}/{name}");
    // Only time tells whether a holder whose clock is ahead is alive.
    if lease::is_ahead(&found, now) {
        tracing::info!(
            lease,
            holder,
            "the Lease was renewed in the future; it takes 15 s to know whether it is renewed"
        );
        if !lease::is_renewed(&leases, &found).await {
            tracing::warn!(
                lease,
                holder,
                "no one renews the Lease, whose renewTime lies in the future: it is left alone"
            );
            return Ok(());
        }
    }
    Err(RunError::LeaderBeside { lease, holder: holder.to_owned() })
}

/// Serves what the kubelet and Prometheus ask for, from before there is a cluster until the process ends.
async fn serve_admin(address: SocketAddr, health: Health, metrics: Metrics) -> Result<(), RunError> {
    let server =
        AdminServer::bind(address).await.map_err(|error| RunError::AdminAddress { address, error })?;
    tracing::info!(address = %server.address(), "the admin server listens");
    tokio::spawn(server.serve(health, metrics));
    Ok(())
}

/// Any text. It is read where what is wrong with it can be said without showing it.
#[allow(clippy::unnecessary_wraps)] // the signature is clap's
fn unread(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

/// A cluster without the CRDs is said so at once, and so is a label selector that makes no sense, rather than in
/// a watch that fails again and again. Whatever else is wrong may pass, and the watches try on.
async fn check_installed(client: &Client, settings: &Settings) -> Result<(), RunError> {
    let namespace = settings.watch_namespaces.first().map(String::as_str);
    let selector = settings.watch_label_selector.as_deref();
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
            (Err(error), _) => {
                let error = explain(&error);
                tracing::warn!(kind, error, "the API server does not answer yet");
            }
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
    /// Remembers which values come from environment variables.
    pub(super) fn note_sources(&mut self, matches: &ArgMatches) {
        let is_variable = |id: &&str| matches.value_source(id) == Some(ValueSource::EnvVariable);
        let ids = matches.ids().map(clap::Id::as_str);
        self.from_variables = ids.filter(is_variable).map(str::to_owned).collect();
    }

    /// As if every value came from its environment variable.
    #[cfg(test)]
    pub(super) fn assume_variables(&mut self) {
        let flags = ["allowed_hosts", "leader_elect", "lease_namespace", "lease_name", "admin_address"];
        let all = flags.into_iter().chain(["log_format", "log_level"]);
        self.from_variables = all.map(str::to_owned).collect();
    }

    /// Whether the value of a flag, as in `log-level`, comes from its environment variable.
    pub(super) fn is_from_variable(&self, flag: &str) -> bool {
        self.from_variables.contains(&flag.replace('-', "_"))
    }

    #[cfg(feature = "test-support")]
    fn lookup(&self) -> Resolver {
        self.test_hosts_file.clone().map_or_else(Resolver::default, Resolver::from_file)
    }

    #[cfg(not(feature = "test-support"))]
    fn lookup(&self) -> Resolver {
        let _ = self;
        Resolver::default()
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
