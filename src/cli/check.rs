//! `check`: what is wrong with an installation, what it means, and how to mend it. It writes nothing, anywhere.

mod cluster;
mod connections;
pub(crate) mod controller;
pub(crate) mod crds;
mod document;
mod findings;
mod formats;
mod list;
mod objects;
mod policies;
mod read;
pub(crate) mod rights;
#[cfg(test)]
mod tests;
pub(crate) mod unread;

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::{Instant, sleep};

use self::{
    document::{Report, Verdict},
    findings::Findings,
    formats::Detail,
    list::{Check, Group},
};
use super::{
    cluster::{Cluster, ClusterArguments, duration},
    output::{self, time},
    plugin::{CommandError, exit::Exit},
};

/// The pause between two rounds of `--wait`.
const PAUSE: Duration = Duration::from_secs(2);

/// The flags of `check`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # Before the chart is installed: what is missing, and may I install it?\n  \
    kubectl-tenantpricing check --pre -n tenant-pricing-system\n\n  \
    # The whole installation, only what is wrong\n  \
    kubectl-tenantpricing check -o short\n\n  \
    # In a pipeline, after an upgrade\n  \
    kubectl-tenantpricing check --wait --timeout 2m\n\n\
    EXIT CODES:\n  \
    0  no fault\n  \
    1  an error\n  \
    2  only warnings")]
pub(crate) struct CheckArguments {
    /// Check what an installation needs, before there is one.
    #[arg(long)]
    pre: bool,

    /// The namespace of the controller. Default: all namespaces are searched.
    #[arg(long, value_name = "NAME")]
    controller_namespace: Option<String>,

    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// Check again until there is no error.
    #[arg(long)]
    wait: bool,

    /// How long --wait waits, such as 30s or 5m.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, requires = "wait")]
    timeout: Duration,
}

/// The formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Every finding, for a terminal.
    Table,
    /// JSON, by the schema `tenantpricing.io/check/v1`.
    Json,
    /// Only warnings and errors, for a terminal.
    Short,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// The report cannot be written in this format.
    #[error(transparent)]
    Format(#[from] output::FormatError),
}

impl CheckArguments {
    /// Makes all checks and prints what they found.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        let report = if self.wait { self.until_mended(cluster).await } else { self.make(cluster).await };
        output::write(&match self.output {
            Format::Table => formats::report(&report, Detail::All),
            Format::Short => formats::report(&report, Detail::Faults),
            Format::Json => output::json(&report).map_err(CheckError::Format)?,
        })?;
        Ok(match (report.errors, report.warnings) {
            (0, 0) => Exit::Success,
            (0, _) => Exit::Changes,
            _ => Exit::Error,
        })
    }

    /// Makes all checks once.
    async fn make(&self, arguments: &ClusterArguments) -> Report {
        let mut findings = Findings::default();
        if let Some(cluster) = cluster::find(arguments, &mut findings).await {
            self.check_cluster(arguments, &cluster, &mut findings).await;
        }
        findings.report(self.pre, time::now())
    }

    /// Makes the checks that need an API server.
    async fn check_cluster(&self, arguments: &ClusterArguments, cluster: &Cluster, findings: &mut Findings) {
        let are_served = crds::check(&cluster.client, self.pre, findings).await;
        if self.pre {
            let namespace = self.controller_namespace.as_ref().unwrap_or(&cluster.namespace);
            rights::check_installer(cluster, namespace, findings).await;
            return;
        }
        let found = controller::check(cluster, self.controller_namespace.as_deref(), findings).await;
        rights::check_controllers(&cluster.client, &found, findings).await;
        policies::check(cluster, findings).await;
        if !are_served {
            return;
        }
        match read::fleet(cluster, arguments.namespace.as_deref()).await {
            Ok(fleet) => {
                connections::check(cluster, &fleet, &found, findings).await;
                objects::check(&fleet, &found, findings);
            }
            Err(unread) => {
                for check in Check::ALL {
                    if matches!(check.group(), Group::Connections | Group::Objects) {
                        findings.unread(*check, None, &unread, unread.why.clone());
                    }
                }
            }
        }
    }

    /// Makes all checks again and again, until there is no error or the time is over. Notes each change of what it
    /// waits for on standard error.
    async fn until_mended(&self, arguments: &ClusterArguments) -> Report {
        let end = Instant::now() + self.timeout; // `duration` has an upper bound
        let mut noted = Vec::new();
        loop {
            let report = self.make(arguments).await;
            // No time mends a kubeconfig.
            let is_found = report.of(Verdict::Error).all(|finding| finding.id != Check::Kubeconfig.as_str());
            if report.errors == 0 || !is_found || Instant::now() >= end {
                return report;
            }
            let errors: Vec<String> = report.of(Verdict::Error).map(formats::line).collect();
            for error in errors.iter().filter(|error| !noted.contains(*error)) {
                output::note(&format!("waiting: {error}"));
            }
            noted = errors;
            sleep(PAUSE.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }
}
