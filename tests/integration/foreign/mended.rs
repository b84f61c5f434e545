//! A status that others wrote is restored when the watch shows it.

use std::time::Duration;

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy, TenantPricing},
    simulator::{Operation, TenantSpec},
};

use super::{has_their_condition, patch_status, patch_status_json, status, their_condition, wipe};
use crate::harness::{PATIENCE, Test, has, reason, until_connection};

/// How long nothing may be written once all is mended.
const CALM: Duration = Duration::from_secs(5);

/// A tenant that the controller switched, and does not read again for a day.
async fn switched(name: &str) -> (Test, String, TenantPricing) {
    let test = Test::new(name).await;
    test.exempt("acme");
    test.connection("default", json!({})).await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.controller().await;
    // An object that is created before the connection is Ready is read once more afterwards.
    until_connection(&test, "default", "CredentialsAccepted").await;
    test.production("acme", &tenant, json!({})).await;
    let done = |object: &TenantPricing| {
        let journal = object.status.as_ref().and_then(|status| status.switch.as_ref());
        journal.is_some_and(|journal| journal.phase == Phase::Completed) && has(object, "Ready", "True")
    };
    let object = test.until("acme", "is switched", done).await;
    // The event follows the answer to the write. Before it, the watch can show a write that seems foreign.
    test.until_events("acme", &["SwitchRequested", "SwitchCompleted"]).await;
    (test, tenant, object)
}

fn version(object: &TenantPricing) -> u64 {
    object.metadata.resource_version.as_deref().unwrap().parse().unwrap()
}

/// Waits until the object is again what it was, in a newer version.
async fn until_as_before(limit: Duration, test: &Test, before: &TenantPricing) -> TenantPricing {
    let is_as_before =
        |object: &TenantPricing| version(object) > version(before) && status(object) == status(before);
    test.until_within(limit, "acme", "is mended", is_as_before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_over_the_record_is_mended_at_once() {
    let (test, tenant, object) = switched("foreign-record").await;
    let conditions = json!([
        {"type": "Ready", "status": "True", "reason": "SwitchScheduled", "message": "old",
         "lastTransitionTime": "2026-11-01T00:00:00Z", "observedGeneration": 1},
        {"type": "Production", "status": "False", "reason": "Trial", "message": "old",
         "lastTransitionTime": "2026-11-01T00:00:00Z", "observedGeneration": 1},
    ]);
    let journal = json!({
        "phase": "InFlight", "attemptId": "of-a-backup", "attempts": 1, "intentAt": "2026-11-01T00:00:00Z",
        "completedAt": null, "by": null,
    });
    let foreign = [
        // Restored from a backup of before the switch.
        json!({"observed": {"mode": "trial"}, "observedGeneration": 1, "switch": null, "conditions": conditions}),
        // Restored from a backup of the wrong second.
        json!({"switch": journal}),
        // Patched by hand.
        json!({"switch": {"attempts": 7}}),
        json!({"tenantId": "11111111-2222-4333-8444-555555555555"}),
    ];
    let mut before = object;
    for patch in foreign {
        let reads = test.simulator.reads();
        patch_status(&test, "tp/acme", &json!({"status": patch})).await;
        before = until_as_before(PATIENCE, &test, &before).await;
        test.wait_for("the tenant is read", PATIENCE, async || {
            (test.simulator.reads() > reads).then_some(())
        })
        .await;
    }
    let journal = before.status.unwrap().switch.unwrap();
    assert_eq!((journal.by, journal.attempts), (Some(SwitchedBy::Controller), 1));
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.until_events("acme", &["SwitchRequested", "SwitchCompleted"]).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_record_is_written_again_as_it_was() {
    let (test, tenant, before) = switched("foreign-wiped").await;
    wipe(&test, "tp/acme").await;
    let object = until_as_before(PATIENCE, &test, &before).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    test.until_calm(CALM).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

/// Makes the API server refuse every status with a journal as invalid, in the namespace of this test.
async fn refuse_journals(test: &Test) {
    let namespace = &test.namespace;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [{
                    "apiGroups": ["tenantpricing.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
                    "resources": ["tenantpricings/status"],
                }],
            },
            "validations": [{"expression": "!has(object.status) || !has(object.status.switch)"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    });
    test.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [policy, binding]}).to_string()).await;
    let attempts = json!({"status": {"switch": {"attempts": 9}}}).to_string();
    let patch =
        ["patch", "tp/acme", "--subresource=status", "--type=merge", "--dry-run=server", "-p", &attempts];
    test.wait_for("the policy is in force", PATIENCE, async || {
        test.kubectl(&patch).await.stderr.contains("ValidatingAdmissionPolicy").then_some(())
    })
    .await;
}

/// If the API server accepts no record any more, the status is made from what the platform shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_refused_as_invalid_is_given_up() {
    let (test, tenant, _) = switched("foreign-refused").await;
    refuse_journals(&test).await;
    wipe(&test, "tp/acme").await;
    let without_record = |object: &TenantPricing| reason(object, "Production") == "AlreadyProduction";
    test.until("acme", "is in production", without_record).await;
    test.until_calm(CALM).await;
    let refused = test.controller_writes().await.into_iter().filter(|write| write.code == 422).count();
    assert_eq!(refused, 2, "one restore: an apply, then a merge patch");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_condition_stays_and_costs_nothing() {
    let (test, _, before) = switched("foreign-theirs").await;
    let (writes, reads) = (test.controller_writes().await.len(), test.simulator.reads());
    let add = json!([{"op": "add", "path": "/status/conditions/-", "value": their_condition()}]);
    patch_status_json(&test, "tp/acme", &add).await;
    test.until("acme", "has their condition", has_their_condition).await;
    // The pause itself is what is tested here.
    tokio::time::sleep(CALM).await;
    assert_eq!((test.controller_writes().await.len(), test.simulator.reads()), (writes, reads));
    // It also stays when what is ours is mended beside it.
    patch_status(&test, "tp/acme", &json!({"status": {"observed": {"tenantName": "another"}}})).await;
    let mended = |object: &TenantPricing| {
        let observed =
            |object: &TenantPricing| object.status.as_ref().and_then(|status| status.observed.clone());
        version(object) > version(&before) + 1 && observed(object) == observed(&before)
    };
    let object = test.until("acme", "is mended", mended).await;
    assert!(has_their_condition(&object), "{object:?}");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restless_writer_is_not_answered_every_time() {
    let (test, tenant, before) = switched("foreign-restless").await;
    let writes = test.controller_writes().await.len();
    for number in 0..60 {
        let patch = json!({"status": {"observed": {"tenantName": format!("name {number}")}}});
        test.edit_status::<TenantPricing>("acme", patch).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answers = test.controller_writes().await.len() - writes;
    assert!(answers < 15, "{answers} answers to 60 writes");
    // By then the pause before the next answer may be a minute, the longest.
    until_as_before(Duration::from_mins(1) + PATIENCE, &test, &before).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_wrong_status_is_found_by_reading() {
    let (test, tenant, _) = switched("foreign-restart").await;
    let controller = test.controllers()[0].clone();
    controller.terminate().await;
    assert_eq!(controller.wait(PATIENCE).await, Some(0));
    let conditions = json!([
        {"type": "Ready", "status": "True", "reason": "InSync", "message": "old",
         "lastTransitionTime": "2026-11-01T00:00:00Z", "observedGeneration": 1},
        {"type": "Production", "status": "False", "reason": "Trial", "message": "old",
         "lastTransitionTime": "2026-11-01T00:00:00Z", "observedGeneration": 1},
    ]);
    let restored = json!({"observed": {"mode": "trial"}, "switch": null, "conditions": conditions});
    patch_status(&test, "tp/acme", &json!({"status": restored})).await;
    test.simulator.clear_log();
    test.controller().await;
    let object = test.until("acme", "is in production", |object| has(object, "Production", "True")).await;
    assert!(has(&object, "Ready", "True"), "{object:?}");
    // What a restart forgets, the platform does not say: who switched it.
    wipe(&test, "tp/acme").await;
    let controller = test.controllers()[1].clone();
    controller.kill().await;
    wipe(&test, "tp/acme").await;
    test.controller().await;
    let object = test.until("acme", "is in production", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "AlreadyProduction");
    let puts = test.simulator.requests().into_iter();
    assert_eq!(puts.filter(|request| request.operation == Operation::PutPricing).count(), 0, "{tenant}");
    test.finish().await;
}
