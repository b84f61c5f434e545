//! Reads one `TenantPricing`, with its managed fields.

use kube::Api;

use super::{Cluster, pages::why_not_listed};
use crate::{api::TenantPricing, cluster::explain};

/// Reads the object of this name, in the namespace that the flags or the context name.
///
/// # Errors
/// A sentence that says why it could not be read, and the way out if there is one.
pub(crate) async fn read(cluster: &Cluster, name: &str) -> Result<TenantPricing, String> {
    let namespace = &cluster.namespace;
    let api: Api<TenantPricing> = Api::namespaced(cluster.client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) if is_installed(&api).await => Err(format!(
            "there is no TenantPricing {namespace}/{name}. List all with: kubectl-tenantpricing status -A -o name"
        )),
        Ok(None) => Err("the API server does not know tenantpricings. Install the CRDs first".to_owned()),
        Err(error @ kube::Error::Api(_)) => Err(why_not_listed::<TenantPricing>(&error)),
        Err(error) => Err(format!("failed to read TenantPricing {namespace}/{name}: {}", explain(&error))),
    }
}

/// Whether the API server knows the kind. Both an absent object and an absent kind are a 404.
async fn is_installed(api: &Api<TenantPricing>) -> bool {
    let listed = api.list_metadata(&kube::api::ListParams::default().limit(1)).await;
    !matches!(listed, Err(kube::Error::Api(status)) if status.code == 404)
}
