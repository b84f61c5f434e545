//! What connections cost, whatever becomes of their objects.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Measured, api_server,
    bench::Bench,
    controller::OTHER_HOST,
    fleet, manifests,
    measurements::{Amount, Measurement},
};

/// The number of connections whose Secret is missing.
const MANY: usize = 1000;

/// A controller without objects takes some 14 MiB: with this much more it stays below 60.
const GROWTH: f64 = 46.0;

/// How long the connection of the fleet is edited.
const STORM: Duration = Duration::from_secs(30);

/// The memory of connections that do not work, and the tokens that edits ask for.
pub async fn connections(bench: &mut Bench) -> Measured<()> {
    // A controller of its own: its peak is not that of the fleet.
    bench.end_controller().await?;
    let mut controller = bench.fleet.launch.start().await?;
    controller.ready().await?;
    sleep(Duration::from_secs(10)).await;
    let before = controller.memory()?.present;
    let fleet = &bench.fleet;
    let create =
        |number| async move { fleet.admin().create(manifests::CONNECTIONS, &connection(number)).await };
    let started = Instant::now();
    api_server::all((1..=MANY).map(create)).await?;
    loop {
        let all = fleet.admin().list(manifests::CONNECTIONS).await?;
        if all.iter().filter(|connection| has_reason(connection, "SecretNotFound")).count() == MANY {
            break;
        }
        if started.elapsed() > fleet::PATIENCE {
            return Err("not all connections say that their Secret is missing".into());
        }
        sleep(Duration::from_millis(500)).await;
    }
    let after = controller.memory()?.present;
    let tokens = fleet.platform.simulator.tokens();
    let (storm, mut edits) = (Instant::now(), 0_u32);
    while storm.elapsed() < STORM {
        let secret = if edits.is_multiple_of(2) { "default" } else { "elsewhere" };
        fleet.edit_connection(json!({"credentialsSecretRef": {"name": secret}})).await?;
        edits += 1;
    }
    fleet.edit_connection(json!({"credentialsSecretRef": {"name": "default"}})).await?;
    sleep(Duration::from_secs(15)).await;
    let fetched = fleet.platform.simulator.tokens() - tokens;
    controller.end().await?;
    let remove = |number: usize| async move {
        fleet.admin().delete(&format!("{}/{}", manifests::CONNECTIONS, name(number))).await
    };
    api_server::all((1..=MANY).map(remove)).await?;
    let growth = Amount::bytes(after.saturating_sub(before));
    bench.add(
        Measurement::at_most("memory: 1,000 connections without a Secret", growth, GROWTH, "≤ 46 MiB")
            .note(format!("resident, beyond the {} of the fleet at rest", Amount::bytes(before))),
    );
    bench.add(
        Measurement::at_most(
            "tokens while a connection is edited for 30 s",
            Amount::count(fetched),
            5.0,
            "≤ 5",
        )
        .note(format!("{edits} edits; one token in 10 s at most, those of 15 s afterwards included")),
    );
    Ok(())
}

fn name(number: usize) -> String {
    format!("without-secret-{number:04}")
}

fn connection(number: usize) -> Value {
    let mut connection = manifests::connection(&format!("https://{OTHER_HOST}"), Duration::from_secs(600));
    connection["metadata"]["name"] = json!(name(number));
    connection["spec"]["credentialsSecretRef"]["name"] = json!("missing");
    connection
}

fn has_reason(connection: &Value, reason: &str) -> bool {
    connection["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|condition| condition["reason"] == reason))
}
