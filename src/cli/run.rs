//! `run`: starts the controller, and runs it until the process is asked to shut down.

mod arguments;
#[cfg(feature = "cli")]
pub(super) mod deployed;
mod settings;

use std::{net::SocketAddr, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config, Resource, api::ListParams, client::ClientBuilder};
use tokio::time::sleep;

#[cfg(feature = "cli")]
pub(super) use self::arguments::{ALLOWED_HOSTS, LEASE_NAME};
use self::settings::InvalidSettings;
pub(super) use self::{arguments::RunArguments, settings::Settings};
use crate::{
    api::{PlatformConnection, TenantPricing},
    clock::Clock,
    cluster::{
        Key, ReadError,
        access::{self, Access, AccessError, Credentials},
        explain, in_time,
        lease::{self, Elector, LeaseConflict},
    },
    connections,
    controller::{self, Options, shutdown_signal},
    telemetry::{AdminServer, Candidate, CountWrites, Health, Metrics, start_logging},
};

/// How long an answer may stay silent. The API server ends a streaming list after 290 s, and a watch before.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// How long a connection to the API server may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before the Lease of another process is read again.
const LEASE_READ_RETRY: Duration = Duration::from_secs(5);

/// The reason why the controller could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Flags or variables are invalid.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The log level is invalid.
    #[error("--log-level: {0}")]
    LogLevel(#[from] crate::telemetry::InvalidLogLevel),
    /// The runtime could not start.
    #[error("failed to start: {0}")]
    Start(#[from] std::io::Error),
    /// The admin server cannot listen.
    #[error(
        "failed to listen on --admin-address {address}: {error}. Name an address of this machine and a port that \
         is free, or port 0 to take any: --admin-address 127.0.0.1:0"
    )]
    AdminAddress {
        /// The value of the flag.
        address: SocketAddr,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The API server is not configured.
    #[error("failed to find the cluster: {0}")]
    Cluster(#[from] AccessError),
    /// The CRDs are not installed.
    #[error(
        "the API server does not know {0}. Install the CRDs: tenant-pricing-controller crds | kubectl apply \
         --server-side -f -"
    )]
    NotInstalled(String),
    /// Another process leads, and this one should run without an election.
    #[error(
        "--leader-elect=false, but {holder} holds Lease {lease} and renews it: both would act. Leave --leader-elect \
         out, or stop the other process and wait 15 s"
    )]
    LeaderBeside {
        /// The namespace and name of the Lease.
        lease: String,
        /// The holder of the Lease.
        holder: String,
    },
    /// A process leads with a Lease in another namespace.
    #[error(
        "another process acts already: {holder} renews Lease {namespace}/{name}, and this one would use the Lease in \
         namespace {own}. Stop it first, or give --lease-namespace={namespace} to take turns with it, which needs an \
         election. If the two share no object, give --lease-namespace={own}"
    )]
    LeaderElsewhere {
        /// The namespace of the other Lease.
        namespace: String,
        /// The name of both Leases.
        name: String,
        /// The holder of the Lease.
        holder: String,
        /// The namespace of the Lease of this process.
        own: String,
    },
    /// The API server rejects the label selector.
    #[error(
        "--watch-label-selector {selector:?} cannot be used: {why}. Write it as for kubectl get -l, such as \
         shard=a or 'shard in (a,b),!test', or leave it out to watch all objects"
    )]
    LabelSelector {
        /// The value of the flag.
        selector: String,
        /// The message of the API server.
        why: String,
    },
}

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// The reason why it could not start.
pub(super) fn run(arguments: &RunArguments) -> Result<(), RunError> {
    let settings = Settings::check(arguments)?;
    start_logging(settings.log_format, &settings.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(serve(arguments, settings));
    // The remaining tasks have used up their time.
    runtime.shutdown_background();
    outcome
}

async fn serve(arguments: &RunArguments, settings: Settings) -> Result<(), RunError> {
    let end = shutdown_signal()?;
    let (health, metrics) = (Health::default(), Metrics::default());
    serve_admin(settings.admin_address, health.clone(), metrics.clone()).await?;
    let (on_signal, on_conflict) = (health.clone(), health.clone());
    let end = async move {
        end.await;
        on_signal.set_shutting_down();
    };
    tokio::pin!(end);
    // Nothing is in progress during the start, so the process may end at once.
    let Connected { client, watching, elector, conflicts } = tokio::select! {
        () = &mut end => {
            tracing::info!("shutting down: the controller has not started yet");
            return Ok(());
        }
        connected = connect(arguments, &settings, &metrics) => connected?,
    };
    let lease = elector.is_some().then(|| (conflicts.own.namespace(), conflicts.own.name()));
    let selector = settings.watch_label_selector.as_deref();
    metrics.describe_candidate(Candidate::new(lease, &settings.watch_namespaces, selector));
    metrics.leading(false);
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
            lookup: arguments.resolver(),
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
            error = conflicts.found() => {
                tracing::error!(%error, "this process ends");
                on_conflict.set_shutting_down();
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
    let lease = Key::new(&namespace, &settings.lease_name);
    let searched = !is_in_cluster && settings.lease_namespace.is_none();
    if !settings.leader_elect {
        refuse_beside_a_leader(&client, &lease).await?;
    }
    if searched {
        refuse_beside_another_lease(&client, &lease).await?;
    }
    let conflicts = ConflictWatch { client: searched.then(|| client.clone()), own: lease.clone() };
    let elector = if settings.leader_elect {
        // A client of its own, so that no other request delays a renewal.
        config.read_timeout = Some(lease::REQUEST_TIMEOUT);
        config.connect_timeout = Some(lease::REQUEST_TIMEOUT);
        let own = self::client(config, &credentials, metrics)?;
        Some(Elector::new(own, client.clone(), lease, lease::identity(), arguments.clock()))
    } else {
        None
    };
    Ok(Connected { client, watching, elector, conflicts })
}

/// A client that has found the CRDs, and an elector unless the election is off.
struct Connected {
    client: Client,
    /// Only for watches.
    watching: Client,
    elector: Option<Elector>,
    conflicts: ConflictWatch,
}

/// Searches for another live Lease while the process runs.
struct ConflictWatch {
    /// `None` where there is no search.
    client: Option<Client>,
    own: Key,
}

impl ConflictWatch {
    /// Waits until it finds one.
    async fn found(self) -> RunError {
        if let Some(client) = &self.client
            && let Ok(Some(conflict)) = lease::find_conflicting(client, &self.own, false).await
        {
            return RunError::conflict(&conflict, &self.own);
        }
        std::future::pending().await
    }
}

impl RunError {
    fn conflict(conflict: &LeaseConflict, own: &Key) -> Self {
        Self::LeaderElsewhere {
            namespace: conflict.lease.namespace().to_owned(),
            name: conflict.lease.name().to_owned(),
            holder: conflict.holder.clone(),
            own: own.namespace().to_owned(),
        }
    }
}

/// Refuses to start beside a process that leads with another Lease, unless the flags say which Lease counts.
async fn refuse_beside_another_lease(client: &Client, own: &Key) -> Result<(), RunError> {
    match lease::find_conflicting(client, own, true).await {
        Ok(None) => Ok(()),
        Ok(Some(conflict)) => Err(RunError::conflict(&conflict, own)),
        Err(reason) => {
            tracing::warn!(
                lease = own.as_str(),
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

/// Refuses to start without an election beside an elected leader, because both would act. It waits for an API server
/// that does not answer: nothing else would find the leader later.
async fn refuse_beside_a_leader(client: &Client, key: &Key) -> Result<(), RunError> {
    let lease = key.as_str();
    loop {
        match find_leader(client, key).await {
            Ok(None) => return Ok(()),
            Ok(Some(holder)) => return Err(RunError::LeaderBeside { lease: lease.to_owned(), holder }),
            Err(error) if error.is_temporary() => {
                let reason = error.explain();
                tracing::warn!(
                    lease,
                    reason,
                    "the Lease cannot be read yet, so it is not known whether another process leads. The controller \
                     tries again, and switches nothing until then"
                );
                sleep(LEASE_READ_RETRY).await;
            }
            Err(error) => {
                let reason = error.explain();
                tracing::warn!(
                    lease,
                    reason,
                    "the Lease cannot be read, so it is not known whether another process leads. If one does, both \
                     switch tenants, each up to its own budget. Grant the right to get the Lease, or end the other \
                     process"
                );
                return Ok(());
            }
        }
    }
}

/// The holder of a Lease, if it renews the Lease.
async fn find_leader(client: &Client, key: &Key) -> Result<Option<String>, ReadError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), key.namespace());
    let Some(found) = in_time(leases.get_opt(key.name())).await? else { return Ok(None) };
    let (lease, holder, now) = (key.as_str(), lease::holder_of(&found), Clock::system().now());
    if holder.is_empty() {
        return Ok(None);
    }
    if lease::is_fresh(&found, now) {
        return Ok(Some(holder.to_owned()));
    }
    // An old renewal may be that of a leader that was cut off, and comes back. One in the future is of another clock.
    tracing::info!(lease, holder, "the Lease has a holder; it takes 15 s to know whether it is renewed");
    if lease::is_renewed(&leases, &found).await? {
        return Ok(Some(holder.to_owned()));
    }
    tracing::warn!(
        lease,
        holder,
        "no one renews the Lease, so its holder is gone, and the Lease is left alone"
    );
    Ok(None)
}

/// Serves probes and metrics, from before the cluster is reached until the process ends.
async fn serve_admin(address: SocketAddr, health: Health, metrics: Metrics) -> Result<(), RunError> {
    let server =
        AdminServer::bind(address).await.map_err(|error| RunError::AdminAddress { address, error })?;
    tracing::info!(address = %server.address(), "admin server listening");
    tokio::spawn(server.serve(health, metrics));
    Ok(())
}

/// Fails at once if the CRDs are missing or the label selector is invalid, rather than in a watch that fails forever.
/// Other errors may be temporary, and the watches retry.
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
