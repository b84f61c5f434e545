//! The main job: a line in a manifest becomes one switch on the platform.

use serde_json::json;
use tenant_pricing_controller::{
    api::{Phase, SwitchedBy, TenantPricing},
    simulator::{Fault, FaultAction, Operation, TenantSpec},
};

use crate::harness::{PATIENCE, Test, condition, has, reason, status_writes};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_trial_is_switched_once() {
    let test = Test::new("switched-once").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.kubectl_with(
        &["apply", "--field-manager=kustomize-controller", "--server-side", "-f", "-"],
        &manifest("acme", &json!({"tenant": {"id": tenant.to_uppercase()}, "mode": "production"})),
    )
    .await
    .success();
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&object, "Production"), "SwitchedByController");
    assert_eq!(reason(&object, "Ready"), "InSync");
    let status = object.status.clone().unwrap();
    assert_eq!(status.tenant_id.as_deref(), Some(tenant.as_str()), "upper-case ids name the same tenant");
    let journal = status.switch.unwrap();
    assert_eq!(
        (journal.phase, journal.by, journal.attempts),
        (Phase::Completed, Some(SwitchedBy::Controller), 1)
    );
    assert_eq!(journal.requested_by.as_deref(), Some("kustomize-controller"));
    assert_eq!(journal.connection, Some(format!("{}/default", test.namespace)));
    assert_eq!(journal.platform, Some(test.simulator.url()));
    assert_eq!(test.simulator.puts(&tenant), 1);
    // One write announces the switch, one records how it ended.
    assert_eq!(status_writes(&test.controller_writes().await, "acme"), 2);
    test.until_events("acme", &["SwitchRequested", "SwitchCompleted"]).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_put_lies_between_prewrite_read_and_read_back() {
    let test = Test::new("order").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let requests = test.simulator.requests();
    let own: Vec<Operation> = requests
        .iter()
        .filter(|request| request.tenants == [tenant.clone()])
        .map(|request| request.operation)
        .collect();
    let put = own.iter().position(|operation| *operation == Operation::PutPricing).unwrap();
    for side in [&own[..put], &own[put + 1..]] {
        assert!(side.contains(&Operation::FetchTenant) && side.contains(&Operation::FetchPricing), "{own:?}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_and_trial_cost_one_write_each_and_send_nothing() {
    let test = Test::new("observing").await;
    let tenants = test.simulator.add_customers(3, "Customer");
    test.simulator.update_tenant(&tenants[2], |tenant| tenant.pricing.mode = "production".into());
    test.connection("default", json!({})).await;
    test.controller().await;
    test.tenant_pricing("observed", json!({"tenant": {"id": tenants[0]}})).await;
    test.tenant_pricing("trial", json!({"tenant": {"id": tenants[1]}, "mode": "trial"})).await;
    test.production("there", &tenants[2], json!({})).await;
    for (name, ready, production) in [
        ("observed", "Observed", "Trial"),
        ("trial", "InSync", "Trial"),
        ("there", "InSync", "AlreadyProduction"),
    ] {
        let object = test.until(name, "is ready", |object| has(object, "Ready", "True")).await;
        assert_eq!((reason(&object, "Ready"), reason(&object, "Production")), (ready, production), "{name}");
        assert!(object.status.unwrap().switch.is_none(), "{name} has no switch");
        assert_eq!(status_writes(&test.controller_writes().await, name), 1, "{name}");
    }
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

/// A condition reports what the API server cannot know.
#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_is_rejected_at_admission_or_stalls() {
    let test = Test::new("reversal").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let other = test.simulator.add_tenant(TenantSpec::customer("Beta AG").mode("production"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    let patch = ["patch", "tp", "acme", "--type=merge", "-p", r#"{"spec":{"mode":"trial"}}"#];
    let refusal = test.kubectl(&patch).await.failure();
    assert!(refusal.contains("spec.mode"), "{refusal}");
    // Admission has seen no status of this one.
    test.tenant_pricing("beta", json!({"tenant": {"id": other}, "mode": "trial"})).await;
    let object = test.until("beta", "is refused", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ReversalRefused");
    test.until_events("beta", &["ReversalRefused"]).await;
    // The remedy is to leave the mode out.
    test.kubectl_patch("tp", "beta", r#"{"spec":{"mode":null}}"#).await.success();
    let object = test.until("beta", "is observed", |object| has(object, "Ready", "True")).await;
    assert_eq!(reason(&object, "Ready"), "Observed");
    assert_eq!(test.simulator.total_puts(), 1);
    test.finish().await;
}

/// Nothing is sent for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_switched_is_stalled_with_its_reason() {
    let test = Test::new("refusals").await;
    let add = |spec: TenantSpec| test.simulator.add_tenant(spec);
    let stranger = add(TenantSpec::partner("Another partner"));
    let cases = [
        ("partner", add(TenantSpec::partner("Partner")), "NotACustomerTenant"),
        ("disabled", add(TenantSpec::customer("Disabled").disabled()), "TenantDisabled"),
        ("locked", add(TenantSpec::customer("Locked").locked_by(&stranger)), "TenantLocked"),
        ("suspended", add(TenantSpec::customer("Suspended").mode("suspended")), "TenantSuspendedOnPlatform"),
        ("unheard", add(TenantSpec::customer("Unheard").mode("freemium")), "UnknownMode"),
        ("hidden", add(TenantSpec { hidden: true, ..TenantSpec::customer("Hidden") }), "AccessDenied"),
        ("deleted", add(TenantSpec { deleted: true, ..TenantSpec::customer("Deleted") }), "TenantNotFound"),
        ("absent", "00000000-0000-4000-8000-000000000000".to_owned(), "TenantNotFound"),
    ];
    test.connection("default", json!({})).await;
    test.controller().await;
    for (name, tenant, _) in &cases {
        test.production(name, tenant, json!({})).await;
    }
    for (name, tenant, expected) in &cases {
        let object = test.until(name, "is stalled", |object| has(object, "Stalled", "True")).await;
        assert_eq!(reason(&object, "Stalled"), *expected, "{name}");
        assert_eq!(test.simulator.puts(tenant), 0, "{name}");
        test.until_events(name, &[*expected]).await;
    }
    // What a user mends goes on without any further edit, here at the next read.
    test.simulator.update_tenant(&cases[1].1, |tenant| tenant.enabled = true);
    test.request_reconcile("disabled", "1").await;
    test.until("disabled", "is switched", |object| has(object, "Production", "True")).await;
    assert_eq!(test.simulator.total_puts(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_the_credentials_own_tenant_does_not_block() {
    let test = Test::new("own-lock").await;
    let root = test.simulator.root_tenant();
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Locked by us").locked_by(&root));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_back_in_trial_is_never_switched_again() {
    let test = Test::new("unexpected-trial").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    test.simulator.update_tenant(&tenant, |tenant| tenant.pricing.mode = "trial".into());
    test.request_reconcile("acme", "1").await;
    let object = test.until("acme", "is stalled", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "UnexpectedTrial");
    assert!(has(&object, "Production", "True"), "as last proven");
    // Neither a read nor an edit nor a restart forgets it.
    test.kubectl_patch("tp", "acme", r#"{"spec":{"switch":{"at":"Immediately"}}}"#).await.success();
    let was_read = |object: &TenantPricing| object.status.as_ref().unwrap().observed_generation == 2;
    let object = test.until("acme", "is read again", was_read).await;
    assert_eq!(reason(&object, "Stalled"), "UnexpectedTrial");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

/// The reads of a new process show the tenant as it was before its switch, and the object that it was switched for is
/// suspended. So the younger object owns the tenant.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_switched_for_one_object_is_not_for_another() {
    let test = Test::new("record-elsewhere").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({"spec": {"pollInterval": "1m"}})).await;
    let controller = test.controller().await;
    test.production("switched", &tenant, json!({})).await;
    test.until("switched", "is switched", |object| has(object, "Production", "True")).await;
    controller.terminate().await;
    controller.wait(PATIENCE).await.expect("the process ends");
    test.kubectl_patch("tp", "switched", r#"{"spec":{"suspend":true}}"#).await.success();
    let fault = test.simulator.inject(Fault::new(FaultAction::StaleRead).tenant(&tenant));
    test.production("younger", &tenant, json!({})).await;
    test.controller().await;
    let says = |object: &TenantPricing| {
        condition(object, "Ready").is_some_and(|ready| ready.message.contains("switched"))
    };
    let object = test.until("younger", "waits", says).await;
    let ready = condition(&object, "Ready").unwrap();
    assert_eq!(ready.reason, "OutcomeUnknown", "{ready:?}");
    assert!(
        ready.message.contains("/switched records that this controller switched the same tenant"),
        "{ready:?}"
    );
    test.simulator.clear_fault(fault);
    test.request_reconcile("younger", "1").await;
    test.until("younger", "is in sync", |object| has(object, "Ready", "True")).await;
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_objects_for_one_tenant_send_one_put() {
    let test = Test::new("two-objects").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    for name in ["one", "two", "three"] {
        test.production(name, &tenant, json!({})).await;
    }
    test.controller().await;
    for name in ["one", "two", "three"] {
        test.until(name, "is in production", |object| has(object, "Production", "True")).await;
    }
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_object_changes_nothing_and_never_waits() {
    let test = Test::new("deleting").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.connection("default", json!({})).await;
    let controller = test.controller().await;
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    assert!(object.metadata.finalizers.is_none_or(|finalizers| finalizers.is_empty()));
    // Not even a controller is needed for it.
    controller.terminate().await;
    assert_eq!(controller.wait(crate::harness::PATIENCE).await, Some(0));
    test.kubectl(&["delete", "tp", "acme", "--timeout=10s"]).await.success();
    assert_eq!(test.simulator.tenant(&tenant).unwrap().pricing.mode, "production");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_the_longest_name_has_its_events() {
    let test = Test::new("long-names").await;
    test.connection("default", json!({})).await;
    test.controller().await;
    // From 237 letters on, the object's name and a time are longer than a name may be.
    let names = [237, 243, 253].map(|length| "a".repeat(length));
    for name in &names {
        let tenant = test.simulator.add_tenant(TenantSpec::customer(format!("Customer {}", name.len())));
        test.production(name, &tenant, json!({})).await;
    }
    for name in &names {
        test.until(name, "is switched", |object| has(object, "Production", "True")).await;
        test.until_events(name, &["SwitchRequested", "SwitchCompleted"]).await;
    }
    test.finish().await;
}

/// A manifest as a person writes it.
pub fn manifest(name: &str, spec: &serde_json::Value) -> String {
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": name}, "spec": spec,
    })
    .to_string()
}
