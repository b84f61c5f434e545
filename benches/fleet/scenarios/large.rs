//! Objects as large as anyone may make them, in a namespace that no connection admits.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Measured, api_server,
    bench::{Bench, MEMORY},
    measurements::{Amount, Measurement},
    platform,
};

/// The most objects that it creates.
const MOST: usize = 1000;

/// A little less than the API server admits for all annotations of an object.
const ANNOTATION: usize = 250_000;

/// A namespace that is always there.
const PATH: &str = "/apis/tenantpricing.io/v1alpha1/namespaces/default/tenantpricings";

/// After that a controller has written what it has to say of them.
const SETTLED: Duration = Duration::from_secs(20);

/// The most memory of a controller that starts beside them, and of one that starts once more.
pub async fn large(bench: &mut Bench) -> Measured<()> {
    bench.end_controller().await?;
    let count = bench.fleet.standing().min(MOST);
    let fleet = &bench.fleet;
    // A few at a time: each request is as large as the object.
    for numbers in (0..count).collect::<Vec<_>>().chunks(8) {
        let create = |number| async move { fleet.admin().create(PATH, &object(number)).await };
        api_server::all(numbers.iter().copied().map(create)).await?;
    }
    let mut peaks = Vec::new();
    for _ in 0..2 {
        let controller = bench.controller().await?;
        controller.ready().await?;
        sleep(SETTLED).await;
        peaks.push(controller.memory()?.peak);
        bench.end_controller().await?;
    }
    for number in 0..count {
        bench.fleet.admin().delete(&format!("{PATH}/large-{number:05}")).await?;
    }
    let peak = peaks.iter().copied().max().unwrap_or_default();
    bench
        .add(Measurement::at_most("large annotations: memory, peak", Amount::bytes(peak), MEMORY, "≤ 40 MiB").note(
        format!(
            "{count} objects with {} KB of annotations each, beside the fleet; the pod's limit is 128 MiB",
            ANNOTATION / 1000
        ),
    ));
    Ok(())
}

fn object(number: usize) -> Value {
    // Every other one is large where the controller reads.
    let key = if number.is_multiple_of(2) { "tenantpricing.io/reconcile-now" } else { "example.com/notes" };
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1",
        "kind": "TenantPricing",
        "metadata": {
            "name": format!("large-{number:05}"), "namespace": "default",
            "annotations": {key: "x".repeat(ANNOTATION)},
        },
        "spec": {"tenant": {"id": platform::id(number)}},
    })
}
