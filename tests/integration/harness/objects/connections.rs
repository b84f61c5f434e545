//! Waiting for the stored versions of `PlatformConnection` objects.

use std::time::Duration;

use tenant_pricing_controller::api::PlatformConnection;

use crate::harness::{Recorder, Test};

/// How long a connection's status may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(50);

impl Test {
    /// Waits until the latest stored version of the `PlatformConnection` is as `condition` wants it.
    pub async fn until_connection(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&PlatformConnection) -> bool,
    ) -> PlatformConnection {
        self.until_stored(&self.connections, LIMIT, name, what, condition).await
    }

    /// Waits until the controller has counted these tenants in trial and in production.
    pub async fn until_counted(&self, name: &str, trial: u32, production: u32) {
        let counted = |connection: &PlatformConnection| {
            let counts = connection.status.as_ref().and_then(|status| status.tenants.as_ref());
            counts.is_some_and(|counts| (counts.trial, counts.production) == (trial, production))
        };
        let what = format!("counts {trial} in trial and {production} in production");
        self.until_connection(name, &what, counted).await;
    }

    /// Waits until the controller has taken up the last edit of a connection.
    pub async fn until_connection_observed(&self, name: &str) {
        let observed = |connection: &PlatformConnection| {
            let observed = connection.status.as_ref().map(|status| status.observed_generation);
            observed.is_some() && observed == connection.metadata.generation
        };
        self.until_connection(name, "is observed", observed).await;
    }
}

/// Waits until a connection's `Ready` has this reason. Returns the reason and the message.
pub async fn until_connection(test: &Test, name: &str, expected: &str) -> String {
    until_connection_within(test, LIMIT, name, expected).await
}

/// Likewise, with a limit of its own.
pub async fn until_connection_within(test: &Test, limit: Duration, name: &str, expected: &str) -> String {
    let what = format!("is {expected}");
    let is_expected = |connection: &PlatformConnection| ready(connection).starts_with(expected);
    ready(&test.until_stored(&test.connections, limit, name, &what, is_expected).await)
}

/// Reason and message of `Ready`; empty if it is absent.
fn ready(connection: &PlatformConnection) -> String {
    let mut conditions = connection.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    ready.map(|ready| format!("{} {}", ready.reason, ready.message)).unwrap_or_default()
}
