//! A watched namespace in which the controller has no rights yet.

use std::time::Duration;

use serde_json::json;

use crate::harness::{PATIENCE, Test, give_rights, has, reason, until_connection};

/// More than enough for a list that was refused: it is retried every 5 s at the latest.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

/// The log names the right that is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_rights_delays_switches_but_no_reads() {
    let (test, unbound) = tokio::join!(Test::new("bound"), Test::new("unbound"));
    let tenants = test.simulator.add_customers(3, "Customer");
    test.connection("default", json!({})).await;
    unbound
        .connection("default", json!({"url": test.simulator.url(), "allowedNamespaces": {"from": "All"}}))
        .await;
    let (id, secret) = (test.simulator.client_id(), test.simulator.client_secret());
    unbound.secret("default", json!({"clientId": id, "clientSecret": secret})).await;
    test.kubectl(&["create", "serviceaccount", "controller"]).await.success();
    give_rights(&test, &test.namespace).await;
    let mut options = test.controller_options();
    options.kubeconfig = test.service_account_kubeconfig("controller").await;
    options.namespaces.insert(0, unbound.namespace.clone());
    let controller = test.controller_with(&options).await;
    until_connection(&test, "default", "CredentialsAccepted").await;
    test.production("due", &tenants[0], json!({})).await;
    test.tenant_pricing("observed", json!({"tenant": {"id": tenants[1]}})).await;
    test.until("observed", "is read", |object| has(object, "Ready", "True")).await;
    let through = json!({"tenant": {"id": tenants[2]}, "connectionRef": {"name": "default", "namespace": unbound.namespace}});
    test.tenant_pricing("through", through).await;
    let object =
        test.until("through", "misses its connection", |object| has(object, "Stalled", "True")).await;
    assert_eq!(reason(&object, "Stalled"), "ConnectionNotFound");
    // Where lists are streamed, a list is a watch.
    test.wait_for("the log names what is missing", PATIENCE, async || {
        let entries = controller.log_entries();
        let names = |kind: &str, right: &str| {
            entries.iter().any(|entry| {
                entry["level"] == "WARN"
                    && entry["kind"] == kind
                    && entry["namespace"] == unbound.namespace
                    && entry["missing_right"] == right
            })
        };
        let both = names("TenantPricing", "watch tenantpricings.tenantpricing.io")
            && names("PlatformConnection", "watch platformconnections.tenantpricing.io");
        both.then_some(())
    })
    .await;
    assert_eq!(test.simulator.total_puts(), 0, "an attempt may be open where nothing can be read");
    give_rights(&unbound, &test.namespace).await;
    test.until_within(TRIED_AGAIN, "due", "is switched", |object| has(object, "Production", "True")).await;
    test.until_within(TRIED_AGAIN, "through", "finds it", |object| has(object, "Ready", "True")).await;
    test.finish().await;
    unbound.finish().await;
}
