//! Each PUT belongs to an announcement of its own: stored, answered for certain, wanted, due, and not long ago.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;
use tenant_pricing_controller::simulator::LoggedRequest;

use super::{Record, SLACK, Stored};
use crate::{chaos::history::What, harness::RecordedWrite};

/// From the announcement to the PUT.
const ANNOUNCED_TO_PUT: Duration = Duration::from_secs(5);

/// From the last renewal of the lease to the PUT: 15 s, less 8 s for the PUT and 2 s to spare.
const RENEWED_TO_PUT: Duration = Duration::from_secs(15 - 8 - 2);

/// An attempt that was announced, in the version that did it.
pub struct Attempt<'a> {
    pub id: &'a str,
    pub tenant: &'a str,
    pub stored: &'a Stored,
    pub object: &'a Value,
    pub noted: Option<&'a RecordedWrite>,
}

/// A PUT and what announced it.
pub struct Sent<'a> {
    pub put: &'a LoggedRequest,
    pub attempt: &'a Attempt<'a>,
}

impl Attempt<'_> {
    pub fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// Whether its announcement was answered for certain, and in time for a request.
    pub fn may_lead_to_a_put(&self) -> bool {
        self.noted.is_none_or(|noted| {
            noted.answered.is_some_and(|(at, status)| {
                (200..300).contains(&status)
                    && at.saturating_duration_since(noted.arrived) <= ANNOUNCED_TO_PUT + SLACK
            })
        })
    }

    /// The process that announced it.
    pub fn life(&self) -> Option<usize> {
        self.noted.map(|noted| noted.life)
    }
}

/// What the API server answers to a request that makes no sense to it. Nothing is stored.
const INVALID: u16 = 422;

/// Every attempt that was ever stored.
pub fn announced(record: &Record) -> Vec<Attempt<'_>> {
    let mut noted: BTreeMap<&str, &RecordedWrite> = BTreeMap::new();
    for write in &record.noted {
        // An open entry may be written again; the first write announced it. One that the API server found invalid,
        // beside a field of another program, is followed by one that removes that field as well.
        if let Some(id) = write.attempt.as_deref()
            && write.answered.is_none_or(|(_, status)| status != INVALID)
            && noted.get(id).is_none_or(|known| known.arrived > write.arrived)
        {
            noted.insert(id, write);
        }
    }
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for stored in record.versions.iter().filter(|stored| stored.kind == "tenantpricings") {
        let Some(object) = &stored.object else { continue };
        let journal = &object["status"]["switch"];
        let (Some(id), Some(tenant)) = (journal["attemptId"].as_str(), object["status"]["tenantId"].as_str())
        else {
            continue;
        };
        if journal["phase"] == "InFlight" && known.insert(id) {
            all.push(Attempt { id, tenant, stored, object, noted: noted.get(id).copied() });
        }
    }
    all
}

/// The PUTs with their announcements, and what is wrong with them.
pub fn sent<'a>(record: &'a Record, announced: &'a [Attempt<'a>]) -> (Vec<Sent<'a>>, Vec<String>) {
    let mut used = BTreeSet::new();
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for put in &record.puts {
        let tenant = put.tenants.concat();
        let began = record.began(put);
        let mut of_tenant: Vec<(Instant, &Attempt<'_>)> = announced
            .iter()
            .filter(|attempt| attempt.tenant == tenant && !used.contains(attempt.id))
            .filter_map(|attempt| Some((attempt.noted?.arrived, attempt)))
            .filter(|(arrived, _)| *arrived <= began)
            .collect();
        // An older one may never have been sent.
        of_tenant.sort_by_key(|(arrived, _)| *arrived);
        let Some((_, attempt)) = of_tenant.pop() else {
            faults.push(format!("PUT {} for {tenant} was not announced", put.sequence));
            continue;
        };
        used.insert(attempt.id);
        let sent = Sent { put, attempt };
        let wrong = check(record, &sent);
        faults.extend(wrong.into_iter().map(|fault| format!("PUT {} for {tenant}: {fault}", put.sequence)));
        all.push(sent);
    }
    (all, faults)
}

fn check(record: &Record, sent: &Sent<'_>) -> Vec<String> {
    let Sent { put, attempt } = sent;
    let (object, journal) = (attempt.object, &attempt.object["status"]["switch"]);
    let mut faults = Vec::new();
    let mut demand = |holds: bool, otherwise: &str| {
        if !holds {
            faults.push(format!("{otherwise} (attempt {} of {})", attempt.id, attempt.stored.name));
        }
    };
    demand(object["spec"]["mode"] == "production", "its object did not ask for production");
    demand(object["spec"]["suspend"] != true, "its object was suspended");
    demand(object["metadata"]["deletionTimestamp"].is_null(), "its object was being deleted");
    demand(
        journal["intentGeneration"] == object["metadata"]["generation"],
        "it was announced for another edit",
    );
    let named = object["spec"]["tenant"]["id"].as_str();
    demand(
        named.is_none_or(|id| id.eq_ignore_ascii_case(attempt.tenant)),
        "it is not the tenant of the spec",
    );

    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let scheduled = time(&journal["scheduledFor"]);
    let due = |by: Option<Timestamp>| scheduled.zip(by).is_some_and(|(scheduled, by)| scheduled <= by);
    demand(due(time(&journal["intentAt"])), "its time had not come by the controller's clock");
    let not_before = time(&object["spec"]["switch"]["notBefore"]);
    demand(not_before.is_none_or(|limit| scheduled.is_some_and(|at| at >= limit)), "it is before notBefore");
    let began = record.began(put);
    let off = record.held(&What::PlatformClock, super::before(began, super::READ_TO_PUT + SLACK), began);
    demand(off || due(Some(put.started)), "its time had not come by the platform's clock");

    let Some(noted) = attempt.noted else { return faults };
    let stopped = record.stopped(noted.life, noted.arrived, began);
    let waited = began.saturating_duration_since(noted.arrived).saturating_sub(stopped);
    demand(waited <= ANNOUNCED_TO_PUT + SLACK, "it came long after it was announced");
    let certain = noted.answered.is_some_and(|(at, status)| at <= began && (200..300).contains(&status));
    demand(certain, "the announcement had no certain answer");
    if record.elected && stopped.is_zero() {
        let renewed = record
            .noted
            .iter()
            .filter(|write| write.life == noted.life && write.attempt.is_none() && write.arrived <= began);
        let renewed =
            renewed.filter(|write| write.answered.is_some_and(|(at, status)| at <= began && status < 300));
        let last = renewed.map(|write| write.arrived).max();
        let in_time = last.is_some_and(|last| began.duration_since(last) <= RENEWED_TO_PUT + SLACK);
        demand(in_time, "its process did not hold the lease for long enough");
    }
    faults
}
