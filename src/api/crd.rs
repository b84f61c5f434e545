//! The CRDs as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::{PlatformConnection, TenantPricing};

/// The CRDs of both kinds.
#[must_use]
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    vec![TenantPricing::crd(), PlatformConnection::crd()]
}
