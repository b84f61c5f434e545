//! The flags of `run`, and where their values come from.

use std::{collections::BTreeSet, convert::Infallible};

use clap::{ArgMatches, Args, parser::ValueSource};
use secrecy::SecretString;

use crate::{clock::Clock, platform::Resolver};

pub(in crate::cli) const ALLOWED_HOSTS: &str = "*.acronis.com";
pub(in crate::cli) const LEASE_NAME: &str = "tenant-pricing-controller";
pub(super) const ADMIN_ADDRESS: &str = "0.0.0.0:8080";

/// The flags of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Allowed hosts of the platform, separated by commas: `host`, `*.domain`, `host:port`, or `http://host:port` for a
    /// host without TLS.
    #[arg(long, env = "TENANT_PRICING_ALLOWED_HOSTS", value_name = "LIST",
          default_value = ALLOWED_HOSTS)]
    pub(super) allowed_hosts: String,

    /// Proxy to the platform, for example `http://proxy.example:3128`. The usual proxy variables of the environment are
    /// ignored.
    // Neither --help nor a refusal shows it, because it may contain a password.
    #[arg(long, env = "TENANT_PRICING_PLATFORM_PROXY", value_name = "URL", hide_env_values = true,
          value_parser = unread)]
    pub(super) platform_proxy: Option<SecretString>,

    /// Namespaces to watch, separated by commas. Include those of the connections. Default: all.
    #[arg(long, env = "TENANT_PRICING_WATCH_NAMESPACES", value_name = "LIST", value_delimiter = ',')]
    pub(super) watch_namespaces: Vec<String>,

    /// Label selector of the `TenantPricing`s to watch, as for `kubectl get -l`: `shard=a`, or `shard in (a,b),!test`.
    /// Another installation may watch the others. Default: all.
    #[arg(long, env = "TENANT_PRICING_WATCH_LABEL_SELECTOR", value_name = "SELECTOR")]
    pub(super) watch_label_selector: Option<String>,

    /// Elect a leader among the replicas with a Lease: one replica acts, the others stand by. Use `false` only where
    /// there is never more than one process, not even for a moment.
    #[arg(long, env = "TENANT_PRICING_LEADER_ELECT", value_name = "BOOL", default_value = "true",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) leader_elect: String,

    /// Namespace of the Lease. Default: that of the pod, or of the kubeconfig's context.
    #[arg(long, env = "TENANT_PRICING_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub(super) lease_namespace: Option<String>,

    /// Name of the Lease. Installations that share a namespace need different names.
    #[arg(
        long,
        env = "TENANT_PRICING_LEASE_NAME",
        value_name = "NAME",
        default_value = LEASE_NAME
    )]
    pub(super) lease_name: String,

    /// IP address and port of `/livez`, `/readyz` and `/metrics`; port 0 selects a free port.
    #[arg(long, env = "TENANT_PRICING_ADMIN_ADDRESS", value_name = "ADDRESS",
          default_value = ADMIN_ADDRESS)]
    pub(super) admin_address: String,

    /// Log format: `text` for people, `json` for log collectors.
    #[arg(long, env = "TENANT_PRICING_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: String,

    /// Log level: error, warn, info, debug, trace, off, or a list of directives.
    #[arg(long, env = "TENANT_PRICING_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,

    /// The ids of the flags whose values come from environment variables.
    #[arg(skip)]
    from_variables: BTreeSet<String>,

    /// File with the offset of the controller's clock, in seconds. Only in builds for tests.
    #[cfg(feature = "test-support")]
    #[arg(long, env = "TENANT_PRICING_TEST_CLOCK_FILE", hide = true)]
    test_clock_file: Option<std::path::PathBuf>,

    /// File with addresses of hosts, as in `/etc/hosts`. Only in builds for tests.
    #[cfg(feature = "test-support")]
    #[arg(long, env = "TENANT_PRICING_TEST_HOSTS_FILE", hide = true)]
    test_hosts_file: Option<std::path::PathBuf>,
}

impl RunArguments {
    /// Records which values come from environment variables.
    pub(in crate::cli) fn record_sources(&mut self, matches: &ArgMatches) {
        let is_variable = |id: &&str| matches.value_source(id) == Some(ValueSource::EnvVariable);
        let ids = matches.ids().map(clap::Id::as_str);
        self.from_variables = ids.filter(is_variable).map(str::to_owned).collect();
    }

    /// Acts as if every value came from its environment variable.
    #[cfg(test)]
    pub(super) fn assume_variables(&mut self) {
        let flags = ["allowed_hosts", "leader_elect", "lease_namespace", "lease_name", "admin_address"];
        let all = flags.into_iter().chain(["log_format", "log_level", "watch_namespaces"]);
        self.from_variables = all.map(str::to_owned).collect();
    }

    /// Whether the value of a flag, as in `log-level`, comes from its environment variable.
    pub(super) fn is_from_variable(&self, flag: &str) -> bool {
        self.from_variables.contains(&flag.replace('-', "_"))
    }

    #[cfg(feature = "test-support")]
    pub(super) fn resolver(&self) -> Resolver {
        self.test_hosts_file.clone().map_or_else(Resolver::default, Resolver::from_file)
    }

    #[cfg(not(feature = "test-support"))]
    pub(super) fn resolver(&self) -> Resolver {
        let _ = self;
        Resolver::default()
    }

    #[cfg(feature = "test-support")]
    pub(super) fn clock(&self) -> Clock {
        self.test_clock_file.clone().map_or_else(Clock::system, Clock::from_file)
    }

    #[cfg(not(feature = "test-support"))]
    pub(super) fn clock(&self) -> Clock {
        let _ = self;
        Clock::system()
    }
}

/// Accepts any text. [`Settings`](super::settings::Settings) parses it, and reports problems without showing it.
#[allow(clippy::unnecessary_wraps)] // clap requires this signature
fn unread(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}
