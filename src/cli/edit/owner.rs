//! Which tool keeps an object as Git has it, and where to edit instead. Pure.
//!
//! An edit by hand of such an object does not last: the tool puts back what Git says. So a cancelled switch would be
//! asked for again.

use super::change::Field;
use crate::{
    api::TenantPricing,
    cli::{manifests, output::escape},
};

/// What Flux's kustomize-controller writes on everything that it applies.
const FLUX_KUSTOMIZATION: &str = "kustomize.toolkit.fluxcd.io";

/// What Flux's helm-controller writes on everything that it applies.
const FLUX_HELM_RELEASE: &str = "helm.toolkit.fluxcd.io";

/// What Argo CD writes on what it applies: `<application>:<group>/<kind>:<namespace>/<name>`.
const ARGO_TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// What Helm writes on everything that it applies, besides the release.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The field managers of tools that apply what Git has. One that ends in `*` is the beginning of several names.
const MANAGERS: &[(&str, &str)] = &[
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("flux*", "Flux"),
    ("argocd*", "Argo CD"),
    ("helm", "Helm"),
];

/// A tool that owns fields of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The tool, with what it applies the object from.
    pub name: String,
    /// What to do instead.
    pub way_out: String,
}

impl Owner {
    /// The same, for a terminal.
    pub(super) fn escaped(&self) -> Self {
        Self { name: escape::terminal(&self.name), way_out: escape::terminal(&self.way_out) }
    }
}

/// The tool that owns one of these fields or the whole object, if there is one.
pub(super) fn owner(object: &TenantPricing, fields: &[Field]) -> Option<Owner> {
    let metadata = &object.metadata;
    let label = |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name));
    let annotation = |name: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let of_flux = |kind: &str, group: &str| {
        let name = label(&format!("{group}/name"))?;
        let namespace = label(&format!("{group}/namespace")).map_or(namespace, String::as_str);
        Some((format!("{kind} {namespace}/{name} of Flux"), format!("that {kind}")))
    };
    let of_argo = || {
        let application = annotation(ARGO_TRACKING_ID)?.split(':').next()?;
        Some((format!("Application {application} of Argo CD"), "that Application".to_owned()))
    };
    let of_helm = || {
        let release = annotation("meta.helm.sh/release-name")
            .filter(|_| label(MANAGED_BY).is_some_and(|by| by == "Helm"))?;
        let namespace = annotation("meta.helm.sh/release-namespace").map_or(namespace, String::as_str);
        Some(Owner {
            name: format!("release {namespace}/{release} of Helm"),
            way_out: format!("Change the values, and run: helm upgrade {release} --namespace {namespace}"),
        })
    };
    let in_git = |source: &str| match annotation(manifests::KUSTOMIZE_ORIGIN)
        .and_then(|text| manifests::origin(text))
    {
        Some(file) => format!("Edit {file}, in the Git source of {source}"),
        None => format!("Edit the manifest in the Git source of {source}"),
    };
    let flux_release = || {
        let (name, source) = of_flux("HelmRelease", FLUX_HELM_RELEASE)?;
        Some(Owner { name, way_out: format!("Change the values in the Git source of {source}") })
    };
    of_flux("Kustomization", FLUX_KUSTOMIZATION)
        .or_else(of_argo)
        .map(|(name, source)| Owner { name, way_out: in_git(&source) })
        .or_else(flux_release)
        .or_else(of_helm)
        .or_else(|| {
            let (manager, tool, field) = managed(object, fields)?;
            Some(Owner {
                name: format!("{tool}, whose field manager {manager} set {}", field.path()),
                way_out: in_git("that tool"),
            })
        })
}

/// The field manager of a tool that set one of these fields.
fn managed<'a>(object: &'a TenantPricing, fields: &[Field]) -> Option<(&'a str, &'static str, Field)> {
    object.metadata.managed_fields.iter().flatten().find_map(|entry| {
        let manager = entry.manager.as_deref()?;
        let (_, tool) = MANAGERS.iter().find(|(known, _)| match known.strip_suffix('*') {
            Some(beginning) => manager.starts_with(beginning),
            None => manager == *known,
        })?;
        let set = &entry.fields_v1.as_ref()?.0;
        let field = fields.iter().find(|field| set.pointer(&field.managed()).is_some())?;
        Some((manager, *tool, *field))
    })
}

#[cfg(test)]
mod tests;
