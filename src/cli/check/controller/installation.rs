//! An installed controller: what its Deployment says. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};

use crate::{
    cli::run::{Settings, deployed},
    cluster::Key,
};

/// The name of the chart, and the value of its label for the name of the program.
const CHART: &str = "tenant-pricing-controller";

/// The label with the name of the program. The chart's value `nameOverride` changes it.
pub(crate) const NAME_LABEL: &str = "app.kubernetes.io/name";

/// The label with the name and version of the chart.
const CHART_LABEL: &str = "helm.sh/chart";

/// The label with the version of the program.
const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// A controller that is installed in the cluster.
pub(crate) struct Installation {
    /// The Deployment.
    pub key: Key,
    /// The namespace and name of its `ServiceAccount`.
    pub account: Key,
    /// The settings of the controller, or why they are not known.
    pub(in crate::cli) settings: Result<Settings, String>,
    /// The version of its image, by the tag or by the label. `None`: neither tells.
    pub version: Option<String>,
    /// The replicas that the spec asks for.
    pub desired: i32,
    /// The replicas that are available.
    pub available: i32,
    /// The objects that its label selector matches. `None`: it has no selector, and so matches all.
    pub selected: Option<BTreeSet<Key>>,
}

impl Installation {
    /// The installation of a Deployment. `None`: it is not of the chart.
    pub(crate) fn of(deployment: &Deployment) -> Option<Self> {
        let labels = deployment.metadata.labels.clone().unwrap_or_default();
        let is_named = labels.get(NAME_LABEL).is_some_and(|name| name == CHART);
        let is_of_chart = labels
            .get(CHART_LABEL)
            .and_then(|chart| chart.strip_prefix(CHART))
            .is_some_and(|version| version.starts_with('-'));
        if !is_named && !is_of_chart {
            return None;
        }
        let key = Key::of(deployment);
        let spec = deployment.spec.as_ref()?;
        let pod = spec.template.spec.as_ref()?;
        let account = pod.service_account_name.as_deref().unwrap_or("default");
        let is_controller = |container: &&Container| container.name == "controller";
        let container = pod.containers.iter().find(is_controller).or(pod.containers.first())?;
        let tag = container.image.as_deref().and_then(tag);
        Some(Self {
            account: Key::new(key.namespace(), account),
            settings: deployed::settings(container),
            version: tag.or_else(|| labels.get(VERSION_LABEL).cloned()),
            desired: spec.replicas.unwrap_or(1),
            available: deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0),
            selected: None,
            key,
        })
    }

    /// The Lease of its election. `None`: it has none, or the settings are not known.
    pub(crate) fn lease(&self) -> Option<Key> {
        let settings = self.settings.as_ref().ok().filter(|settings| settings.leader_elect)?;
        // The namespace of the pod is the default.
        let namespace = settings.lease_namespace.as_deref().unwrap_or(self.key.namespace());
        Some(Key::new(namespace, &settings.lease_name))
    }

    /// Whether it watches an object. `None`: its settings are not known.
    pub(crate) fn watches(&self, object: &Key) -> Option<bool> {
        let is_selected = self.selected.as_ref().is_none_or(|selected| selected.contains(object));
        Some(self.watches_namespace(object.namespace())? && is_selected)
    }

    /// Whether it watches a namespace. `None`: its settings are not known.
    pub(crate) fn watches_namespace(&self, namespace: &str) -> Option<bool> {
        let watched = &self.settings.as_ref().ok()?.watch_namespaces;
        Some(watched.is_empty() || watched.iter().any(|name| name == namespace))
    }
}

/// The tag of an image, if it is a version: a digest says nothing, and `latest` neither.
fn tag(image: &str) -> Option<String> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let tag = name.rsplit_once('/').map_or(name, |(_, last)| last).split_once(':')?.1;
    let version = tag.trim_start_matches('v');
    let is_version = version.starts_with(|letter: char| letter.is_ascii_digit()) && version.contains('.');
    is_version.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_tag() {
        for (image, expected) in [
            ("tenant-pricing-controller:0.1.0", Some("0.1.0")),
            ("registry:5000/team/controller:v1.2.3-rc.1", Some("1.2.3-rc.1")),
            ("registry:5000/team/controller", None),
            ("controller:latest", None),
            ("controller:1a2b3c4", None),
            ("controller:0.2.0@sha256:0000", Some("0.2.0")),
            ("controller@sha256:0000", None),
        ] {
            assert_eq!(tag(image).as_deref(), expected, "{image}");
        }
    }
}
