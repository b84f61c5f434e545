//! A claim on a tenant needs a present, working, admitting connection.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing},
    simulator::{Fault, FaultAction, TenantSpec},
};

use super::namespaces::{Neighbours, is_refused};
use crate::{
    fleet::duplicates::older,
    harness::{PATIENCE, has, reason, until_connection},
};

fn is_planned(object: &TenantPricing) -> bool {
    reason(object, "Ready") == "SwitchScheduled"
}

fn is_duplicate(object: &TenantPricing) -> bool {
    reason(object, "Stalled") == "DuplicateTenant"
}

fn is_in_sync(object: &TenantPricing) -> bool {
    reason(object, "Ready") == "InSync"
}

/// The owner's connection `default` admits all, and the neighbour has an object for a tenant.
async fn with_older(name: &str) -> (Neighbours, String) {
    let both = Neighbours::new(name).await;
    both.owner.connection("default", json!({"allowedNamespaces": {"from": "All"}})).await;
    let tenant = both.owner.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let reference = json!({"name": "default", "namespace": both.owner.namespace});
    let spec = json!({"tenant": {"id": tenant}, "mode": "trial", "connectionRef": reference});
    older(&both.user, "older", spec).await;
    (both, tenant)
}

/// A month start of the owner's own, planned an hour ahead.
async fn plan(both: &Neighbours, tenant: &str) {
    let later = (both.owner.simulator.now() + SignedDuration::from_hours(1)).to_string();
    both.owner.production("plan", tenant, json!({"switch": {"notBefore": later}})).await;
}

/// A connection of the neighbour's own to the same platform.
async fn own_connection(both: &Neighbours, name: &str, spec: Value) {
    let mut whole = json!({"url": both.owner.simulator.url()});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    both.user.connection(name, whole).await;
    // The Secret that stands beside it is good for the neighbour's platform.
    let (id, secret) = (both.owner.simulator.client_id(), both.owner.simulator.client_secret());
    both.user.secret(name, json!({"clientId": id, "clientSecret": secret})).await;
}

async fn point_to(both: &Neighbours, connection: &str) {
    let reference = json!({"name": connection, "namespace": both.user.namespace});
    both.user.edit::<TenantPricing>("older", json!({"spec": {"connectionRef": reference}})).await;
    let settled = |object: &TenantPricing| {
        object.status.as_ref().map(|status| status.observed_generation) == object.metadata.generation
            && reason(object, "Stalled") == "ConnectionNotReady"
    };
    both.user.until_within(PATIENCE * 2, "older", "has no way to the platform", settled).await;
}

fn was_never_a_duplicate(both: &Neighbours) {
    let statuses = both.owner.recorded_statuses("plan");
    let duplicate = |status: &&Value| status.to_string().contains("DuplicateTenant");
    assert!(!statuses.iter().any(|status| duplicate(&status)), "{statuses:#?}");
    let planned: Vec<_> = statuses.iter().filter(|status| status["switch"].is_object()).collect();
    let last = statuses.last().unwrap();
    assert!(!planned.is_empty() && last["switch"]["phase"] == "Scheduled", "{statuses:#?}");
}

/// It lost its admission, and its credentials no longer work.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_admission_cancels_no_plan() {
    let (both, tenant) = with_older("dead-claim").await;
    let controller = both.controller().await;
    both.user.until("older", "has read the tenant", is_in_sync).await;
    let same = json!({"spec": {"allowedNamespaces": {"from": "Same"}}});
    both.owner.edit::<PlatformConnection>("default", same).await;
    both.user.until("older", "is refused", is_refused).await;
    plan(&both, &tenant).await;
    both.owner.until("plan", "is planned", is_planned).await;
    // A connection whose Secret does not exist, one that is suspended, one whose credentials are wrong.
    let missing = json!({"credentialsSecretRef": {"name": "there-is-none"}});
    own_connection(&both, "missing", missing).await;
    own_connection(&both, "suspended", json!({"suspend": true})).await;
    own_connection(&both, "wrong", json!({"credentialsSecretRef": {"name": "wrong-client"}})).await;
    both.user.secret("wrong-client", json!({"clientId": "a", "clientSecret": "b"})).await;
    for connection in ["missing", "suspended", "wrong"] {
        point_to(&both, connection).await;
        both.owner.reconcile_now("plan", connection).await;
        was_never_a_duplicate(&both);
    }
    // Over a restart, with the connection whose status shows least.
    point_to(&both, "suspended").await;
    controller.kill().await;
    both.controller().await;
    both.owner.reconcile_now("plan", "after-the-start").await;
    was_never_a_duplicate(&both);
    let events = both.owner.event_notes("plan").await;
    assert!(!events.iter().any(|(reason, _)| reason == "SwitchCancelled"), "{events:#?}");
    both.finish().await;
}

/// Whether the new credentials work is not known until the platform accepts them.
#[tokio::test(flavor = "multi_thread")]
async fn changing_dead_credentials_cancels_no_plan() {
    let (both, tenant) = with_older("changing-claim").await;
    own_connection(&both, "mine", json!({})).await;
    let reference = json!({"name": "mine", "namespace": both.user.namespace});
    both.user.edit::<TenantPricing>("older", json!({"spec": {"connectionRef": reference}})).await;
    both.controller().await;
    both.user.until("older", "has read the tenant", is_in_sync).await;
    for secret in ["wrong-client", "another-wrong-client"] {
        both.user.secret(secret, json!({"clientId": secret, "clientSecret": "b"})).await;
        let wrong = json!({"spec": {"credentialsSecretRef": {"name": secret}}});
        both.user.edit::<PlatformConnection>("mine", wrong).await;
        both.user.until_connection_observed("mine").await;
        until_connection(&both.user, "mine", "CredentialsRejected").await;
        if both.owner.latest("plan").is_none() {
            plan(&both, &tenant).await;
            both.owner.until("plan", "is planned", is_planned).await;
        }
    }
    both.owner.reconcile_now("plan", "afterwards").await;
    was_never_a_duplicate(&both);
    both.finish().await;
}

/// A throttled connection does not end it either.
#[tokio::test(flavor = "multi_thread")]
async fn a_true_duplicate_holds_through_restart_and_suspension() {
    let (both, tenant) = with_older("true-claim").await;
    own_connection(&both, "mine", json!({})).await;
    let reference = json!({"name": "mine", "namespace": both.user.namespace});
    both.user.edit::<TenantPricing>("older", json!({"spec": {"connectionRef": reference}})).await;
    let mut controller = both.controller().await;
    both.user.until("older", "has read the tenant", is_in_sync).await;
    both.owner.production("younger", &tenant, json!({})).await;
    both.owner.until("younger", "leaves it to the older one", is_duplicate).await;
    let suspended = |suspend: bool| json!({"spec": {"suspend": suspend}});
    for (round, suspend) in [("in-order", false), ("suspended", true)] {
        both.user.edit::<PlatformConnection>("mine", suspended(suspend)).await;
        let expected = if suspend { "Suspended" } else { "CredentialsAccepted" };
        until_connection(&both.user, "mine", expected).await;
        both.owner.reconcile_now("younger", round).await;
        controller.kill().await;
        controller = both.controller().await;
        let object = both.owner.reconcile_now("younger", &format!("{round}-after-a-start")).await;
        assert!(is_duplicate(&object), "{round}: {object:#?}");
    }
    both.user.edit::<PlatformConnection>("mine", suspended(false)).await;
    until_connection(&both.user, "mine", "CredentialsAccepted").await;
    both.user.reconcile_now("older", "settled").await;
    both.owner.reconcile_now("younger", "settled").await;
    // The platform throttles the older object's connection.
    let pause = Fault::new(FaultAction::RetryAfterSeconds { status: 429, seconds: 30 });
    let throttled = both.owner.simulator.inject(pause.once());
    both.user.request_reconcile("older", "throttled").await;
    both.owner.simulator.wait_for_hits(throttled, 1).await;
    let object = both.owner.reconcile_now("younger", "beside-a-throttled-one").await;
    assert!(is_duplicate(&object), "{object:#?}");
    assert_eq!(both.owner.simulator.total_puts(), 0);
    both.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_ends_with_its_credentials_and_returns_with_them() {
    let (both, tenant) = with_older("expired-claim").await;
    own_connection(&both, "mine", json!({})).await;
    let reference = json!({"name": "mine", "namespace": both.user.namespace});
    both.user.edit::<TenantPricing>("older", json!({"spec": {"connectionRef": reference}})).await;
    both.controller().await;
    both.user.until("older", "has read the tenant", is_in_sync).await;
    both.owner.tenant_pricing("younger", json!({"tenant": {"id": tenant}, "mode": "trial"})).await;
    both.owner.until("younger", "leaves it to the older one", is_duplicate).await;
    // Only the change of the connection triggers the younger object: the poll interval is ten minutes.
    let dead = json!({"spec": {"credentialsSecretRef": {"name": "there-is-none"}}});
    both.user.edit::<PlatformConnection>("mine", dead).await;
    until_connection(&both.user, "mine", "SecretNotFound").await;
    both.owner.until("younger", "takes over", is_in_sync).await;
    let back = json!({"spec": {"credentialsSecretRef": {"name": "mine"}}});
    both.user.edit::<PlatformConnection>("mine", back).await;
    both.owner.until_within(Duration::from_secs(60), "younger", "leaves it again", is_duplicate).await;
    both.user.until("older", "owns the tenant", |object| has(object, "Ready", "True")).await;
    both.finish().await;
}
