//! The versions as data, and for a terminal. Pure.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::output::escape;

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/version/v1";

/// The versions of this program and of what is installed in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Versions {
    /// The format: `tenantpricing.io/version/v1`.
    pub schema: String,
    /// The version of this program.
    pub client: String,
    /// The CRDs in the cluster. Empty if no cluster was asked.
    pub crds: Vec<CrdVersion>,
    /// The controllers in the cluster. Empty if there is none, or no cluster was asked.
    pub controllers: Vec<ControllerVersion>,
    /// Whether all of them fit this program. It is missing if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
}

/// A CRD in the cluster. A CRD has no version of its own: its content is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CrdVersion {
    /// The name of the CRD.
    pub name: String,
    /// How its content compares with that of this program, in words.
    pub state: String,
    /// Whether it fits this program. It is missing if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
}

/// A controller in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ControllerVersion {
    /// The Deployment, as `namespace/name`.
    pub deployment: String,
    /// The version of its image. It is missing if neither the tag nor a label tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it is the version of this program. It is missing if the version is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
}

impl Versions {
    /// The version of this program alone.
    pub(crate) fn of_client(version: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            client: version.to_owned(),
            crds: Vec::new(),
            controllers: Vec::new(),
            fits: None,
        }
    }

    /// Adds whether all of what was read fits. One that does not decides it.
    pub(crate) fn conclude(&mut self) {
        let all = || self.crds.iter().map(|crd| crd.fits).chain(self.controllers.iter().map(|one| one.fits));
        self.fits = if all().any(|fits| fits == Some(false)) {
            Some(false)
        } else {
            all().all(|fits| fits == Some(true)).then_some(true)
        };
    }
}

/// The versions for a terminal.
pub(crate) fn for_terminal(versions: &Versions) -> String {
    let mut text = format!("Client:     {}\n", versions.client);
    for crd in &versions.crds {
        let _ = writeln!(text, "CRD:        {} is {}", escape::terminal(&crd.name), crd.state);
    }
    for controller in &versions.controllers {
        let version = controller.version.as_deref().unwrap_or("unknown");
        let (version, deployment) = (escape::terminal(version), escape::terminal(&controller.deployment));
        let _ = writeln!(text, "Controller: {version} ({deployment})");
    }
    if !versions.crds.is_empty() && versions.controllers.is_empty() {
        text.push_str("Controller: none was found\n");
    }
    match versions.fits {
        Some(true) => text.push_str("They fit.\n"),
        Some(false) => text.push_str("They do not fit. kubectl-tenantpricing check says what to do.\n"),
        None => {}
    }
    text
}
