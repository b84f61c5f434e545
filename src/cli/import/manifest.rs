//! The manifest of one tenant. Pure.
//!
//! A manifest never asks for a switch. Without `mode` the tenant is only observed. `mode: production` is written for
//! one kind of tenant alone: one that is in production, which the platform never takes back.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    api::{ConnectionRef, DesiredMode},
    cli::output::escape,
    platform::{Mode, TenantId},
};

/// The annotation with the name of the tenant when its manifest was written. It is a remark for people.
pub(crate) const TENANT_NAME: &str = "tenantpricing.io/tenant-name";

/// The annotation with the names of the tenants above, from the top down to the tenant. It is a remark for people.
const TENANT_PATH: &str = "tenantpricing.io/tenant-path";

/// Between the names of a path.
const PATH_SEPARATOR: &str = " / ";

/// The maximum length of a path in characters. A longer one loses its beginning.
const MAX_PATH_CHARS: usize = 2048;

/// What a manifest says about a tenant.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// The name of the object.
    pub object: &'a str,
    /// The namespace of the object, if the manifest names one.
    pub namespace: Option<&'a str>,
    /// The id of the tenant.
    pub tenant: &'a TenantId,
    /// The names from the top of the listing to the tenant.
    pub path: &'a [&'a str],
    /// The mode that the manifest asks for.
    pub mode: Option<DesiredMode>,
    /// The connection that the manifest names.
    pub connection: Option<&'a ConnectionRef>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    annotations: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    tenant: Tenant<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<DesiredMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_ref: Option<&'a ConnectionRef>,
}

#[derive(Serialize)]
struct Tenant<'a> {
    id: &'a TenantId,
}

/// The mode that keeps a tenant as it is. `None` for a tenant that no mode describes: it is only observed.
///
/// Everything about safety is here. A tenant in trial, suspended, or in an unknown mode never gets `production`.
pub(crate) fn pinned(mode: &Mode) -> Option<DesiredMode> {
    match mode {
        Mode::Trial => Some(DesiredMode::Trial),
        Mode::Production => Some(DesiredMode::Production),
        Mode::Suspended | Mode::Other(_) => None,
    }
}

/// The name of a tenant as the annotation has it: on one line, with invisible characters shown by their number.
pub(crate) fn recorded_name(name: &str) -> String {
    escape::terminal(name)
}

/// The manifest as YAML, without a line that separates documents.
///
/// # Errors
/// It cannot be written as YAML, which is a bug.
pub(crate) fn to_yaml(subject: &Subject<'_>) -> Result<String, serde_saphyr::ser::Error> {
    let document = Document {
        api_version: "tenantpricing.io/v1alpha1",
        kind: "TenantPricing",
        metadata: Metadata {
            name: subject.object,
            namespace: subject.namespace,
            annotations: BTreeMap::from([
                (TENANT_NAME, recorded_name(subject.path.last().copied().unwrap_or_default())),
                (TENANT_PATH, path(subject.path)),
            ]),
        },
        spec: Spec {
            tenant: Tenant { id: subject.tenant },
            mode: subject.mode,
            connection_ref: subject.connection,
        },
    };
    // A long name stays on one line, so that `grep` finds it.
    serde_saphyr::to_string_with_options(
        &document,
        serde_saphyr::ser_options! { prefer_block_scalars: false },
    )
}

fn path(names: &[&str]) -> String {
    let whole = names.iter().map(|name| recorded_name(name)).collect::<Vec<_>>().join(PATH_SEPARATOR);
    let surplus = whole.chars().count().saturating_sub(MAX_PATH_CHARS);
    if surplus == 0 { whole } else { format!("…{}", whole.chars().skip(surplus + 1).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use kube::Resource;
    use proptest::prelude::*;

    use super::*;
    use crate::api::TenantPricing;

    const ID: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";

    fn written(path: &[&str], mode: Option<DesiredMode>) -> String {
        let tenant = ID.parse().unwrap();
        let connection = ConnectionRef { name: "eu2".to_owned(), namespace: Some("platform".to_owned()) };
        let subject = Subject {
            object: "acme",
            namespace: Some("tenants"),
            tenant: &tenant,
            path,
            mode,
            connection: Some(&connection),
        };
        to_yaml(&subject).unwrap()
    }

    #[test]
    fn a_manifest_is_plain_yaml() {
        assert_eq!(
            written(&["Simulated Partner", "Acme GmbH"], Some(DesiredMode::Trial)),
            "apiVersion: tenantpricing.io/v1alpha1\n\
             kind: TenantPricing\n\
             metadata:\n  \
               name: acme\n  \
               namespace: tenants\n  \
               annotations:\n    \
                 tenantpricing.io/tenant-name: Acme GmbH\n    \
                 tenantpricing.io/tenant-path: Simulated Partner / Acme GmbH\n\
             spec:\n  \
               tenant:\n    \
                 id: 0fcd4a69-8a40-4de8-b711-d9c83dc000f7\n  \
               mode: trial\n  \
               connectionRef:\n    \
                 name: eu2\n    \
                 namespace: platform\n"
        );
    }

    #[test]
    fn version_and_kind_are_those_of_the_type() {
        let object: TenantPricing = serde_saphyr::from_str(&written(&["Acme"], None)).unwrap();
        assert_eq!(TenantPricing::api_version(&()), "tenantpricing.io/v1alpha1");
        assert_eq!(TenantPricing::kind(&()), "TenantPricing");
        assert_eq!(object.spec.mode, None);
        let annotations = object.metadata.annotations.unwrap();
        assert_eq!(annotations.keys().collect::<Vec<_>>(), [TENANT_NAME, TENANT_PATH]);
    }

    #[test]
    fn only_a_tenant_in_production_is_pinned_to_production() {
        assert_eq!(pinned(&Mode::Trial), Some(DesiredMode::Trial));
        assert_eq!(pinned(&Mode::Production), Some(DesiredMode::Production));
        for mode in ["suspended", "", "Production", "PRODUCTION", "production ", "paid"] {
            assert_eq!(pinned(&Mode::from(mode)), None, "{mode:?}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_loses_its_beginning() {
        let long = "x".repeat(1024);
        let path = path(&[&long, &long, "Acme"]);
        assert_eq!(path.chars().count(), MAX_PATH_CHARS);
        assert!(path.starts_with('…') && path.ends_with(" / Acme"), "{path}");
    }

    proptest! {
        #[test]
        fn no_name_changes_what_a_manifest_says(name in "(\\PC|[\\x00-\\x7f]|[\u{80}-\u{a0}\u{2028}\u{202e}\u{feff}]){0,40}") {
            let text = written(&["Top", &name], None);
            prop_assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
            let object: TenantPricing = serde_saphyr::from_str(&text).unwrap();
            let annotations = object.metadata.annotations.clone().unwrap();
            prop_assert_eq!(&annotations[TENANT_NAME], &recorded_name(&name));
            prop_assert_eq!(annotations.len(), 2);
            prop_assert_eq!(object.metadata.name.as_deref(), Some("acme"));
            prop_assert_eq!(object.spec.tenant.id.as_deref(), Some(ID));
            prop_assert_eq!((object.spec.mode, object.spec.switch), (None, None));
        }
    }
}
