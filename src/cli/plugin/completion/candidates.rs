//! The names that can complete a word.

use std::{
    ffi::OsStr,
    fmt::Debug,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use clap_complete::{ArgValueCompleter, CompletionCandidate};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Resource, ResourceExt, api::ListParams, core::PartialObjectMeta};
use serde::de::DeserializeOwned;

use crate::{
    api::{PlatformConnection, TenantPricing},
    cli::cluster::{Cluster, ClusterArguments},
    cluster::Key,
};

/// How long the kubeconfig and the cluster may take together. A person waits for it at the keyboard.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A context of the kubeconfig.
    Context,
    /// A cluster of the kubeconfig.
    Cluster,
    /// A user of the kubeconfig.
    User,
    /// A namespace.
    Namespace,
    /// A `TenantPricing` of the namespace.
    TenantPricing,
    /// A `PlatformConnection`, as `NAMESPACE/NAME`.
    Connection,
}

/// The source of names: the kubeconfig, and the cluster that the line selects.
#[derive(Clone)]
pub(super) struct Candidates(Arc<ClusterArguments>);

impl Candidates {
    /// The names of the cluster that these flags select.
    pub(super) fn new(cluster: ClusterArguments) -> Self {
        Self(Arc::new(cluster))
    }

    /// Completes a word that names this. It reads nothing before it is asked to.
    pub(super) fn completer(&self, subject: Subject) -> ArgValueCompleter {
        let source = self.clone();
        ArgValueCompleter::new(move |word: &OsStr| {
            let word = word.to_str().unwrap_or_default();
            let names = source.names(subject).into_iter();
            names.filter(|name| name.starts_with(word)).map(CompletionCandidate::new).collect::<Vec<_>>()
        })
    }

    /// The names in order; none if they cannot be had in time.
    fn names(&self, subject: Subject) -> Vec<String> {
        let (cluster, (sender, receiver)) = (self.0.clone(), mpsc::channel());
        // In a thread of its own, because a credential plugin or a file of a dead network drive may block.
        thread::spawn(move || {
            let _ = sender.send(read(&cluster, subject));
        });
        let mut names = receiver.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default();
        // A kubeconfig may hold any name. Such a one would break the line, or the protocol of the shell.
        names.retain(|name| {
            !name.is_empty() && !name.contains(|it: char| it.is_control() || it.is_whitespace())
        });
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Reads the names. `None`: there is no kubeconfig or no cluster, or it refuses.
fn read(cluster: &ClusterArguments, subject: Subject) -> Option<Vec<String>> {
    let kubeconfig = || cluster.kubeconfig().ok().flatten();
    match subject {
        Subject::Context => Some(kubeconfig()?.contexts.into_iter().map(|context| context.name).collect()),
        Subject::Cluster => Some(kubeconfig()?.clusters.into_iter().map(|cluster| cluster.name).collect()),
        Subject::User => Some(kubeconfig()?.auth_infos.into_iter().map(|user| user.name).collect()),
        Subject::Namespace | Subject::TenantPricing | Subject::Connection => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async { stored(&cluster.find().await.ok()?, subject).await })
        }
    }
}

async fn stored(cluster: &Cluster, subject: Subject) -> Option<Vec<String>> {
    let Cluster { client, namespace, .. } = cluster;
    match subject {
        Subject::Namespace => list::<Namespace>(&Api::all(client.clone()), ResourceExt::name_any).await,
        Subject::Connection => {
            let key = |object: &PartialObjectMeta<_>| Key::of(object).to_string();
            match list::<PlatformConnection>(&Api::all(client.clone()), key).await {
                // The user may read one namespace alone.
                None => list(&Api::<PlatformConnection>::namespaced(client.clone(), namespace), key).await,
                all => all,
            }
        }
        _ => list::<TenantPricing>(&Api::namespaced(client.clone(), namespace), ResourceExt::name_any).await,
    }
}

/// The names of all objects, from the cache of the API server. Only their metadata is read.
async fn list<K>(api: &Api<K>, name: impl Fn(&PartialObjectMeta<K>) -> String) -> Option<Vec<String>>
where
    K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
{
    let listed = api.list_metadata(&ListParams::default().match_any()).await.ok()?;
    Some(listed.items.iter().map(name).collect())
}
