//! Sends an edit to the API server, once.

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::Value;

use super::{DryRun, EditError};
use crate::{
    api::TenantPricing,
    cli::cluster::{Cluster, pages::readable},
    cluster::{TrimmedTenantPricing, explain},
};

/// The field manager of every edit. The journal names it as the requester of the switch.
///
/// It must not begin with `kubectl`: Flux removes what such a manager set and its manifest does not have. An edit that
/// stops a switch would be undone at the next reconcile of Flux.
pub(super) const FIELD_MANAGER: &str = "tenantpricing-cli";

/// Sends a merge patch. Returns the object as it is stored, or as it would be if this is a dry run.
///
/// # Errors
/// The API server refuses the patch, or does not answer. The error says whether the edit may be stored.
pub(super) async fn store(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    patch: &Value,
    dry_run: DryRun,
) -> Result<TenantPricing, EditError> {
    let api: Api<TrimmedTenantPricing> = Api::namespaced(cluster.client.clone(), namespace);
    let parameters = PatchParams {
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let object = || format!("{namespace}/{name}");
    match api.patch(name, &parameters, &Patch::Merge(patch)).await {
        Ok(stored) => Ok(readable(stored)),
        Err(kube::Error::Api(status)) => Err(match status.code {
            404 => EditError::Gone(object()),
            409 => EditError::Conflict(object()),
            408 | 500.. => EditError::Unknown(object(), explain(&kube::Error::Api(status))),
            // The API server names the object, the field and the remedy.
            _ => EditError::Refused(status.message.clone()),
        }),
        Err(error) => Err(EditError::Unknown(object(), explain(&error))),
    }
}
