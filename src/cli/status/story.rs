//! `status NAME`: the story of one object. What happened to it, who asked for that, what was billed, and what happens
//! next.

pub(crate) mod document;
mod formats;
mod next;
mod past;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};

use self::document::{SCHEMA, Story};
use super::fleet::view;
use crate::{
    api::{ConditionType, NamespacesFrom, PlatformConnection, StalledReason, TenantPricing, conditions},
    cli::{
        cluster::{Cluster, pages::why_not_listed},
        events::{self, record::EventView},
        platform::facts::access,
    },
    cluster::explain,
    connections::{Admission, admission_by_labels},
    pricing::{facts::Access, status::report::requested_by},
};

pub(super) use formats::for_terminal;

/// Reads one object and everything that is recorded of it.
///
/// # Errors
/// A sentence that says why the object could not be read. What else could not be read is in the story.
pub(super) async fn read(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> Result<Story, String> {
    let api: Api<TenantPricing> = Api::namespaced(cluster.client.clone(), namespace);
    let object = match api.get_opt(name).await {
        Ok(Some(object)) => object,
        Ok(None) if is_installed(&api).await => {
            return Err(format!(
                "there is no TenantPricing {namespace}/{name}. List all with: kubectl-tenantpricing status -A -o name"
            ));
        }
        Ok(None) => {
            return Err("the API server does not know tenantpricings. Install the CRDs first".to_owned());
        }
        Err(error) => return Err(why_not_listed::<TenantPricing>(&error)),
    };
    let mut unknown = Vec::new();
    let events = events::about(cluster, namespace, name).await.unwrap_or_else(|error| {
        unknown.push(format!("What the events say: they could not be read ({}).", explain(&error)));
        Vec::new()
    });
    let access = resolve(cluster, &object, &mut unknown).await;
    Ok(tell(&object, &events, access.as_ref(), unknown, now))
}

/// Whether the API server knows the kind. Both an absent object and an absent kind are a 404.
async fn is_installed(api: &Api<TenantPricing>) -> bool {
    let listed = api.list_metadata(&kube::api::ListParams::default().limit(1)).await;
    !matches!(listed, Err(kube::Error::Api(status)) if status.code == 404)
}

/// The story of an object, with these events and this access to its platform.
fn tell(
    object: &TenantPricing,
    events: &[EventView],
    access: Option<&Access>,
    mut unknown: Vec<String>,
    now: Timestamp,
) -> Story {
    let next = next::next(object, access, now);
    unknown.extend(next.unknown);
    let (bill, billed_month) = past::bill(object, now);
    let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
    let asked = journal.and_then(|journal| journal.requested_by.clone());
    Story {
        schema: SCHEMA.to_owned(),
        now,
        object: view(object),
        requested_by: asked.or_else(|| requested_by(object)),
        past: past::entries(object, events, now),
        bill,
        billed_month,
        next: next.steps,
        unknown,
    }
}

/// How the object reaches its platform. `None`: the connection cannot be read.
async fn resolve(cluster: &Cluster, object: &TenantPricing, unknown: &mut Vec<String>) -> Option<Access> {
    let key = object.connection_key();
    let api: Api<PlatformConnection> = Api::namespaced(cluster.client.clone(), key.namespace());
    let connection = match api.get_opt(key.name()).await {
        Ok(Some(connection)) => connection,
        Ok(None) => return Some(Access::NotFound),
        Err(error) => {
            unknown.push(format!("What PlatformConnection {key} says: {}.", explain(&error)));
            return None;
        }
    };
    let namespace = object.namespace().unwrap_or_default();
    let labels = if connection.spec.allowed_namespaces.from == NamespacesFrom::Selector {
        let api: Api<Namespace> = Api::all(cluster.client.clone());
        let found = api.get_metadata_opt(&namespace).await.ok().flatten();
        found.map(|found| found.metadata.labels.unwrap_or_default())
    } else {
        None
    };
    let admission = match admission_by_labels(&connection, &namespace, labels.as_ref()) {
        Admission::Undecided => {
            unknown.push(format!(
                "Whether PlatformConnection {key} admits the namespace: its labels could not be read. The status is taken \
                 as right."
            ));
            if is_refused(object) { Admission::Refused } else { Admission::Admitted }
        }
        known => known,
    };
    Some(access(&connection, admission))
}

/// Whether the status says that the connection does not admit the object.
fn is_refused(object: &TenantPricing) -> bool {
    let status = object.status.as_ref();
    let stalled = status.and_then(|status| conditions::find(&status.conditions, ConditionType::Stalled));
    stalled.is_some_and(|stalled| stalled.reason == StalledReason::ConnectionNotAllowed.as_str())
}
