//! A fleet from Git without Flux or Argo CD: `kubectl apply --server-side --prune` with an `ApplySet`.

use serde_json::{Value, json};
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use crate::harness::{Output, Test, has, reason};

/// An object of the fleet.
fn tenant(name: &str, id: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing",
        "metadata": {"name": name}, "spec": spec});
    object["spec"]["tenant"] = json!({"id": id});
    object
}

/// Applies what Git holds now, and prunes what it no longer holds.
async fn apply(test: &Test, objects: &[Value]) -> Output {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let namespace = format!("--namespace={}", test.namespace);
    let arguments =
        ["apply", "--server-side", "--prune", "--applyset=configmaps/fleet", &namespace, "-f", "-"];
    test.kubectl_with_feature("KUBECTL_APPLYSET", &arguments, &list).await
}

fn is_switched(object: &TenantPricing) -> bool {
    has(object, "Production", "True") && has(object, "Ready", "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_reverts_and_prunes_a_fleet() {
    let test = Test::new("apply-set").await;
    test.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    test.connection("default", json!({})).await;
    let [acme, bolt] =
        ["Acme GmbH", "Bolt & Sons"].map(|name| test.simulator.add_tenant(TenantSpec::customer(name)));
    test.controller().await;
    let of = |mode: &str| json!({"mode": mode});
    let later = json!({"mode": "production", "switch": {"at": "MonthStart"}});

    // A commit switches one tenant, and plans the switch of another.
    let fleet = [tenant("acme", &acme, &of("production")), tenant("bolt", &bolt, &later)];
    apply(&test, &fleet).await.success();
    let object = test.until("acme", "is switched", is_switched).await;
    let journal = object.status.unwrap().switch.unwrap();
    assert_eq!(journal.requested_by.as_deref(), Some("kubectl"));
    test.until("bolt", "waits for its day", |object| reason(object, "Ready") == "SwitchScheduled").await;

    // The revert of the first is refused. That of the second comes before its day, and cancels.
    let reverted = [tenant("acme", &acme, &of("trial")), tenant("bolt", &bolt, &of("trial"))];
    let message = apply(&test, &reverted).await.failure();
    assert!(message.contains("mode cannot become trial: the tenant is past trial"), "{message}");
    // The way out that the message names.
    let mended = [tenant("acme", &acme, &json!({})), tenant("bolt", &bolt, &of("trial"))];
    apply(&test, &mended).await.success();
    test.until("bolt", "is cancelled", |object| reason(object, "Ready") == "InSync").await;

    // An object that leaves Git is pruned, and changes nothing on the platform. Neither does one that is renamed.
    apply(&test, &[tenant("bolt", &bolt, &of("trial"))]).await.success();
    let left = test.kubectl(&["get", "tp", "-o", "name"]).await.success();
    assert_eq!(left, "tenantpricing.tenantpricing.io/bolt\n");
    let renamed = [tenant("acme-2", &acme, &of("production")), tenant("bolt", &bolt, &of("trial"))];
    apply(&test, &renamed).await.success();
    let object = test.until("acme-2", "is in production", is_switched).await;
    assert_eq!(reason(&object, "Production"), "AlreadyProduction");
    assert_eq!((test.simulator.puts(&acme), test.simulator.puts(&bolt)), (1, 0));
    test.finish().await;
}
