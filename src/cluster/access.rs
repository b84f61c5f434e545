//! Finds the cluster as `kubectl` does: by `KUBECONFIG`, by `~/.kube/config`, or inside a pod by its
//! `ServiceAccount`.
//!
//! kube's own loader runs credential plugins itself, and prints their environment and output when they fail. This
//! module takes the credentials out of the loaded configuration. No error text contains a byte of them.

mod credentials;
mod kubeconfig;
mod plugin;

use std::{ffi::OsString, path::PathBuf};

pub use credentials::Credentials;
use kube::{
    Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use kubeconfig::Found;

/// Why the API server cannot be reached. A sentence for the person who runs the controller, without any secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessError(String);

impl AccessError {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// How to reach the API server.
pub struct Access {
    /// Everything but the credentials that a header carries.
    pub config: Config,
    /// What authorizes the requests.
    pub credentials: Credentials,
    /// Whether the configuration is that of the pod's `ServiceAccount`.
    pub is_in_cluster: bool,
}

/// What a person selects on the command line, with the flags of `kubectl`. Nothing of it is ever ignored: another
/// cluster than the one that is meant could start billing.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The one file to read in place of those in `KUBECONFIG`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in place of the current one.
    pub context: Option<String>,
    /// The cluster in place of the context's.
    pub cluster: Option<String>,
    /// The user in place of the context's.
    pub user: Option<String>,
    /// The user to impersonate.
    pub impersonate: Option<String>,
    /// The groups to impersonate.
    pub impersonate_groups: Vec<String>,
}

impl Selection {
    /// The first flag that selects something of a kubeconfig, with its value.
    fn of_a_kubeconfig(&self) -> Option<String> {
        let file =
            self.kubeconfig.as_ref().map(|file| format!("--kubeconfig {:?}", file.display().to_string()));
        let names = [("--context", &self.context), ("--cluster", &self.cluster), ("--user", &self.user)];
        let mut names =
            names.into_iter().filter_map(|(flag, name)| Some(format!("{flag} {:?}", name.as_ref()?)));
        file.or_else(|| names.next())
    }
}

/// Where a kubeconfig is searched for.
#[derive(Debug, Default)]
struct Places {
    /// The only file, in place of the list.
    file: Option<PathBuf>,
    /// The variable `KUBECONFIG`.
    list: Option<OsString>,
    home: Option<PathBuf>,
    /// Whether this is a pod.
    is_pod: bool,
}

impl Places {
    fn of(selection: &Selection) -> Self {
        Self {
            file: selection.kubeconfig.clone(),
            list: std::env::var_os("KUBECONFIG"),
            home: std::env::home_dir(),
            is_pod: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        }
    }
}

/// The kubeconfig that [`Access::select`] reads, all files together. `None`: there is no file.
///
/// # Errors
/// A file cannot be read.
#[cfg(feature = "cli")]
pub fn kubeconfig(selection: &Selection) -> Result<Option<Kubeconfig>, AccessError> {
    Ok(match kubeconfig::find(&Places::of(selection))? {
        Found::Kubeconfig(kubeconfig) => Some(*kubeconfig),
        Found::Nothing(_) => None,
    })
}

impl Access {
    /// Finds the cluster and gets the first credentials, which may run a plugin.
    ///
    /// # Errors
    /// There is no cluster, or no credentials for it.
    pub async fn find() -> Result<Self, AccessError> {
        Self::select(&Selection::default()).await
    }

    /// As [`Access::find`], with what a person selects.
    ///
    /// # Errors
    /// There is no such cluster, context or user, or no credentials.
    pub async fn select(selection: &Selection) -> Result<Self, AccessError> {
        Self::find_in(Places::of(selection), selection).await
    }

    async fn find_in(places: Places, selection: &Selection) -> Result<Self, AccessError> {
        let (mut config, is_in_cluster) = match (kubeconfig::find(&places)?, selection.of_a_kubeconfig()) {
            (Found::Kubeconfig(kubeconfig), _) => (from_kubeconfig(*kubeconfig, selection).await?, false),
            (Found::Nothing(why), Some(flag)) => {
                return Err(AccessError::new(format!(
                    "{flag} selects from a kubeconfig, and there is none: {why}. Name one that exists with --kubeconfig"
                )));
            }
            (Found::Nothing(why), None) if !places.is_pod => {
                return Err(AccessError::new(format!(
                    "{why}. Set KUBECONFIG to a file that exists, or run inside a cluster"
                )));
            }
            (Found::Nothing(why), None) => {
                tracing::debug!(why, "the ServiceAccount of the pod is used");
                (in_cluster()?, true)
            }
        };
        check_proxy(&mut config)?;
        if config.default_namespace.trim().is_empty() {
            "default".clone_into(&mut config.default_namespace);
        }
        let mut auth_info = std::mem::take(&mut config.auth_info);
        if let Some(user) = &selection.impersonate {
            auth_info.impersonate = Some(user.clone());
        }
        if !selection.impersonate_groups.is_empty() {
            auth_info.impersonate_groups = Some(selection.impersonate_groups.clone());
        }
        let credentials = Credentials::of(&auth_info)?;
        config.auth_info = without_header(auth_info);
        // Faulty credentials are reported at the start, and not by each request.
        credentials.authorization().await?;
        if let Some((certificate, key)) = credentials.identity() {
            config.auth_info.client_certificate_data = Some(certificate);
            config.auth_info.client_key_data = Some(key);
        }
        Ok(Self { config, credentials, is_in_cluster })
    }
}

async fn from_kubeconfig(kubeconfig: Kubeconfig, selection: &Selection) -> Result<Config, AccessError> {
    // kube takes an unknown user for one without credentials.
    if let Some(user) = &selection.user
        && !kubeconfig.auth_infos.iter().any(|known| known.name == *user)
    {
        return Err(AccessError::new(format!("--user {user:?}: the kubeconfig has no such user")));
    }
    let options = KubeConfigOptions {
        context: selection.context.clone(),
        cluster: selection.cluster.clone(),
        user: selection.user.clone(),
    };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| match error {
        KubeconfigError::LoadContext(name) if selection.context.is_some() => {
            AccessError::new(format!("--context {name:?}: the kubeconfig has no such context"))
        }
        KubeconfigError::LoadClusterOfContext(name) if selection.cluster.is_some() => {
            AccessError::new(format!("--cluster {name:?}: the kubeconfig has no such cluster"))
        }
        error => AccessError::new(kubeconfig::explain(&error)),
    })
}

fn in_cluster() -> Result<Config, AccessError> {
    let mut config = Config::incluster().map_err(|error| {
        AccessError::new(format!("the ServiceAccount of this pod cannot be used: {error}"))
    })?;
    config.default_namespace = config.default_namespace.trim().to_owned();
    Ok(config)
}

/// The authentication settings without those that [`Credentials`] put into the header.
fn without_header(auth_info: AuthInfo) -> AuthInfo {
    AuthInfo {
        client_certificate: auth_info.client_certificate,
        client_certificate_data: auth_info.client_certificate_data,
        client_key: auth_info.client_key,
        client_key_data: auth_info.client_key_data,
        impersonate: auth_info.impersonate,
        impersonate_uid: auth_info.impersonate_uid,
        impersonate_groups: auth_info.impersonate_groups,
        impersonate_user_extra: auth_info.impersonate_user_extra,
        ..AuthInfo::default()
    }
}

/// Checks that kube can use the proxy to the API server. Its URL may hold a password, and is not shown.
fn check_proxy(config: &mut Config) -> Result<(), AccessError> {
    let Some(proxy) = &config.proxy_url else { return Ok(()) };
    let has_user = proxy.authority().is_some_and(|authority| authority.as_str().contains('@'));
    match proxy.scheme_str() {
        Some("socks5" | "socks5h") if has_user => Err(AccessError::new(
            "proxy-url of the kubeconfig, or HTTPS_PROXY: a socks5 proxy with a user name is not supported. Use one \
             without, or an http or https proxy",
        )),
        Some("http" | "https" | "socks5") => Ok(()),
        // The proxy resolves the host in either case, as it does for kubectl.
        Some("socks5h") => {
            let mut parts = proxy.clone().into_parts();
            parts.scheme = "socks5".parse().ok();
            let rewritten = parts.try_into().map_err(|_| AccessError::new("proxy-url is no URL"))?;
            config.proxy_url = Some(rewritten);
            Ok(())
        }
        Some(scheme) => Err(AccessError::new(format!(
            "proxy-url of the kubeconfig, or HTTPS_PROXY, has the scheme {scheme:?}. Use http, https or socks5"
        ))),
        None => Err(AccessError::new(
            "proxy-url of the kubeconfig, or HTTPS_PROXY, has no scheme. Write it as http://proxy.example:3128",
        )),
    }
}

/// A sentence for kube's error when it cannot build a client from an [`Access`].
#[must_use]
pub fn explain_build(error: &kube::Error) -> AccessError {
    let sentence = match error {
        kube::Error::InferKubeconfig(error) => kubeconfig::explain(error),
        // The error's text quotes lines of the key.
        kube::Error::RustlsTls(_) => "client-certificate and client-key of the kubeconfig, or its \
             certificate-authority, cannot be used: they must be PEM, and certificate and key a pair"
            .to_owned(),
        kube::Error::HttpError(_) => {
            "`as`, `as-groups` or `as-user-extra` of the kubeconfig holds a character that no header can carry"
                .to_owned()
        }
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            "proxy-url of the kubeconfig, or HTTPS_PROXY, is not supported. Use http, https or socks5".to_owned()
        }
        kube::Error::Auth(_) => "the credentials of the kubeconfig cannot be used".to_owned(),
        error => super::explain(error),
    };
    AccessError::new(sentence)
}

#[cfg(test)]
mod tests;
