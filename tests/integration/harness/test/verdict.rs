//! What must hold at the end of every test, whatever the test was about.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::Request;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap, events::v1::Event};
use kube::{Resource as _, ResourceExt as _};
use tenant_pricing_controller::{
    api::{PlatformConnection, TenantPricing, TenantPricingStatus, invariants},
    simulator::{LoggedRequest, Operation},
};

use crate::harness::Test;

/// A controller may finish what it is at for 20 s after SIGTERM.
const END_LIMIT: Duration = Duration::from_secs(25);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(10);
/// The admin server answers at once, also where all else waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

impl Test {
    /// Ends the controllers and reports what they did wrong.
    pub async fn faults(&self) -> Vec<String> {
        let served = self.served().await;
        let mut faults = self.controller_faults().await;
        for recorder in [&self.recorder, &self.connections] {
            if let Err(error) = recorder.catch_up(CATCH_UP_LIMIT).await {
                faults.push(error);
            }
        }
        faults.extend(self.status_faults());
        faults.extend(self.put_faults());
        faults.extend(self.leaks(served).await);
        faults.extend(self.environment.refused_requests());
        faults.dedup();
        faults
    }

    /// What the controllers that still run serve.
    async fn served(&self) -> Vec<(String, String)> {
        let mut served = Vec::new();
        for (number, controller) in self.controllers().iter().enumerate() {
            controller.signal("CONT").await; // one that the test has stopped could not answer
            for path in ["/metrics", "/readyz", "/livez", "/"] {
                let answer = tokio::time::timeout(ANSWER_LIMIT, controller.ask_admin(path)).await;
                if let Ok(Some((_, _, body))) = answer {
                    served.push((format!("{path} of controller {number}"), body));
                }
            }
        }
        served
    }

    /// A controller ends with code 0 on SIGTERM, and never otherwise, unless the test set a failpoint.
    async fn controller_faults(&self) -> Vec<String> {
        const KILLED: i32 = 128 + 9;
        const ABORTED: i32 = 128 + 6;
        let mut faults = Vec::new();
        for controller in self.controllers() {
            controller.signal("CONT").await; // one that the test has stopped could not end
            controller.terminate().await;
        }
        for (number, controller) in self.controllers().iter().enumerate() {
            match controller.wait(END_LIMIT).await {
                Some(0 | KILLED) => {}
                Some(ABORTED) if controller.ended_at().is_some() => {}
                Some(code) => faults.push(format!("controller {number} ended with code {code}")),
                None => faults.push(format!("controller {number} does not end on SIGTERM")),
            }
            if controller.log().contains("panicked at") {
                faults.push(format!("controller {number} panicked"));
            }
        }
        faults
    }

    /// Every status ever stored, and every step from one to the next, is sound. Statuses that no controller had
    /// a hand in are the test's own.
    fn status_faults(&self) -> Vec<String> {
        if self.controllers().is_empty() {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let mut before: BTreeMap<String, TenantPricingStatus> = BTreeMap::new();
        for object in self.recorder.versions() {
            if self.is_exempt(&object.name_any()) {
                continue;
            }
            let (name, version) = (object.name_any(), object.resource_version().unwrap_or_default());
            let parsed = match object.clone().try_parse::<TenantPricing>() {
                Ok(parsed) => parsed,
                Err(error) => {
                    faults.push(format!("{name}, version {version}: {error}"));
                    continue;
                }
            };
            let mut found = invariants::check(&parsed);
            let status = parsed.status.clone().unwrap_or_default();
            if let Some(was) = before.insert(parsed.uid().unwrap_or_default(), status.clone()) {
                found.extend(invariants::check_step(&was, &status));
            }
            faults.extend(found.into_iter().map(|fault| format!("{name}, version {version}: {fault}")));
        }
        faults
    }

    fn put_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.simulator.overlapping_puts() > 0 && !self.meeting_puts_are_expected() {
            faults.push("two PUTs for one tenant were in flight at the same time".to_owned());
        }
        let requests = self.simulator.requests();
        let puts = || requests.iter().filter(|request| request.operation == Operation::PutPricing);
        for tenant in puts().flat_map(|put| &put.tenants) {
            let (sent, expected) = (self.simulator.puts(tenant), self.expected_puts(tenant));
            if sent > expected {
                faults.push(format!("{sent} PUTs for tenant {tenant}, at most {expected} expected"));
            }
        }
        faults.extend(puts().filter_map(body_fault));
        faults.extend(self.unannounced_puts());
        faults
    }

    /// Each PUT was announced in a journal by an attempt of its own. Of tenants that no recorded object has
    /// pinned nothing is known.
    fn unannounced_puts(&self) -> Vec<String> {
        let mut announced: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for object in self.recorder.versions() {
            let status = &object.data["status"];
            let Some(tenant) = status["tenantId"].as_str() else { continue };
            let attempts = announced.entry(tenant.to_owned()).or_default();
            if status["switch"]["phase"] == "InFlight" {
                attempts.extend(status["switch"]["attemptId"].as_str().map(str::to_owned));
            }
        }
        let counted =
            announced.iter().map(|(tenant, attempts)| (tenant, attempts.len(), self.simulator.puts(tenant)));
        counted
            .filter(|(_, announced, sent)| sent > announced)
            .map(|(tenant, announced, sent)| {
                format!("{sent} PUTs for tenant {tenant}, {announced} announced")
            })
            .collect()
    }

    /// No secret and no token the platform ever gave out stands anywhere a person could read it.
    async fn leaks(&self, served: Vec<(String, String)>) -> Vec<String> {
        let mut places = served;
        places.extend(self.outputs());
        for (number, controller) in self.controllers().iter().enumerate() {
            places.push((format!("the log of controller {number}"), controller.log()));
        }
        for object in [self.recorder.versions(), self.connections.versions()].concat() {
            places.push((object.name_any(), serde_json::to_string(&object).unwrap_or_default()));
        }
        let mut faults = Vec::new();
        let namespace = Some(self.namespace.as_str());
        for path in [
            Event::url_path(&(), namespace),
            PlatformConnection::url_path(&(), namespace),
            Lease::url_path(&(), namespace),
            ConfigMap::url_path(&(), namespace),
        ] {
            // The text as the API server sends it. A kubectl for each would be most of what a short test costs.
            match self.client.request_text(Request::get(&path).body(Vec::new()).unwrap()).await {
                Ok(text) => places.push((path, text)),
                Err(error) => faults.push(format!("{path} could not be searched for secrets: {error}")),
            }
        }
        let secrets = self.secret_texts();
        let leaking = places.iter().filter(|(_, text)| secrets.iter().any(|secret| text.contains(secret)));
        faults.extend(leaking.map(|(place, _)| format!("a secret or token stands in {place}")));
        faults
    }
}

impl Test {
    /// The secrets and tokens, also as a Secret and a header spell them.
    fn secret_texts(&self) -> Vec<String> {
        let mut secrets = self.simulator.issued_secrets();
        secrets.extend(self.kept_secrets());
        secrets.extend(encoded(&secrets, &self.simulator.client_id()));
        secrets
    }
}

/// The secrets and tokens as a Secret and a header spell them.
pub fn encoded(secrets: &[String], client_id: &str) -> Vec<String> {
    let encoded = |secret: &String| {
        let basic = format!("{client_id}:{secret}");
        [STANDARD.encode(secret), STANDARD.encode(basic)]
    };
    secrets.iter().flat_map(encoded).collect()
}

/// The one write there is: version and the mode `production`, nothing else.
pub fn body_fault(put: &LoggedRequest) -> Option<String> {
    let object = put.body.as_ref().and_then(serde_json::Value::as_object);
    let exact = object.is_some_and(|body| {
        let version = body.get("version").is_some_and(serde_json::Value::is_i64);
        body.len() == 2 && version && body.get("mode").is_some_and(|mode| mode == "production")
    });
    (!exact).then(|| format!("PUT {} had the body {:?}", put.sequence, put.body))
}
