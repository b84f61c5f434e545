//! Which writes that matter for a switch a controller sent, when, and when it had an answer.

use std::time::Instant;

use serde_json::Value;

/// A write of a controller: the announcement of an attempt, or the renewal of a lease.
#[derive(Debug, Clone)]
pub struct RecordedWrite {
    /// The number of the process that used the proxy then.
    pub life: usize,
    /// The attempt that it announces; nothing for a lease.
    pub attempt: Option<String>,
    pub arrived: Instant,
    /// When the controller was given an answer, and its HTTP status.
    pub answered: Option<(Instant, u16)>,
}

/// The write, if it is one of those.
pub(super) fn note(method: &hyper::Method, path: &str, body: &[u8], life: usize) -> Option<RecordedWrite> {
    let arrived = Instant::now();
    if *method == hyper::Method::PATCH && path.contains("/tenantpricings/") && path.ends_with("/status") {
        let sent: Value = serde_json::from_slice(body).ok()?;
        let journal = &sent["status"]["switch"];
        let attempt = journal["attemptId"].as_str().filter(|_| journal["phase"] == "InFlight")?;
        return Some(RecordedWrite { life, attempt: Some(attempt.to_owned()), arrived, answered: None });
    }
    let renews = !matches!(*method, hyper::Method::GET) && path.contains("/leases");
    renews.then_some(RecordedWrite { life, attempt: None, arrived, answered: None })
}
