//! `import`: writes manifests for the tenants that the platform has. It changes nothing on the platform and nothing in
//! a cluster.
//!
//! No manifest asks for a switch: see [`manifest::pinned`].

mod changes;
mod existing;
mod file;
mod files;
mod folder;
mod kustomization;
mod listing;
mod manifest;
mod names;
mod namespaces;
mod report;
mod target;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use kube::Api;
use tokio_util::sync::CancellationToken;

use self::{
    changes::{Changes, SelectedMode, Selection},
    existing::{Existing, ExistingError},
    folder::Written,
    listing::{Listing, ListingError},
    manifest::Subject,
    report::Report,
    target::Target,
};
use super::{
    cluster::ClusterArguments,
    output::{self, escape},
    platform::{self, InvalidFlag, PlatformArguments, credentials::Unavailable},
    plugin::{CommandError, exit::Exit},
};
use crate::{
    api::{ConnectionRef, PlatformConnection},
    cluster::{Key, explain},
    connections,
    platform::{CredentialSource, Origin, PlatformClient, PlatformError, TenantId},
};

/// The rate limit for a platform that no connection names, in requests a second. It is the default of a connection.
const REQUESTS_PER_SECOND: u32 = 10;

/// The flags of `import`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # A folder for Kustomize, observe-only, through a connection of the current cluster\n  \
    kubectl-tenantpricing import --connection platform/eu2 --output tenants/\n\n  \
    # Without a cluster, with the credentials from the environment\n  \
    kubectl-tenantpricing import --url https://eu2-cloud.acronis.com --output tenants/\n\n  \
    # What is in trial below one reseller, pinned to its present mode, on standard output\n  \
    kubectl-tenantpricing import --connection platform/eu2 --parent 0fcd4a69-8a40-4de8-b711-d9c83dc000f7 \\\n    \
    --mode trial --pin-mode --output -\n\n\
    EXIT CODES:\n  \
    0  every tenant has a manifest\n  1  an error: something could not be read or written")]
pub(crate) struct ImportArguments {
    /// The connection that the manifests name. Without --url, the cluster is asked for it, for its platform and for its
    /// credentials.
    #[arg(long, value_name = "[NAMESPACE/]NAME", required_unless_present = "url")]
    connection: Option<String>,

    #[command(flatten)]
    platform: PlatformArguments,

    /// Only the tenants below this one. Default: all below the tenant of the credentials.
    #[arg(long, value_name = "ID")]
    parent: Option<TenantId>,

    /// Only the tenants whose name begins like this.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name_prefix: String,

    /// Only the tenants in one of these modes.
    #[arg(long, value_name = "MODE", value_delimiter = ',')]
    mode: Vec<SelectedMode>,

    /// Write the mode that each tenant has now: trial, or production for a tenant that is billed already. Without it,
    /// the manifests only observe. Either way, no tenant is switched.
    #[arg(long)]
    pin_mode: bool,

    /// Sort the files into one subfolder for each parent tenant.
    #[arg(long, value_name = "BY")]
    group_by: Option<GroupBy>,

    /// Where the manifests go: a folder with one object a file, a file ending in .yaml, or - for standard output.
    #[arg(short, long, value_name = "DIR|FILE|-")]
    output: PathBuf,
}

/// How files are sorted into folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GroupBy {
    /// One folder for each parent tenant.
    Parent,
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// A flag has an invalid value.
    #[error("--{flag}: {why}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong, and the way out.
        why: String,
    },
    /// `--url` or `--allowed-hosts` has an invalid value.
    #[error(transparent)]
    PlatformFlag(#[from] InvalidFlag),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] Unavailable),
    /// There are no credentials.
    #[error(
        "there are no credentials for {0}. Set TENANT_PRICING_CLIENT_ID and TENANT_PRICING_CLIENT_SECRET, or give \
         --credentials"
    )]
    NoCredentials(Origin),
    /// The connection cannot be used.
    #[error("PlatformConnection {key}: {why}")]
    Connection {
        /// The connection.
        key: Key,
        /// What is wrong, and the way out.
        why: String,
    },
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] PlatformError),
    /// The platform cannot be read.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// What is there already cannot be read.
    #[error(transparent)]
    Existing(#[from] ExistingError),
    /// The manifests cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why manifests were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The operating system refuses.
    #[error(
        "failed to write {}: {error}. {written} of {of} manifests are written, each as a whole. Run the command again \
         to go on",
        escape::path(path)
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
        /// How many manifests were written before.
        written: usize,
        /// How many there are to write.
        of: usize,
    },
    /// The person stopped the command.
    #[error(
        "stopped. {written} of {of} manifests are written, each as a whole. Run the command again to go on"
    )]
    Stopped {
        /// How many manifests were written before.
        written: usize,
        /// How many there are to write.
        of: usize,
    },
    /// The file has no manifest of this program.
    #[error("{} is in the way: it has content, and no TenantPricing. Name another file, or move it", escape::path(.0))]
    InTheWay(PathBuf),
    /// Somebody edited the file meanwhile, or another import wrote it.
    #[error("{} has changed since it was read, and stays as it is. Run the command again", escape::path(.0))]
    Changed(PathBuf),
    /// Another run writes to the same place.
    #[error(transparent)]
    Locked(#[from] files::Locked),
    /// A manifest cannot be written as YAML, which is a bug.
    #[error("a manifest cannot be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// A manifest to write.
#[derive(Debug)]
pub(crate) struct NewManifest<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The name of the object, and of the file.
    object: String,
    /// The folder that it goes to, below the one of `--output`.
    group: Option<String>,
}

impl NewManifest<'_> {
    /// The file, below the folder of `--output`.
    fn place(&self) -> PathBuf {
        let file = format!("{}.yaml", self.object);
        self.group.as_deref().map_or_else(|| file.clone().into(), |group| Path::new(group).join(&file))
    }
}

/// What all manifests of a run have in common.
pub(crate) struct Writing<'a> {
    listing: &'a Listing,
    namespace: Option<&'a str>,
    connection: Option<&'a ConnectionRef>,
    pins_mode: bool,
    stop: &'a CancellationToken,
}

impl Writing<'_> {
    /// Whether the person stopped the command.
    fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// The text of a manifest.
    fn manifest(&self, new: &NewManifest<'_>) -> Result<String, serde_saphyr::ser::Error> {
        let mode = self.listing.get(new.tenant).map(|tenant| &tenant.mode);
        manifest::to_yaml(&Subject {
            object: &new.object,
            namespace: self.namespace,
            tenant: new.tenant,
            path: &self.listing.path(new.tenant),
            mode: mode.filter(|_| self.pins_mode).and_then(manifest::pinned),
            connection: self.connection,
        })
    }
}

impl ImportArguments {
    /// Writes the manifests, and reports what was done.
    ///
    /// # Errors
    /// Nothing could be read, or not everything could be written.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stopped.cancel();
            }
        });
        let target = Target::of(&self.output).map_err(|why| flag("output", why))?;
        if self.group_by.is_some() && !matches!(target, Target::Folder(_)) {
            return Err(flag("group-by", "it sorts files into folders, so --output must be a folder").into());
        }
        // What is there comes first: it costs no request.
        let existing = match &target {
            Target::Folder(folder) => Existing::in_folder(folder),
            Target::File(file) => Existing::in_file(file),
            Target::StandardOutput => Ok(Existing::default()),
        };
        let existing = existing.map_err(ImportError::from)?;
        let (client, connection, namespace) = until(&stop, self.client(cluster)).await?;
        let listing = Listing::read(&client, self.parent.as_ref());
        let listing = until(&stop, async { Ok(listing.await.map_err(ImportError::from)?) }).await?;
        let selection = Selection { name_prefix: self.name_prefix.clone(), modes: self.mode.clone() };
        let named = connection.clone().unwrap_or_default();
        let changes = changes::compare(&listing, &existing, &selection, &named, namespace.as_deref());
        let gone = self.gone(&client, &listing, &changes);
        let gone = until(&stop, async { Ok(gone.await.map_err(ImportError::from)?) }).await?;
        let writing = Writing {
            listing: &listing,
            namespace: cluster.namespace.as_deref(),
            connection: connection.as_ref(),
            pins_mode: self.pin_mode,
            stop: &stop,
        };
        let manifests = self.manifests(&target, &existing, &listing, &changes);
        let written = write(&target, &existing, &manifests, &writing)?;
        let report = Report {
            output: &self.output,
            target: &target,
            changes: &changes,
            gone,
            written,
            unreadable: (&listing.unreadable.0, listing.unreadable.1),
            pins_mode: self.pin_mode,
        };
        report.lines().iter().for_each(|line| output::note(line));
        Ok(if report.has_errors() { Exit::Error } else { Exit::Success })
    }

    /// The client, the connection that the manifests name, and the namespace of objects that name none, if it is known.
    async fn client(
        &self,
        cluster: &ClusterArguments,
    ) -> Result<(PlatformClient, Option<ConnectionRef>, Option<String>), CommandError> {
        let allowed = self.platform.allowed_hosts().map_err(ImportError::from)?;
        let connection = self.connection.as_deref().map(connection_ref).transpose()?;
        if let Some(origin) = self.platform.origin().map_err(ImportError::from)? {
            let credentials = self.platform.credentials_for(&origin).map_err(ImportError::from)?;
            let credentials = credentials.ok_or_else(|| ImportError::NoCredentials(origin.clone()))?;
            let source = credentials.for_origin(&origin).map_err(ImportError::from)?;
            let client = platform::client(origin, None, REQUESTS_PER_SECOND, &allowed, Arc::new(source));
            return Ok((client.map_err(ImportError::from)?, connection, cluster.namespace.clone()));
        }
        let cluster = cluster.find().await?;
        let mut connection = connection.unwrap_or_default();
        let namespace = connection.namespace.get_or_insert_with(|| cluster.namespace.clone());
        let key = Key::new(namespace, &connection.name);
        let refused = |why: String| ImportError::Connection { key: key.clone(), why };
        let api: Api<PlatformConnection> = Api::namespaced(cluster.client.clone(), key.namespace());
        let stored = api.get_opt(key.name()).await.map_err(|error| refused(explain(&error)))?;
        let stored = stored.ok_or_else(|| {
            refused(
                "there is none of this name. List them with kubectl get pconn -A, or give --url".to_owned(),
            )
        })?;
        if stored.spec.suspend {
            return Err(refused("it is suspended, so no request is made through it".to_owned()).into());
        }
        let origin =
            Origin::parse(&stored.spec.url).map_err(|error| refused(format!("spec.url: {error}")))?;
        let secret = Key::new(key.namespace(), &stored.spec.credentials_secret_ref.name);
        let source: Arc<dyn CredentialSource> = connections::secret_credentials(&cluster.client, &secret);
        let (bundle, pace) = (stored.spec.ca_bundle.as_deref(), stored.spec.requests_per_second);
        let client = platform::client(origin, bundle, pace, &allowed, source);
        let client = client.map_err(|error| refused(error.to_string()))?;
        Ok((client, Some(connection), Some(cluster.namespace)))
    }

    /// The manifests whose tenant is gone. With `--parent`, a tenant may only be elsewhere, so the platform is asked.
    async fn gone<'a>(
        &self,
        client: &PlatformClient,
        listing: &Listing,
        changes: &Changes<'a>,
    ) -> Result<Vec<(&'a TenantId, &'a existing::Entry)>, PlatformError> {
        let mut gone = changes.missing.clone();
        if listing.unreadable.1 > 0 {
            gone.clear();
        } else if self.parent.is_some() && !gone.is_empty() {
            let ids: Vec<TenantId> = gone.iter().map(|(id, _)| (*id).clone()).collect();
            let found = client.tenants(&ids).await?.value;
            let elsewhere: HashSet<&TenantId> =
                found.iter().filter(|tenant| !tenant.deleted).map(|tenant| &tenant.id).collect();
            gone.retain(|(id, _)| !elsewhere.contains(id));
        }
        Ok(gone)
    }

    /// The manifests to write, in the order of their names.
    fn manifests<'a>(
        &self,
        target: &Target,
        existing: &Existing,
        listing: &Listing,
        changes: &Changes<'a>,
    ) -> Vec<NewManifest<'a>> {
        let names = folder::object_names(existing, &changes.new);
        let groups = match (target, self.group_by) {
            (Target::Folder(folder), Some(GroupBy::Parent)) => {
                Some(folder::group_folders(folder, existing, listing, &changes.new))
            }
            _ => None,
        };
        let group = |parent: Option<&TenantId>| {
            groups.as_ref().and_then(|groups| groups.get(parent.unwrap_or(listing.root())).cloned())
        };
        let mut manifests: Vec<NewManifest<'a>> = names
            .into_iter()
            .zip(&changes.new)
            .map(|(object, (tenant, listed))| NewManifest {
                tenant,
                object,
                group: group(listed.parent.as_ref()),
            })
            .collect();
        manifests.sort_by(|one, other| one.object.cmp(&other.object));
        manifests
    }
}

/// The result of a read, unless the person stops the command before.
async fn until<T>(
    stop: &CancellationToken,
    read: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let stopped = || ImportError::from(WriteError::Stopped { written: 0, of: 0 }).into();
    stop.run_until_cancelled(read).await.unwrap_or_else(|| Err(stopped()))
}

fn write(
    target: &Target,
    existing: &Existing,
    manifests: &[NewManifest<'_>],
    writing: &Writing<'_>,
) -> Result<Written, CommandError> {
    match target {
        Target::Folder(path) => {
            return Ok(folder::write(path, existing, manifests, writing).map_err(ImportError::from)?);
        }
        Target::File(path) => {
            file::write(path, existing, manifests, writing).map_err(ImportError::from)?;
        }
        Target::StandardOutput => {
            let mut text = String::new();
            for manifest in manifests {
                text.push_str("---\n");
                text.push_str(
                    &writing
                        .manifest(manifest)
                        .map_err(|error| ImportError::from(WriteError::from(error)))?,
                );
            }
            output::write(&text)?;
        }
    }
    Ok(Written { count: manifests.len(), ..Written::default() })
}

/// The connection that a flag names, as `NAMESPACE/NAME` or `NAME`.
fn connection_ref(text: &str) -> Result<ConnectionRef, ImportError> {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    if name.is_empty() || name.contains('/') || namespace.is_some_and(str::is_empty) {
        return Err(flag("connection", format!("{text:?} is no name of a connection: write NAMESPACE/NAME")));
    }
    Ok(ConnectionRef { name: name.to_owned(), namespace: namespace.map(ToOwned::to_owned) })
}

fn flag(flag: &'static str, why: impl Into<String>) -> ImportError {
    ImportError::Flag { flag, why: why.into() }
}
