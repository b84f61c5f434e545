//! A hostile network and a hostile platform, on real sockets. Each connection is refused with its reason, and the rest
//! of the fleet continues.

mod addresses;
pub(crate) mod certificates;
mod floods;
mod proxy;
mod redirects;
mod servers;
mod slowness;

use serde_json::json;
use tenant_pricing_controller::{api::TenantPricing, simulator::TenantSpec};

use crate::harness::{Test, has};

/// Connections that cannot work, an object that uses each, and `right`, which is as it should be.
async fn beside_a_right_one(test: &Test, wrong: &[(&str, String)]) {
    test.connection("right", json!({})).await;
    wrong_ones(test, wrong).await;
}

/// Connections that cannot work, and an object that uses each.
async fn wrong_ones(test: &Test, wrong: &[(&str, String)]) {
    for (name, url) in wrong {
        test.connection(name, json!({"url": url})).await;
        let tenant = test.simulator.add_tenant(TenantSpec::customer(*name));
        test.production(name, &tenant, json!({"connectionRef": {"name": name}})).await;
    }
}

/// The rest of the fleet goes on: a new object is switched, and one that is edited.
async fn the_rest_goes_on(test: &Test, name: &str) {
    let tenant = test.simulator.add_tenant(TenantSpec::customer(name));
    test.production(name, &tenant, json!({"connectionRef": {"name": "right"}})).await;
    test.until(name, "is switched", |object| has(object, "Production", "True")).await;
    test.edit::<TenantPricing>(name, json!({"spec": {"mode": null}})).await;
    test.until(name, "is only observed", |object| {
        object
            .status
            .as_ref()
            .is_some_and(|status| Some(status.observed_generation) == object.metadata.generation)
    })
    .await;
}
