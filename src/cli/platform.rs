//! The platform that a command reads, and the client for it.

pub(crate) mod credentials;
pub(crate) mod facts;

use std::{num::NonZeroU32, path::PathBuf, sync::Arc};

use clap::Args;

use self::credentials::{BoundCredentials, Unavailable};
use super::run::ALLOWED_HOSTS;
use crate::{
    clock::Clock,
    platform::{
        AllowedHosts, ClientOptions, CredentialSource, History, Origin, PlatformClient, PlatformError,
        Resolver,
    },
};

/// The flags that name a platform, and the credentials for it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Platform")]
#[allow(clippy::doc_markdown)] // the help shows these comments as they are
pub(crate) struct PlatformArguments {
    /// The platform that the credentials from the environment or from --credentials are for.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// A folder with the files clientId and clientSecret, as a mounted Secret has them. The variables
    /// TENANT_PRICING_CLIENT_ID and TENANT_PRICING_CLIENT_SECRET go first.
    #[arg(long, value_name = "DIR", requires = "url")]
    pub credentials: Option<PathBuf>,

    /// Allowed hosts of the platform, as for the controller.
    #[arg(long, env = "TENANT_PRICING_ALLOWED_HOSTS", value_name = "LIST", default_value = ALLOWED_HOSTS)]
    pub allowed_hosts: String,
}

/// A flag has an invalid value. The reason quotes it, without user-info: a person may have put a password there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag}: {why}")]
pub(crate) struct InvalidFlag {
    flag: &'static str,
    why: String,
}

impl PlatformArguments {
    /// The origin that `--url` names. `None` without the flag.
    ///
    /// # Errors
    /// The URL is invalid.
    pub(crate) fn origin(&self) -> Result<Option<Origin>, InvalidFlag> {
        let parse = |url: &String| {
            Origin::parse(url).map_err(|error| InvalidFlag { flag: "url", why: error.to_string() })
        };
        self.url.as_ref().map(parse).transpose()
    }

    /// The credentials that were given for the origin of `--url`, if any were.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) fn credentials_for(&self, origin: &Origin) -> Result<Option<BoundCredentials>, Unavailable> {
        BoundCredentials::given(self.credentials.as_deref(), origin)
    }

    /// The hosts that may be called.
    ///
    /// # Errors
    /// The list is invalid.
    pub(crate) fn allowed_hosts(&self) -> Result<AllowedHosts, InvalidFlag> {
        AllowedHosts::parse(&self.allowed_hosts)
            .map_err(|error| InvalidFlag { flag: "allowed-hosts", why: error.to_string() })
    }
}

/// A client that reads from one platform, at the rate of a connection.
///
/// # Errors
/// The allow-list does not admit the origin, or the certificates cannot be used.
pub(crate) fn client(
    origin: Origin,
    ca_bundle: Option<&str>,
    requests_per_second: u32,
    allowed_hosts: &AllowedHosts,
    source: Arc<dyn CredentialSource>,
) -> Result<PlatformClient, PlatformError> {
    let options = ClientOptions {
        origin,
        allowed_hosts: allowed_hosts.clone(),
        ca_bundle: ca_bundle.map(Into::into),
        proxy: None,
        resolver: Resolver::default(),
        requests_per_second: NonZeroU32::new(requests_per_second).unwrap_or(NonZeroU32::MIN),
        metrics: None,
        clock: Clock::system(),
        history: History::default(),
    };
    PlatformClient::new(options, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_url_is_shown() {
        for url in [
            "https://id:hunter2@eu2-cloud.acronis.com",
            "https://hunter2@eu2-cloud.acronis.com",
            "https://id:p?hunter2@eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com/?token=hunter2",
        ] {
            let given = |url: Option<&str>, hosts: &str| PlatformArguments {
                url: url.map(str::to_owned),
                credentials: None,
                allowed_hosts: hosts.to_owned(),
            };
            let error = given(Some(url), "").origin().unwrap_err().to_string();
            assert!(error.starts_with("--url: ") && !error.contains("hunter2"), "{error}");
            let hosts = format!("*.acronis.com,{url}");
            let error = given(None, &hosts).allowed_hosts().unwrap_err().to_string();
            assert!(error.starts_with("--allowed-hosts: ") && !error.contains("hunter2"), "{error}");
        }
    }
}
