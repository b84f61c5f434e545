//! A selector that makes no sense. The API server rejects one at admission; an older CRD may have accepted it.

use serde_json::{Value, json};
use tenant_pricing_controller::{
    api,
    simulator::{SimulatorOptions, TenantSpec},
};

use crate::harness::{Environment, Test, has, reason, until_connection};

/// The CRDs, without what they say of operators.
fn older_crds() -> Value {
    let mut crds = json!(api::custom_resource_definitions());
    loosen(&mut crds);
    crds
}

fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(operator) = fields.get_mut("operator").and_then(Value::as_object_mut) {
                operator.remove("enum");
                fields.remove("x-kubernetes-validations");
            }
            if fields.get("properties").is_some_and(|properties| properties.get("operator").is_some()) {
                fields.remove("x-kubernetes-validations");
            }
            fields.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}

/// It was stored before the schema refused it. The condition names it.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_invalid_selector_admits_nothing_until_corrected() {
    // On its own: it is about other CRDs.
    let cluster = Environment::alone().await;
    tokio::task::block_in_place(|| cluster.install(&older_crds())).unwrap();
    let test = Test::on(cluster, "odd-selector", SimulatorOptions::default()).await;
    let selecting = |operator: &str| {
        let expression = json!({"key": "kubernetes.io/metadata.name", "operator": operator});
        json!({"from": "Selector", "selector": {"matchExpressions": [expression]}})
    };
    test.connection("default", json!({"allowedNamespaces": selecting("Near")})).await;
    test.controller().await;
    let said = until_connection(&test, "default", "SelectorInvalid").await;
    for word in
        ["spec.allowedNamespaces.selector", "\"Near\"", "kubernetes.io/metadata.name", "In, NotIn, Exists"]
    {
        assert!(said.contains(word), "{said}");
    }
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    test.production("acme", &tenant, json!({})).await;
    let object = test.until("acme", "is refused", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotAllowed");
    assert_eq!(test.simulator.requests().len(), 0);
    let corrected = json!({"spec": {"allowedNamespaces": selecting("Exists")}});
    test.edit::<api::PlatformConnection>("default", corrected).await;
    test.until("acme", "is switched", |object| has(object, "Production", "True")).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    test.finish().await;
    cluster.end();
}
