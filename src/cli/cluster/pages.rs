//! Lists in pages, so that no answer of the API server is large.

use std::fmt::Debug;

use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;

use crate::{
    api::TenantPricing,
    cluster::{TrimmedTenantPricing, explain},
};

/// The objects of one page. The API server answers a page of this size fast, and it takes little memory.
pub(crate) const PAGE: u32 = 500;

/// Calls `take` with each object. Only one page is in memory at a time.
///
/// # Errors
/// The error of the first page that could not be read.
pub(crate) async fn each<K: Clone + Debug + DeserializeOwned>(
    api: &Api<K>,
    parameters: ListParams,
    mut take: impl FnMut(K),
) -> Result<(), kube::Error> {
    let mut parameters = parameters.limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        page.items.into_iter().for_each(&mut take);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// The object, or what can be read of it. Its conditions say what is wrong with it.
pub(crate) fn readable(listed: TrimmedTenantPricing) -> TenantPricing {
    listed.object.unwrap_or_else(|unreadable| *unreadable.rest)
}

/// Why objects could not be listed, and the remedy if there is one.
pub(crate) fn why_not_listed<K: Resource<DynamicType = ()>>(error: &kube::Error) -> String {
    let kind = K::plural(&());
    match error {
        kube::Error::Api(status) if status.code == 404 => format!(
            "the API server does not know {kind}. Install the CRDs: tenant-pricing-controller crds | kubectl apply \
             --server-side -f -"
        ),
        error => format!("failed to list {kind}: {}", explain(error)),
    }
}
