//! Finds the cluster, with the flags that `kubectl` has for it, and reads objects from it.

pub(crate) mod connection;
pub(crate) mod object;
pub(crate) mod pages;
pub(crate) mod scope;
pub(crate) mod watches;
pub(crate) mod writes;

use std::{path::PathBuf, time::Duration};

use axum::http::Uri;
use clap::Args;
use kube::{Client, client::ClientBuilder, config::Kubeconfig};

use self::writes::{LimitWrites, Writes};
use crate::cluster::access::{self, Access, AccessError, Selection};

/// The longest duration that a flag takes: 100 years. A longer one, added to the present, is no time any more.
pub(crate) const MAX_DURATION: Duration = Duration::from_hours(100 * 365 * 24);

/// How long a connection to the API server may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The flags that find the cluster. They are those of `kubectl`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArguments {
    /// The kubeconfig file to use, in place of those that KUBECONFIG names.
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use.
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,

    /// The cluster of the kubeconfig to use.
    #[arg(long, global = true, value_name = "NAME")]
    cluster: Option<String>,

    /// The user of the kubeconfig to use.
    #[arg(long, global = true, value_name = "NAME")]
    user: Option<String>,

    /// The namespace. Default: that of the context.
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// The user to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    impersonate: Option<String>,

    /// A group to impersonate. It can be given several times.
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "impersonate")]
    impersonate_groups: Vec<String>,

    /// How long one request to the API server may take, such as 30s; 0 for no limit.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    request_timeout: Duration,
}

/// A cluster that a command reads, and edits if it may.
pub(crate) struct Cluster {
    /// The client. It retries no write.
    pub client: Client,
    /// The URL of the API server, without user-info.
    pub server: String,
    /// The namespace that the flags or the context name.
    pub namespace: String,
}

impl ClusterArguments {
    /// The flags without those that are empty, such as `-n "$NAMESPACE"` of a script. To `kubectl` they are not given.
    #[must_use]
    pub(crate) fn without_empty(mut self) -> Self {
        self.kubeconfig = self.kubeconfig.filter(|file| !file.as_os_str().is_empty());
        let names = [
            &mut self.context,
            &mut self.cluster,
            &mut self.user,
            &mut self.namespace,
            &mut self.impersonate,
        ];
        for name in names {
            name.take_if(|name| name.is_empty());
        }
        self.impersonate_groups.retain(|group| !group.is_empty());
        self
    }

    fn selection(&self) -> Selection {
        Selection {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
            impersonate: self.impersonate.clone(),
            impersonate_groups: self.impersonate_groups.clone(),
        }
    }

    /// The kubeconfig, all files together. `None`: there is no file.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn kubeconfig(&self) -> Result<Option<Kubeconfig>, AccessError> {
        access::kubeconfig(&self.selection())
    }

    /// Finds the cluster, for a command that only reads.
    ///
    /// # Errors
    /// There is none, or no credentials for it. The error says how to name one.
    pub(crate) async fn find(&self) -> Result<Cluster, AccessError> {
        self.find_for(Writes::Nothing).await
    }

    /// Finds the cluster, for a command that may send these writes.
    ///
    /// # Errors
    /// As for [`ClusterArguments::find`].
    pub(crate) async fn find_for(&self, writes: Writes) -> Result<Cluster, AccessError> {
        let Access { mut config, credentials, .. } = Access::select(&self.selection()).await?;
        config.default_retry = false;
        config.read_timeout = (!self.request_timeout.is_zero()).then_some(self.request_timeout);
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = shown(&config.cluster_url);
        let builder = ClientBuilder::try_from(config).map_err(|error| access::explain_build(&error))?;
        let builder = builder.with_layer(&LimitWrites::to(writes)).with_layer(&credentials);
        Ok(Cluster { client: builder.build(), server, namespace })
    }
}

/// The URL of an API server as it may be displayed: some put a password into it.
fn shown(url: &Uri) -> String {
    let (scheme, host) = (url.scheme_str().unwrap_or("https"), url.host().unwrap_or_default());
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", url.path()).trim_end_matches('/').to_owned()
}

/// A duration as kubectl writes it: `30s`, `1m30s`, or a number of seconds.
///
/// # Errors
/// It is no duration, negative, or longer than [`MAX_DURATION`]. The error says how to write it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let of_number = || text.parse().ok().map(Duration::from_secs);
    let of_units = || Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok();
    of_number()
        .or_else(of_units)
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| "write a duration such as 30s, 5m or 1h30m, at most 100 years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_flag_is_none() {
        let empty = || Some(String::new());
        let arguments = ClusterArguments {
            kubeconfig: Some(PathBuf::new()),
            context: empty(),
            cluster: empty(),
            user: empty(),
            namespace: empty(),
            impersonate: empty(),
            impersonate_groups: vec![String::new()],
            request_timeout: Duration::from_secs(1),
        };
        let text = format!("{:?}", arguments.without_empty());
        assert!(!text.contains("Some") && text.contains("impersonate_groups: []"), "{text}");
    }

    #[test]
    fn the_url_of_a_server_is_shown_without_user_info() {
        for (url, text) in [
            ("https://api.example.com:6443", "https://api.example.com:6443"),
            ("https://api.example.com/", "https://api.example.com"),
            ("https://[::1]:6443/k8s/clusters/a", "https://[::1]:6443/k8s/clusters/a"),
            ("https://admin:hunter2@api.example.com:6443/a/?token=hunter2", "https://api.example.com:6443/a"),
            ("https://hunter2@api.example.com", "https://api.example.com"),
        ] {
            assert_eq!(shown(&url.parse().unwrap()), text);
        }
    }

    #[test]
    fn durations_are_read_as_kubectl_writes_them() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1h30m", 5400), ("0", 0), ("45", 45)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "-5s",
            "soon",
            "5 apples",
            "18446744073709551615",
            "18446744073709551616",
            "9223372036854775807s",
            "876001h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("876000h"), Ok(MAX_DURATION));
        assert!(tokio::time::Instant::now().checked_add(MAX_DURATION).is_some());
    }
}
