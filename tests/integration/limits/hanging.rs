//! A data centre that hangs takes no slot from another one, neither for reconciles nor for checks of connections.

use serde_json::json;
use tenant_pricing_controller::simulator::{Fault, FaultAction, Operation, Simulator, SimulatorOptions};

use super::is_in_production;
use crate::harness::{PATIENCE, Test, until_connection};

/// How many attempts of each connection are open: together twice the slots that there once were for all.
const OPEN: usize = 16;

/// How many connections hang: five times what a platform of one namespace has slots for.
const CHECKED: usize = 60;

/// How many objects of the healthy connection are switched meanwhile.
const HEALTHY: usize = 5;

/// Another data centre, where the same credentials are good.
async fn data_centre(test: &Test) -> Simulator {
    let options = SimulatorOptions {
        client_id: Some(test.simulator.client_id()),
        client_secret: Some(test.simulator.client_secret()),
        ..SimulatorOptions::default()
    };
    Simulator::start(options).await.unwrap()
}

/// The requests of this kind that have no answer, by their sequence numbers.
fn held(simulator: &Simulator, operation: Operation) -> Vec<u64> {
    let requests = simulator.requests().into_iter();
    let held = requests.filter(|request| request.operation == operation && request.outcome.is_none());
    held.map(|request| request.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_data_centres_that_hang_take_no_slot_from_a_third() {
    let test = Test::new("hanging").await;
    let hanging = [data_centre(&test).await, data_centre(&test).await];
    let mut options = test.controller_options();
    for (name, simulator) in ["one", "two"].into_iter().zip(&hanging) {
        test.connection(name, json!({"url": simulator.url()})).await;
        options.allowed_hosts.push(simulator.url());
        // Attempts whose outcome is not known stay open for a minute, and their tenants are read.
        simulator.inject(Fault::new(FaultAction::DropBefore).on(Operation::PutPricing));
    }
    test.connection("healthy", json!({})).await;
    test.controller_with(&options).await;
    for (name, simulator) in ["one", "two"].into_iter().zip(&hanging) {
        for (number, tenant) in simulator.add_customers(OPEN, "Customer").iter().enumerate() {
            let reference = json!({"connectionRef": {"name": name}});
            test.production(&format!("{name}-{number}"), tenant, reference).await;
        }
    }
    for (name, simulator) in ["one", "two"].into_iter().zip(&hanging) {
        test.wait_for("all attempts were sent", PATIENCE * 2, async || {
            (simulator.total_puts() >= OPEN).then_some(())
        })
        .await;
        for number in 0..OPEN {
            let open = |object: &tenant_pricing_controller::api::TenantPricing| {
                crate::harness::reason(object, "Reconciling") == "OutcomeUnknown"
            };
            test.until(&format!("{name}-{number}"), "has an open attempt", open).await;
        }
    }
    let mut holds = Vec::new();
    for simulator in &hanging {
        for operation in [Operation::FetchTenant, Operation::FetchPricing, Operation::FetchTenants] {
            holds.push((simulator, simulator.inject(Fault::new(FaultAction::hold()).on(operation))));
        }
    }
    for name in ["one", "two"] {
        for number in 0..OPEN {
            test.request_reconcile(&format!("{name}-{number}"), "now").await;
        }
    }
    test.wait_for("the reads of both hang", PATIENCE, async || {
        (hanging.iter().map(|simulator| held(simulator, Operation::FetchTenant).len()).sum::<usize>() >= OPEN)
            .then_some(())
    })
    .await;
    let before: Vec<_> = hanging.iter().map(|simulator| held(simulator, Operation::FetchTenant)).collect();
    for (number, tenant) in test.simulator.add_customers(HEALTHY, "Healthy").iter().enumerate() {
        let reference = json!({"connectionRef": {"name": "healthy"}});
        test.production(&format!("healthy-{number}"), tenant, reference).await;
    }
    for number in 0..HEALTHY {
        test.until(&format!("healthy-{number}"), "is switched", is_in_production).await;
    }
    // No slot was given back meanwhile: those that hung before hang still.
    for (simulator, before) in hanging.iter().zip(before) {
        let now = held(simulator, Operation::FetchTenant);
        let ended: Vec<_> = before.iter().filter(|sequence| !now.contains(sequence)).collect();
        assert!(ended.is_empty(), "the healthy one waited for the end of {ended:?}");
    }
    assert_eq!(test.simulator.effective_puts(), HEALTHY);
    for (simulator, hold) in holds {
        simulator.release(hold);
        simulator.clear_faults();
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_hang_delay_no_check_of_another() {
    let test = Test::new("hanging-checks").await;
    let hanging = data_centre(&test).await;
    let hold = hanging.inject(Fault::new(FaultAction::hold()).on(Operation::Token));
    let mut options = test.controller_options();
    options.allowed_hosts.push(hanging.url());
    for number in 0..CHECKED {
        test.connection(&format!("hanging-{number}"), json!({"url": hanging.url()})).await;
    }
    test.controller_with(&options).await;
    let tried = || held(&hanging, Operation::Token).len();
    test.wait_for("their checks hang", PATIENCE, async || (tried() >= 10).then_some(())).await;
    let before = tried();
    test.connection("healthy", json!({})).await;
    until_connection(&test, "healthy", "CredentialsAccepted").await;
    // Each check gives up in the end, and another one begins. Two rounds are time enough on any machine.
    let meanwhile = tried() - before;
    assert!(meanwhile <= CHECKED / 2, "{meanwhile} checks that hang went before the healthy one");
    hanging.release(hold);
    hanging.clear_faults();
    until_connection(&test, "hanging-0", "CredentialsAccepted").await;
    test.finish().await;
}
