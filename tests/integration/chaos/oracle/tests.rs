//! Forged histories: a sound one, and for each rule one that breaks it.

mod convergence;
mod histories;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenant_pricing_controller::simulator::{
    LoggedRequest, Operation, Outcome, Pricing, TenantKind, TenantRecord, TenantState,
};

use super::{
    super::{
        history::{Span, What},
        store::Stored,
    },
    Record,
};
use crate::harness::RecordedWrite;

const TENANT: &str = "7e4a4700-0000-4000-8000-000000000001";
const CONNECTION: &str = "team/default";
const NOON: &str = "2026-11-20T12:00:00Z";

/// A history in the making. Time counts in seconds from an epoch.
struct Forged {
    record: Record,
    revision: i64,
}

impl Forged {
    /// An empty one with a tenant in trial and a connection with room for two.
    fn empty() -> Self {
        let epoch = Instant::now();
        let record = Record {
            versions: Vec::new(),
            puts: Vec::new(),
            epoch,
            tenants: vec![TenantState { since: epoch, tenant: tenant() }],
            noted: Vec::new(),
            spans: Vec::new(),
            elected: true,
        };
        let mut forged = Self { record, revision: 0 };
        let spec = json!({"switch": {"budget": {"count": 2, "window": "1h"}}});
        forged.store("platformconnections", "default", Some(json!({"metadata": {}, "spec": spec})));
        forged
    }

    /// One switch, as it should be: announced at 100 s, sent and carried out right after.
    fn sound() -> Self {
        let mut forged = Self::empty();
        forged.announce("acme", "one", 100.0);
        forged.put(100.1, 200, true);
        forged
    }

    fn at(&self, seconds: f64) -> Instant {
        self.record.epoch + Duration::from_secs_f64(seconds)
    }

    fn store(&mut self, kind: &str, name: &str, object: Option<Value>) {
        self.revision += 1;
        self.record.versions.push(Stored {
            revision: self.revision,
            kind: kind.to_owned(),
            namespace: "team".to_owned(),
            name: name.to_owned(),
            object,
        });
    }

    /// An announcement by process 1, which renewed its lease a second before, and heard that it is stored.
    fn announce(&mut self, name: &str, attempt: &str, seconds: f64) {
        self.store("tenantpricings", name, Some(announcing(name, attempt)));
        self.noted(None, seconds - 1.0, Some(200));
        self.noted(Some(attempt), seconds, Some(200));
    }

    fn noted(&mut self, attempt: Option<&str>, seconds: f64, status: Option<u16>) {
        let arrived = self.at(seconds);
        let answered = status.map(|status| (arrived + Duration::from_millis(20), status));
        self.record.noted.push(RecordedWrite {
            life: 1,
            attempt: attempt.map(str::to_owned),
            arrived,
            answered,
        });
    }

    fn put(&mut self, seconds: f64, status: u16, took_effect: bool) {
        let started_after = Duration::from_secs_f64(seconds);
        let sequence = self.record.puts.len() as u64 + 1;
        self.record.puts.push(LoggedRequest {
            sequence,
            operation: Operation::PutPricing,
            tenants: vec![TENANT.to_owned()],
            method: "PUT".to_owned(),
            path: format!("/api/2/tenants/{TENANT}/pricing"),
            query: Vec::new(),
            body: Some(json!({"version": 1, "mode": "production"})),
            started: "2026-11-20T12:00:01Z".parse().unwrap(),
            finished: None,
            started_after,
            finished_after: Some(started_after + Duration::from_millis(20)),
            outcome: Some(Outcome::Answered(status)),
            took_effect,
            overlaps: 0,
            overlapping_puts: 0,
        });
    }

    /// The last version of the object that was announced, to be spoilt.
    fn object(&mut self) -> &mut Value {
        let last = self.record.versions.iter_mut().rev().find(|stored| stored.kind == "tenantpricings");
        last.unwrap().object.as_mut().unwrap()
    }

    fn tenant_becomes(&mut self, seconds: f64, change: impl FnOnce(&mut TenantRecord)) {
        let mut tenant = self.record.tenants.last().unwrap().tenant.clone();
        change(&mut tenant);
        let since = self.at(seconds);
        self.record.tenants.push(TenantState { since, tenant });
    }

    fn holds(&mut self, what: What, from: f64, until: f64) {
        let span = Span { what, from: self.at(from), until: Some(self.at(until)) };
        self.record.spans.push(span);
    }

    #[track_caller]
    fn is_sound(&self) {
        assert_eq!(self.record.faults(), [""; 0]);
    }

    /// One fault is found, and these words are in it.
    #[track_caller]
    fn is_refused_for(&self, words: &str) {
        let faults = self.record.faults();
        assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:#?}");
    }
}

fn tenant() -> TenantRecord {
    let noon = NOON.parse().unwrap();
    TenantRecord {
        id: TENANT.to_owned(),
        parent_id: "root".to_owned(),
        name: "Acme GmbH".to_owned(),
        kind: TenantKind::Customer,
        enabled: true,
        created_at: noon,
        updated_at: noon,
        deleted_at: None,
        version: 1,
        pricing: Pricing {
            mode: "trial".to_owned(),
            version: 1,
            currency: None,
            production_start_date: None,
        },
        previous_pricing: None,
        locked_by: None,
        deprovisioning: false,
        parent_disabled: false,
        ancestral_access: true,
        hidden: false,
    }
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "So it is.", "observedGeneration": 1,
        "lastTransitionTime": NOON,
    })
}

/// An object whose switch is announced.
fn announcing(name: &str, attempt: &str) -> Value {
    let meta = json!({
        "name": name, "namespace": "team", "uid": format!("uid-{name}"), "generation": 1,
        "creationTimestamp": NOON, "resourceVersion": "1",
    });
    let conditions = [
        condition("Ready", "False", "Progressing"),
        condition("Production", "False", "Trial"),
        condition("Reconciling", "True", "Progressing"),
    ];
    json!({
        "apiVersion": "tenantpricing.io/v1alpha1", "kind": "TenantPricing", "metadata": meta,
        "spec": {"tenant": {"id": TENANT}, "mode": "production"},
        "status": {
            "observedGeneration": 1, "tenantId": TENANT, "observed": {"mode": "trial"},
            "switch": {
                "phase": "InFlight", "scheduledFor": NOON, "intentAt": NOON, "intentGeneration": 1,
                "attempts": 1, "attemptId": attempt, "platform": "http://platform", "connection": CONNECTION,
            },
            "conditions": conditions,
        },
    })
}
