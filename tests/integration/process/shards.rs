//! A fleet that is split between installations by labels.

use std::time::Duration;

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::TenantPricing,
    simulator::{Fault, FaultAction, LoggedRequest, Operation, TenantSpec},
};

use crate::harness::{Controller, PATIENCE, Test, give_lease, has, reason, until_connection};

/// Starts an installation for the objects of one shard.
async fn installation(test: &Test, shard: &str) -> Controller {
    let selector = format!("--watch-label-selector=shard={shard}");
    // Each installation has a lease of its own.
    give_lease(test, shard).await;
    let options = test.controller_options().argument(selector).argument(format!("--lease-name={shard}"));
    test.controller_with(&options).await
}

/// Puts an object into a shard.
async fn into_shard(test: &Test, name: &str, shard: &str) {
    test.edit::<TenantPricing>(name, json!({"metadata": {"labels": {"shard": shard}}})).await;
}

async fn asks_for_production(test: &Test, name: &str) {
    test.edit::<TenantPricing>(name, json!({"spec": {"mode": "production"}})).await;
}

fn is_in_production(object: &TenantPricing) -> bool {
    reason(object, "Ready") == "InSync" && has(object, "Production", "True")
}

fn puts(test: &Test) -> Vec<LoggedRequest> {
    let requests = test.simulator.requests().into_iter();
    requests.filter(|request| request.operation == Operation::PutPricing).collect()
}

/// They do not see each other's objects.
#[tokio::test(flavor = "multi_thread")]
async fn two_separate_installations_switch_a_tenant_once() {
    let test = Test::new("shards").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    for shard in ["a", "b"] {
        installation(&test, shard).await;
        test.tenant_pricing(shard, json!({"tenant": {"id": tenant}})).await;
        into_shard(&test, shard, shard).await;
        test.until(shard, "is observed", |object| has(object, "Ready", "True")).await;
    }
    // Both PUTs are on their way, each with the version of before, when the platform takes up the first.
    test.expect_puts(&tenant, 2);
    test.expect_meeting_puts();
    let hold = Fault::new(FaultAction::hold()).on(Operation::PutPricing).tenant(&tenant).times(2);
    let hold = test.simulator.inject(hold);
    tokio::join!(asks_for_production(&test, "a"), asks_for_production(&test, "b"));
    let both = tokio::time::timeout(PATIENCE, test.simulator.wait_for_hits(hold, 2)).await;
    assert!(both.is_ok(), "the two PUTs did not meet: {:#?}", puts(&test));
    test.simulator.release(hold);
    for shard in ["a", "b"] {
        test.until(shard, "is in production", is_in_production).await;
    }
    let puts = puts(&test);
    assert_eq!(puts.len(), 2, "{puts:#?}");
    assert_eq!(test.simulator.overlapping_puts(), 1, "they met");
    assert_eq!(test.simulator.effective_puts(), 1, "one of them took effect");
    assert_eq!(puts.iter().filter(|put| put.status() == Some(200)).count(), 1, "the other was refused");
    // One of them did it, and the other names the first.
    let mut reasons: Vec<String> = Vec::new();
    for shard in ["a", "b"] {
        let object = test.reconcile_now(shard, "once more").await;
        assert!(is_in_production(&object), "{object:#?}");
        reasons.push(reason(&object, "Production").to_owned());
    }
    reasons.sort();
    assert_eq!(reasons, ["SwitchedByController", "SwitchedByPlatform"]);
    assert_eq!(test.simulator.total_puts(), 2, "no third one follows");
    test.finish().await;
}

/// So is one that never was.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_no_longer_selected_is_left_alone() {
    let test = Test::new("selected").await;
    let tenants = test.simulator.add_customers(2, "Customer");
    test.connection("default", json!({})).await;
    let a = installation(&test, "a").await;
    test.tenant_pricing("mine", json!({"tenant": {"id": tenants[0]}})).await;
    test.production("theirs", &tenants[1], json!({})).await;
    into_shard(&test, "mine", "a").await;
    test.until("mine", "is observed", |object| has(object, "Ready", "True")).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    // It leaves, and asks for production: no controller watches it.
    let before = test.recorded_statuses("mine");
    into_shard(&test, "mine", "b").await;
    asks_for_production(&test, "mine").await;
    // Another object shows that the watch has gone beyond that.
    test.tenant_pricing("later", json!({"tenant": {"id": tenants[0]}})).await;
    into_shard(&test, "later", "a").await;
    test.until("later", "is observed", |object| has(object, "Ready", "True")).await;
    assert_eq!(test.recorded_statuses("mine").last(), before.last(), "nothing is written to it");
    assert_eq!(test.recorded_statuses("theirs"), [json!({"observedGeneration": -1})]);
    assert_eq!(test.simulator.total_puts(), 0);
    let found: &dyn Fn(&Value) -> bool = &|entry| entry["name"] == "theirs";
    assert!(!a.log_entries().iter().any(found), "it is not even read");
    // It belongs to no installation then; another installation takes it over.
    installation(&test, "b").await;
    test.until("mine", "is switched", is_in_production).await;
    assert_eq!(test.simulator.puts(&tenants[0]), 1);
    assert_eq!(test.simulator.puts(&tenants[1]), 0);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_selector_ends_the_program_with_a_remedy() {
    let test = Test::new("bad-selector").await;
    for selector in ["a b", "shard in a", "=x", "shard=a;b"] {
        let flag = format!("--watch-label-selector={selector}");
        let ran = tokio::time::timeout(Duration::from_secs(30), test.binary(&["run", &flag])).await;
        let message = ran.expect("the process ends").failure();
        let quoted = format!("{selector:?}");
        for word in ["--watch-label-selector", quoted.as_str(), "kubectl get -l"] {
            assert!(message.contains(word), "{selector}: {message}");
        }
    }
    test.finish().await;
}
