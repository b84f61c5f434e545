//! The command line tool `kubectl-tenantpricing`.

mod check;
mod checkout;
mod ci;
mod completion;
mod edit;
mod examples;
mod fleets;
mod import;
mod pages;
mod plan;
mod reports;
mod terminal;
mod tree;
mod version;
mod watch;

use serde_json::Value;
use tenant_pricing_controller::simulator::{LoggedRequest, Operation};

use crate::harness::{Output, Test, schemas};

/// The plan as JSON, whatever its exit code. It follows its schema.
fn json(output: &Output) -> Value {
    let plan = serde_json::from_str(&output.stdout);
    let plan = plan.unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr));
    schemas::assert_valid(&plan);
    plan
}

/// The entry of an object in a plan.
fn entry<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let objects = plan["objects"].as_array().unwrap();
    objects.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no entry {name}: {plan:#}"))
}

/// The credentials of the simulator, as variables.
fn credentials(test: &Test) -> [(&'static str, String); 2] {
    [
        ("TENANT_PRICING_CLIENT_ID", test.simulator.client_id()),
        ("TENANT_PRICING_CLIENT_SECRET", test.simulator.client_secret()),
    ]
}

/// Checks that a simulator has received nothing but reads and requests for tokens.
fn assert_only_reads(requests: &[LoggedRequest]) {
    for request in requests {
        assert!(request.operation.is_read() || request.operation == Operation::Token, "{request:?}");
    }
}
