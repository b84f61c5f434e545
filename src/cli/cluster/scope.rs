//! Which objects of the cluster a command reads: those of one namespace or of all, and those that a selector matches.

use clap::Args;
use kube::{Api, Resource, api::ListParams, core::NamespaceResourceScope};

use super::Cluster;

/// The flags that choose objects. They are those of `kubectl get`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ScopeArguments {
    /// Read all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Read only objects with these labels, such as team=a,env!=test.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

/// Which objects are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The namespace. `None`: all.
    pub namespace: Option<String>,
    /// The label selector, if there is one.
    pub selector: Option<String>,
}

impl ScopeArguments {
    /// The scope in a cluster: without `-A` the namespace that the flags or the context name.
    pub(crate) fn of(&self, cluster: &Cluster) -> Scope {
        Scope {
            namespace: (!self.all_namespaces).then(|| cluster.namespace.clone()),
            selector: self.selector.clone(),
        }
    }
}

impl Scope {
    /// The requests for the objects of a kind.
    pub(crate) fn api<K>(&self, cluster: &Cluster) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
            None => Api::all(cluster.client.clone()),
        }
    }

    /// The parameters of a list of the objects.
    pub(crate) fn parameters(&self) -> ListParams {
        ListParams { label_selector: self.selector.clone(), ..ListParams::default() }
    }

    /// The scope in words: `namespace team`, or `all namespaces`.
    pub(crate) fn in_words(&self) -> String {
        let place = self
            .namespace
            .as_ref()
            .map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {name}"));
        match &self.selector {
            Some(selector) => format!("{place}, with labels {selector}"),
            None => place,
        }
    }

    /// The sentence after a refusal of the API server: which flag asks for less.
    pub(crate) fn advice(&self, error: &kube::Error) -> &'static str {
        let is_refused = matches!(error, kube::Error::Api(status) if status.code == 403);
        match (is_refused, &self.namespace) {
            (true, None) => ". Name a namespace that you may read with -n, in place of -A",
            (true, Some(_)) => ". Name a namespace that you may read with -n",
            (false, _) => "",
        }
    }
}
