//! What happens if an edit is stored, by the rules of the controller on what the cluster stores.
//!
//! The platform is not read: that would need the right to read Secrets, which a person who may edit an object need not
//! have. The controller reads the tenant before it acts. What it may find then is said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{Api, api::ListParams};
use tokio::time::Instant;

use crate::{
    api::{DesiredMode, TenantPricing},
    cli::{
        cluster::{
            Cluster,
            connection::{Resolved, resolve},
            pages::{each, readable, why_not_listed},
        },
        plan::{
            connections::{Links, Tenants},
            document::Entry,
            outcome::{Knowledge, single},
            subject::Subject,
        },
        platform::facts::{assumptions, last_seen},
        status::fleet::telling,
    },
    cluster::{Key, TrimmedTenantPricing},
    pricing::{
        TenantRead,
        facts::{Access, Proof},
    },
};

/// What happens to one object.
#[derive(Debug)]
pub(super) struct Forecast {
    /// What happens, as a plan says it.
    pub entry: Entry,
    /// What could not be known, in sentences.
    pub unknown: Vec<String>,
}

impl Forecast {
    /// Whether both say the same about the tenant and its bill.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let of = |forecast: &Self| {
            let Entry { tenant, outcome, billed_month, reason, message, .. } = forecast.entry.clone();
            (tenant, outcome, billed_month, reason, message)
        };
        of(self) == of(other)
    }
}

/// What happens at `now` if the object becomes `after`.
pub(super) async fn forecast(
    cluster: &Cluster,
    before: &TenantPricing,
    after: &TenantPricing,
    now: Timestamp,
) -> Forecast {
    let mut unknown = Vec::new();
    let resolved = resolve(cluster, before, &mut unknown).await;
    let asks = after.spec.mode == Some(DesiredMode::Production) && !after.spec.suspend;
    let others = if asks { others(cluster, before, &mut unknown).await } else { Vec::new() };
    if asks {
        unknown.extend(assumptions(after));
    }
    let mut links = Links::default();
    for other in others.iter().filter(|other| shares_tenant(before, other)) {
        let found = resolve(cluster, other, &mut unknown).await;
        links.add(other, found.connection, found.access);
    }
    let knowledge = knowledge(before, resolved, links, now);
    let subject =
        Subject { after: Some(after.clone()), is_given: true, ..Subject::bystander(before.clone()) };
    Forecast { entry: single(&subject, &others, &knowledge, now, Instant::now()), unknown }
}

/// The other objects that this user may read: they use the same budget, or claim the same tenant.
async fn others(cluster: &Cluster, object: &TenantPricing, unknown: &mut Vec<String>) -> Vec<TenantPricing> {
    let mut all = Vec::new();
    let mut take = |listed: TrimmedTenantPricing| all.push(readable(listed));
    let everywhere = Api::all(cluster.client.clone());
    if let Err(error) = each(&everywhere, ListParams::default(), &mut take).await {
        let why = why_not_listed::<TenantPricing>(&error);
        let own = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let scope = match each(&own, ListParams::default(), &mut take).await {
            Ok(()) => "another namespace",
            Err(_) => "another object",
        };
        unknown.push(format!("Whether {scope} uses up the budget, or stands for the same tenant: {why}."));
    }
    // The list of all may have failed after some pages.
    let mut others: BTreeMap<Key, TenantPricing> = BTreeMap::new();
    others.extend(all.into_iter().map(|other| (Key::of(&other), other)));
    others.remove(&Key::of(object));
    others.into_values().collect()
}

/// Whether another object may stand for the same tenant, through another connection.
fn shares_tenant(object: &TenantPricing, other: &TenantPricing) -> bool {
    let (mut tenants, any_platform) = (Tenants::default(), [String::new()]);
    tenants.add(&any_platform, object);
    object.connection_key() != other.connection_key() && tenants.may_have(&any_platform, other)
}

/// What the status says about the tenant, and what the connection says. `links` has the connections of others.
fn knowledge(object: &TenantPricing, resolved: Resolved, mut links: Links, now: Timestamp) -> Knowledge {
    let mut knowledge = Knowledge::default();
    let (key, connection) = (Key::of(object), object.connection_key());
    let pair = (key, connection.clone());
    let Resolved { connection: found, access } = resolved;
    let is_open = matches!(access, Some(Access::Open(_)));
    match (access, last_seen(object, now)) {
        (None, _) => {
            let why = format!("PlatformConnection {connection} could not be read.");
            knowledge.failures.insert(connection.clone(), why);
        }
        (Some(access), seen) => {
            links.access.insert(pair.clone(), access);
            match seen {
                Some(seen) => {
                    if let Some(name) = object.spec.tenant.name.clone() {
                        let proof = Proof::Customers(vec![seen.tenant.id.clone()]);
                        knowledge.proofs.insert((connection.clone(), name), proof);
                    }
                    knowledge.reads.insert(pair, TenantRead::Seen(Box::new(seen)));
                }
                None if is_open => drop(knowledge.failures.insert(connection.clone(), not_seen(object))),
                None => {}
            }
        }
    }
    if let Some(found) = found {
        links.connections.insert(connection, found);
    }
    (knowledge.before, knowledge.after) = (links.clone(), links);
    knowledge
}

/// Why the status says nothing about the tenant.
fn not_seen(object: &TenantPricing) -> String {
    let reported = object.status.as_ref().and_then(|status| telling(&status.conditions));
    match reported {
        Some((_, condition)) => {
            format!("The controller has not read the tenant ({}): {}", condition.reason, condition.message)
        }
        None => "The controller has not read the tenant yet.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
