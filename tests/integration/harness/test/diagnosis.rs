//! What a person wants to see when a test has failed.

use std::fmt::Write as _;

use tenant_pricing_controller::simulator::LoggedRequest;

use crate::harness::Test;

/// Lines shown of each controller's log.
const LOG_LINES: usize = 80;
/// Requests shown of the simulator's log.
const REQUESTS: usize = 200;

impl Test {
    /// The test's objects, their events, the requests that the API server refused, those the platform got, and the end
    /// of each controller's log. Never panics: it may run while a test is unwinding.
    pub async fn diagnosis(&self) -> String {
        let mut text = format!("\n######## namespace {}\n", self.namespace);
        for (title, arguments) in [
            ("objects", ["get", "platformconnections,tenantpricings", "-o", "yaml"]),
            ("events", ["get", "events.events.k8s.io", "--sort-by=.metadata.creationTimestamp", "-o=wide"]),
        ] {
            let output = self.kubectl(&arguments).await;
            let _ = write!(text, "######## {title}\n{}{}", output.stdout, output.stderr);
        }
        let _ = writeln!(text, "######## refused requests\n{:#?}", self.environment.refused_requests());
        let requests = self.simulator.requests();
        let _ = writeln!(text, "######## the last of {} requests to the platform", requests.len());
        for request in requests.iter().skip(requests.len().saturating_sub(REQUESTS)) {
            let _ = writeln!(text, "{}", request_line(request));
        }
        for (number, controller) in self.controllers().iter().enumerate() {
            let log = controller.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            let _ = writeln!(text, "######## the end of the log of controller {number}\n{end}");
        }
        text
    }
}

fn request_line(request: &LoggedRequest) -> String {
    let LoggedRequest { sequence, operation, method, path, query, body, .. } = request;
    let mut line = format!("{sequence:>4} {:>9.3} s  ", request.started_after.as_secs_f64());
    let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let _ = write!(line, "{operation:?}  {method} {path} {}", query.join("&"));
    if let Some(body) = body {
        let _ = write!(line, " {body}");
    }
    let _ = write!(line, "  -> {:?}", request.outcome);
    if request.took_effect {
        line.push_str(", took effect");
    }
    line
}
