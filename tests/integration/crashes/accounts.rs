//! The table of side effects is complete: what arrives at the servers is compared with what was begun.

use std::{collections::BTreeMap, time::Duration};

use tenant_pricing_controller::{failpoints::SideEffect, simulator::Operation};

use super::scenario::Scenario;
use crate::harness::{Controller, Write};

/// The side effects that can cause a request of this kind.
fn behind(operation: Operation) -> &'static [SideEffect] {
    match operation {
        Operation::Token => &[SideEffect::Token],
        Operation::FetchClient => &[SideEffect::OwnTenant],
        Operation::Search => &[SideEffect::Search],
        Operation::FetchTenants => &[SideEffect::Tenants, SideEffect::Subtree],
        Operation::FetchTenant => &[SideEffect::Tenant],
        Operation::FetchPricing => &[SideEffect::Pricing],
        Operation::PutPricing => &[SideEffect::Put],
        Operation::FetchChildren | Operation::Other => &[],
    }
}

/// The same for a write to the API server.
fn behind_write(write: &Write) -> &'static [SideEffect] {
    match (write.resource.as_str(), write.subresource.as_str()) {
        ("tenantpricings.tenantpricing.io", "status") => {
            &[SideEffect::Journal, SideEffect::TenantPricingStatus]
        }
        ("platformconnections.tenantpricing.io", "status") => &[SideEffect::ConnectionStatus],
        ("events.events.k8s.io", "") => &[SideEffect::Event],
        ("leases.coordination.k8s.io", "") => {
            &[SideEffect::LeaseAcquire, SideEffect::LeaseRenew, SideEffect::LeaseRelease]
        }
        _ => &[],
    }
}

/// How often side effects were begun, by their names, as the process has logged it.
fn begun(controller: &Controller) -> BTreeMap<String, usize> {
    let mut begun = BTreeMap::new();
    for entry in controller.log_entries() {
        if entry["target"] == "failpoints" {
            *begun.entry(entry["effect"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    begun
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_arrives_was_begun_as_a_side_effect_of_its_kind() {
    let scenario = Scenario::begin("no death").await;
    let mut options = scenario.test.controller_options();
    options.log_level.push_str(",failpoints=trace");
    let controller = scenario.start_with(&options);
    scenario.come_to_rest().await;
    scenario.go_on().await;
    scenario.come_to_rest().await;
    controller.terminate().await;
    assert_eq!(controller.wait(Duration::from_secs(25)).await, Some(0));
    let begun = begun(&controller);
    let mut arrived: BTreeMap<&[SideEffect], usize> = BTreeMap::new();
    for request in scenario.test.simulator.requests() {
        *arrived.entry(behind(request.operation)).or_default() += 1;
    }
    for write in scenario.test.writes().await.iter().filter(|write| !write.by_the_test()) {
        *arrived.entry(behind_write(write)).or_default() += 1;
    }
    for (effects, arrived) in &arrived {
        let begun: usize = effects.iter().filter_map(|effect| begun.get(effect.as_str())).sum();
        // The last renewal of a lease may be broken off by the end.
        let cut_off = usize::from(effects.contains(&SideEffect::LeaseRenew) && begun > *arrived);
        assert_eq!(begun - cut_off, *arrived, "{effects:?}");
    }
    assert!(arrived.len() > 9, "the scenario has every kind of them: {arrived:?}");
    scenario.end().await;
}
