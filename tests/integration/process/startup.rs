//! What a start that cannot work reports, and how a process that never led ends.

mod configuration;
mod credentials;
mod election;
mod elsewhere;

use std::time::Duration;

use crate::harness::{Controller, PATIENCE, Test};

/// A process that has nothing in flight ends well before the 20 s that work would get.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Waits for a line of the log with this text in any of its fields, and returns it.
async fn until_logged(test: &Test, controller: &Controller, level: &str, part: &str) -> serde_json::Value {
    let what = format!("a controller logs {part:?} at {level}");
    test.wait_for(&what, PATIENCE, async || {
        let has_message = |entry: &serde_json::Value| {
            let mut fields = entry.as_object().into_iter().flat_map(|fields| fields.values());
            fields.any(|field| field.as_str().is_some_and(|field| field.contains(part)))
        };
        let entries = controller.log_entries();
        entries.into_iter().find(|entry| entry["level"] == level && has_message(entry))
    })
    .await
}

/// Waits until `/readyz` answers with this status and text.
async fn until_readyz(test: &Test, controller: &Controller, status: u16, part: &str) {
    let what = format!("/readyz answers {status} with {part:?}");
    test.wait_for(&what, PATIENCE, async || {
        let (answered, _, body) = controller.ask_admin("/readyz").await?;
        (answered == status && body.contains(part)).then_some(())
    })
    .await;
}

/// Sends SIGTERM to a process that has nothing in flight.
async fn ends_at_once(controller: &Controller) {
    controller.terminate().await;
    assert_eq!(controller.wait(AT_ONCE).await, Some(0), "{}", controller.log());
    let log = controller.log();
    assert!(log.contains("shutting down"), "{log}");
    assert!(!log.contains("shutdown timed out") && !log.contains("finishing work"), "{log}");
}
