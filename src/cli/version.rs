//! `version`: the version of this program, those of the CRDs and of the controller in the cluster, and whether they
//! fit.

mod document;
#[cfg(test)]
mod tests;

use clap::{Args, ValueEnum};
use kube::ResourceExt;

use self::document::{ControllerVersion, CrdVersion, Versions, for_terminal};
use super::{
    check::{controller, crds},
    cluster::{Cluster, ClusterArguments},
    output,
    plugin::{CommandError, exit::Exit},
};
use crate::api::custom_resource_definitions;

/// The version of this program.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The flags of `version`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # This program, the CRDs and the controller\n  \
    kubectl-tenantpricing version\n\n  \
    # This program alone, without a cluster\n  \
    kubectl-tenantpricing version --client -o json")]
pub(crate) struct VersionArguments {
    /// Only the version of this program. No cluster is asked.
    #[arg(long)]
    client: bool,

    /// The namespace of the controller. Default: all namespaces are searched.
    #[arg(long, value_name = "NAME", conflicts_with = "client")]
    controller_namespace: Option<String>,

    /// The format. Default: lines for a person.
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// The formats of versions for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON, by the schema `tenantpricing.io/version/v1`.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Why the versions are not all known, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    /// The cluster cannot be read.
    #[error("the versions in the cluster are not known: {0}. Give --client to leave them out")]
    Unread(String),
    /// They cannot be written as JSON.
    #[error(transparent)]
    Format(#[from] output::FormatError),
}

impl VersionArguments {
    /// Prints the versions. What the cluster does not tell is an error after the rest is printed.
    ///
    /// # Errors
    /// The cluster cannot be read, or the output cannot be written.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        let mut versions = Versions::of_client(OWN);
        let mut unread = None;
        if !self.client {
            match cluster.find().await {
                Ok(cluster) => unread = self.read(&cluster, &mut versions).await.err(),
                Err(error) => unread = Some(error.to_string()),
            }
        }
        output::write(&match self.output {
            None => for_terminal(&versions),
            Some(Format::Json) => output::json(&versions).map_err(VersionError::Format)?,
            Some(Format::Yaml) => output::yaml(&versions).map_err(VersionError::Format)?,
        })?;
        match unread {
            Some(why) => Err(VersionError::Unread(why).into()),
            None => Ok(Exit::Success),
        }
    }

    /// Reads the versions in a cluster.
    async fn read(&self, cluster: &Cluster, versions: &mut Versions) -> Result<(), String> {
        for known in custom_resource_definitions() {
            let stored = crds::read(&cluster.client, &known).await;
            if let crds::Stored::Unread(unread) = &stored {
                return Err(unread.why.clone());
            }
            let (state, fits) = crds::in_words(&known, &stored);
            versions.crds.push(CrdVersion { name: known.name_any(), state: state.to_owned(), fits });
        }
        let installations = controller::list(cluster, self.controller_namespace.as_deref()).await;
        let installations = installations.map_err(|unread| unread.why)?;
        versions.controllers = installations
            .iter()
            .map(|installation| ControllerVersion {
                deployment: installation.key.to_string(),
                fits: installation.version.as_deref().map(|version| version == OWN),
                version: installation.version.clone(),
            })
            .collect();
        versions.conclude();
        Ok(())
    }
}
