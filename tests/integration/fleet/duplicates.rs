//! Several objects for one tenant: the oldest owns it, and the next one when it goes. No poll can help: the
//! interval is ten minutes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tenant_pricing_controller::{
    api::{Phase, TenantPricing},
    simulator::{Simulator, SimulatorOptions, TenantSpec},
};

use super::{at_work, end, message, metric};
use crate::harness::{PATIENCE, Test, has, reason, until_connection};

/// Creates an object that is older than all that are created after it. Creation times have whole seconds, and of
/// those with the same one the first by name owns the tenant; so names decide nothing here.
pub(crate) async fn older(test: &Test, name: &str, spec: Value) {
    let created = test.tenant_pricing(name, spec).await.metadata.creation_timestamp.unwrap().0;
    let next_second = created + SignedDuration::from_secs(1);
    let left = Duration::try_from(next_second.duration_since(now())).unwrap_or_default();
    tokio::time::sleep(left).await;
}

fn now() -> Timestamp {
    tenant_pricing_controller::clock::Clock::system().now()
}

async fn delete(test: &Test, name: &str) {
    let api: Api<TenantPricing> = Api::namespaced(test.client.clone(), &test.namespace);
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

async fn edit(test: &Test, name: &str, spec: Value) {
    test.edit::<TenantPricing>(name, json!({"spec": spec})).await;
}

async fn until_it_owns(test: &Test, name: &str) {
    test.until(name, "owns the tenant", |object| reason(object, "Ready") == "InSync").await;
}

/// Waits until an object reports that another one owns its tenant.
async fn until_duplicate(test: &Test, name: &str, of: &str) -> TenantPricing {
    let acting = format!("TenantPricing {}/{of} is older", test.namespace);
    let is_duplicate = |object: &TenantPricing| {
        reason(object, "Stalled") == "DuplicateTenant" && message(object, "Stalled").contains(&acting)
    };
    test.until(name, &format!("is a duplicate of {of}"), is_duplicate).await
}

/// The next oldest takes over then.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_acts_until_it_ends_is_suspended_or_observes() {
    let test = Test::new("fleet-duplicates").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let controller = at_work(&test, json!({})).await;
    let trial = json!({"tenant": {"id": tenant}, "mode": "trial"});
    // The oldest of all only observes: it competes with no other.
    older(&test, "watcher", json!({"tenant": {"id": tenant}})).await;
    older(&test, "zoe", trial.clone()).await;
    older(&test, "mia", trial.clone()).await;
    test.tenant_pricing("anna", trial).await;
    until_it_owns(&test, "zoe").await;
    until_duplicate(&test, "mia", "zoe").await;
    until_duplicate(&test, "anna", "zoe").await;
    test.until_events("anna", &["DuplicateTenant"]).await;
    test.wait_for("two are counted as duplicates", PATIENCE, async || {
        let reason = "reason=\"DuplicateTenant\"";
        let stalled = metric(&test, &controller, "tenantpricing_stalled_objects", &[reason]).await;
        ((stalled - 2.0).abs() < f64::EPSILON).then_some(())
    })
    .await;
    delete(&test, "zoe").await;
    until_it_owns(&test, "mia").await;
    until_duplicate(&test, "anna", "mia").await;
    edit(&test, "mia", json!({"suspend": true})).await;
    until_it_owns(&test, "anna").await;
    edit(&test, "mia", json!({"suspend": false})).await;
    until_it_owns(&test, "mia").await;
    until_duplicate(&test, "anna", "mia").await;
    edit(&test, "mia", json!({"mode": null})).await;
    until_it_owns(&test, "anna").await;
    edit(&test, "mia", json!({"mode": "trial"})).await;
    until_duplicate(&test, "anna", "mia").await;
    let watcher = test.until("watcher", "watches", |object| has(object, "Ready", "True")).await;
    assert_eq!(reason(&watcher, "Ready"), "Observed");
    assert_eq!(test.recorded_statuses("watcher").len(), 2, "nothing of all that was its business");
    assert_eq!(test.simulator.total_puts(), 0);
    test.finish().await;
}

/// The other one does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_takes_over_follows_its_own_spec() {
    let test = Test::new("fleet-takes-over").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    at_work(&test, json!({})).await;
    let later = (test.simulator.now() + SignedDuration::from_hours(1)).to_string();
    let patient = json!({"tenant": {"id": tenant}, "mode": "production", "switch": {"notBefore": later}});
    older(&test, "patient", patient).await;
    test.until("patient", "waits", |object| reason(object, "Ready") == "SwitchScheduled").await;
    test.production("hasty", &tenant, json!({})).await;
    let hasty = until_duplicate(&test, "hasty", "patient").await;
    assert!(hasty.status.unwrap().switch.is_none(), "nothing is planned for it");
    assert_eq!(test.simulator.total_puts(), 0);
    delete(&test, "patient").await;
    let hasty = test.until("hasty", "switches", |object| has(object, "Production", "True")).await;
    assert_eq!(reason(&hasty, "Production"), "SwitchedByController");
    assert_eq!(test.simulator.puts(&tenant), 1);
    test.finish().await;
}

/// Two data centres are two platforms.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_one_data_centre_are_one_platform() {
    let test = Test::new("fleet-origins").await;
    let id = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    // Another data centre, where the same credentials are good and a tenant happens to have the same id.
    let options = SimulatorOptions {
        client_id: Some(test.simulator.client_id()),
        client_secret: Some(test.simulator.client_secret()),
        ..SimulatorOptions::default()
    };
    let elsewhere = Simulator::start(options).await.unwrap();
    elsewhere.add_tenant(TenantSpec::customer("Acme GmbH").id(&id));
    test.connection("here", json!({})).await;
    test.connection("here-too", json!({"url": format!("{}/", test.simulator.url())})).await;
    test.connection("there", json!({"url": elsewhere.url()})).await;
    let mut options = test.controller_options();
    options.allowed_hosts.push(elsewhere.url());
    test.controller_with(&options).await;
    for name in ["here", "here-too", "there"] {
        until_connection(&test, name, "CredentialsAccepted").await;
    }
    let through = |connection: &str| json!({"tenant": {"id": id}, "mode": "trial", "connectionRef": {"name": connection}});
    older(&test, "one", through("here")).await;
    test.tenant_pricing("other", through("here-too")).await;
    test.tenant_pricing("stranger", through("there")).await;
    for name in ["one", "stranger"] {
        until_it_owns(&test, name).await;
    }
    until_duplicate(&test, "other", "one").await;
    delete(&test, "one").await;
    until_it_owns(&test, "other").await;
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_lets_no_younger_one_act_first() {
    let test = Test::new("fleet-restart-duplicates").await;
    let tenant = test.simulator.add_tenant(TenantSpec::customer("Acme GmbH"));
    let mut controller = at_work(&test, json!({})).await;
    let later = (test.simulator.now() + SignedDuration::from_hours(1)).to_string();
    // By name, which leads to the tenant only after a search.
    let patient =
        json!({"tenant": {"name": "Acme GmbH"}, "mode": "production", "switch": {"notBefore": later}});
    older(&test, "patient", patient).await;
    test.until("patient", "waits", |object| reason(object, "Ready") == "SwitchScheduled").await;
    for name in ["hasty", "another"] {
        test.production(name, &tenant, json!({})).await;
        until_duplicate(&test, name, "patient").await;
    }
    for restart in 0..3 {
        if restart == 0 {
            end(&controller).await;
        } else {
            controller.kill().await;
        }
        // The younger ones are edited, and so are worked on before anything else; the oldest is not.
        for name in ["hasty", "another"] {
            let annotations = json!({"tenantpricing.io/reconcile-now": restart.to_string()});
            test.edit::<TenantPricing>(name, json!({"metadata": {"annotations": annotations}})).await;
        }
        controller = test.controller().await;
        for name in ["hasty", "another"] {
            let was_read = |object: &TenantPricing| {
                let status = object.status.as_ref().unwrap();
                status.last_handled_reconcile_at.as_ref() == Some(&restart.to_string())
            };
            let object = test.until(name, "is read", was_read).await;
            assert_eq!(reason(&object, "Stalled"), "DuplicateTenant");
        }
    }
    assert_eq!(test.simulator.total_puts(), 0);
    for name in ["patient", "hasty", "another"] {
        let announced = |status: &Value| status["switch"]["phase"] == "InFlight";
        assert!(!test.recorded_statuses(name).iter().any(announced), "{name}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_unobserved_objects_the_oldest_acts() {
    let test = Test::new("fleet-cold-duplicates").await;
    let tenants = test.simulator.add_customers(10, "Customer");
    test.connection("default", json!({})).await;
    for (number, tenant) in tenants.iter().enumerate() {
        test.production(&format!("zz-{number}"), tenant, json!({})).await;
    }
    older(&test, "fence", json!({"tenant": {"id": tenants[0]}})).await;
    for (number, tenant) in tenants.iter().enumerate() {
        for name in ["a", "b"] {
            test.production(&format!("{name}-{number}"), tenant, json!({})).await;
        }
    }
    test.controller().await;
    for (number, tenant) in tenants.iter().enumerate() {
        for name in ["zz", "a", "b"] {
            let name = format!("{name}-{number}");
            let settled = |object: &TenantPricing| has(object, "Production", "True");
            let object = test.until(&name, "is in production", settled).await;
            let journal = object.status.and_then(|status| status.switch);
            let switched = journal.is_some_and(|journal| journal.phase == Phase::Completed);
            assert_eq!(switched, name.starts_with("zz"), "{name}");
        }
        assert_eq!(test.simulator.puts(tenant), 1);
    }
    test.finish().await;
}
