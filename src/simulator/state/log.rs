//! The log of every request, written when it arrives and when it ends.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::simulator::operation::Operation;

/// The number of requests that are kept. Older ones are dropped, while the counts stay exact.
pub const KEPT_REQUESTS: usize = 20_000;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// An answer with this status was given.
    Answered(u16),
    /// The connection was closed without an answer, because a fault said so.
    Dropped,
    /// The client had disconnected before there was an answer. The request was still carried out.
    ClientGone,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRequest {
    /// The sequence number, from 1, in the order of arrival.
    pub sequence: u64,
    /// Which call it is.
    pub operation: Operation,
    /// The tenants that path and query name.
    pub tenants: Vec<String>,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, decoded, without the values of parameters that seem to be secrets.
    pub query: Vec<(String, String)>,
    /// The body of a PUT: as JSON if it is JSON, otherwise as text.
    pub body: Option<Value>,
    /// When it arrived, by the simulator's clock.
    pub started: Timestamp,
    /// When its outcome was decided, by the simulator's clock. For a dripping body: when that ended.
    pub finished: Option<Timestamp>,
    /// When it arrived, counted from the simulator's start by the monotonic clock.
    #[serde(serialize_with = "seconds")]
    pub started_after: Duration,
    /// When it ended, by the same clock.
    #[serde(serialize_with = "optional_seconds")]
    pub finished_after: Option<Duration>,
    /// How it ended; absent while it is in flight.
    pub outcome: Option<Outcome>,
    /// Whether it changed the tenant's pricing.
    pub took_effect: bool,
    /// The number of other requests for the same tenant that overlapped with it. Batches, lists and searches do not
    /// count.
    pub overlaps: u32,
    /// The number of PUTs among those.
    pub overlapping_puts: u32,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    duration.as_secs_f64().serialize(serializer)
}

#[allow(clippy::ref_option)] // the signature is serde's
fn optional_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}

impl LoggedRequest {
    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            Some(Outcome::Answered(status)) => Some(status),
            _ => None,
        }
    }

    /// How long it was in flight, if it has ended.
    #[must_use]
    pub fn lasted(&self) -> Option<Duration> {
        self.finished_after.and_then(|finished| finished.checked_sub(self.started_after))
    }
}

/// What is known about a request when it arrives.
pub(crate) struct Arrival {
    pub operation: Operation,
    pub tenants: Vec<String>,
    pub single_tenant: Option<String>,
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
}

/// The counts, which only clearing the log resets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub puts: BTreeMap<String, usize>,
    pub total_puts: usize,
    pub effective_puts: usize,
    pub overlapping_puts: usize,
    pub reads: usize,
    pub tokens: usize,
}

pub(crate) struct RequestLog {
    entries: VecDeque<LoggedRequest>,
    in_flight: HashMap<String, Vec<(u64, Operation)>>,
    next: u64,
    started: Instant,
    pub counts: Counts,
}

impl RequestLog {
    pub fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            in_flight: HashMap::new(),
            next: 1,
            started: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// Records a request that has arrived, and returns its sequence number.
    pub fn arrive(&mut self, arrival: Arrival, now: Timestamp) -> u64 {
        let sequence = self.next;
        self.next += 1;
        self.count(&arrival);
        let mut overlaps = 0;
        let mut overlapping_puts = 0;
        if let Some(tenant) = arrival.single_tenant {
            let others = self.in_flight.remove(&tenant).unwrap_or_default();
            for &(other, operation) in &others {
                overlaps += 1;
                overlapping_puts += u32::from(operation == Operation::PutPricing);
                self.meet(other, arrival.operation);
            }
            if arrival.operation == Operation::PutPricing && overlapping_puts > 0 {
                self.counts.overlapping_puts += 1;
            }
            let mut all = others;
            all.push((sequence, arrival.operation));
            self.in_flight.insert(tenant, all);
        }
        if self.entries.len() == KEPT_REQUESTS {
            self.entries.pop_front();
        }
        self.entries.push_back(LoggedRequest {
            sequence,
            operation: arrival.operation,
            tenants: arrival.tenants,
            method: arrival.method,
            path: arrival.path,
            query: arrival.query.into_iter().map(without_secret).collect(),
            body: None,
            started: now,
            finished: None,
            started_after: self.started.elapsed(),
            finished_after: None,
            outcome: None,
            took_effect: false,
            overlaps,
            overlapping_puts,
        });
        sequence
    }

    fn count(&mut self, arrival: &Arrival) {
        match arrival.operation {
            Operation::Token => self.counts.tokens += 1,
            Operation::PutPricing => {
                self.counts.total_puts += 1;
                if let Some(tenant) = &arrival.single_tenant {
                    *self.counts.puts.entry(tenant.clone()).or_default() += 1;
                }
            }
            _ => self.counts.reads += 1,
        }
    }

    fn meet(&mut self, other: u64, operation: Operation) {
        if let Some(other) = self.entry(other) {
            other.overlaps += 1;
            other.overlapping_puts += u32::from(operation == Operation::PutPricing);
        }
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut LoggedRequest> {
        let first = self.entries.front()?.sequence;
        self.entries.get_mut(usize::try_from(sequence.checked_sub(first)?).ok()?)
    }

    /// Adds the body of a PUT.
    pub fn body(&mut self, sequence: u64, body: &[u8]) {
        if let Some(entry) = self.entry(sequence) {
            let text = || Value::String(String::from_utf8_lossy(body).into_owned());
            entry.body = Some(serde_json::from_slice(body).unwrap_or_else(|_| text()));
        }
    }

    /// Records that the request changed the tenant's pricing.
    pub fn took_effect(&mut self, sequence: u64) {
        self.counts.effective_puts += 1;
        if let Some(entry) = self.entry(sequence) {
            entry.took_effect = true;
        }
    }

    /// Records the outcome of the request.
    pub fn finish(&mut self, sequence: u64, tenant: Option<&str>, outcome: Outcome, now: Timestamp) {
        if let Some(tenant) = tenant
            && let Some(others) = self.in_flight.get_mut(tenant)
        {
            others.retain(|(other, _)| *other != sequence);
            if others.is_empty() {
                self.in_flight.remove(tenant);
            }
        }
        let elapsed = self.started.elapsed();
        if let Some(entry) = self.entry(sequence) {
            entry.outcome = Some(outcome);
            entry.finished = Some(now);
            entry.finished_after = Some(elapsed);
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = &LoggedRequest> {
        self.entries.iter()
    }

    /// The requests after the one with this sequence number.
    pub fn since(&self, sequence: u64) -> impl Iterator<Item = &LoggedRequest> {
        let first = self.entries.front().map_or(self.next, |entry| entry.sequence);
        let known = (sequence + 1).saturating_sub(first);
        self.entries.iter().skip(usize::try_from(known).unwrap_or(usize::MAX))
    }

    /// The instant from which `started_after` and `finished_after` count.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Forgets requests and counts. Requests in flight still count as overlapping later ones.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.counts = Counts::default();
    }
}

fn without_secret((key, value): (String, String)) -> (String, String) {
    let lower = key.to_lowercase();
    let secret = ["secret", "token", "password", "assertion"].iter().any(|word| lower.contains(word));
    (key, if secret { "[taken out]".to_owned() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(tenant: &str) -> Arrival {
        Arrival {
            operation: Operation::PutPricing,
            tenants: vec![tenant.to_owned()],
            single_tenant: Some(tenant.to_owned()),
            method: "PUT".to_owned(),
            path: format!("/api/2/tenants/{tenant}/pricing"),
            query: vec![("access_token".to_owned(), "abc".to_owned()), ("x".to_owned(), "y".to_owned())],
        }
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    #[test]
    fn two_puts_for_one_tenant_in_flight_are_seen_on_both() {
        let mut log = RequestLog::new();
        let first = log.arrive(put("a"), now());
        let second = log.arrive(put("a"), now());
        log.finish(first, Some("a"), Outcome::Answered(200), now());
        log.finish(second, Some("a"), Outcome::Answered(200), now());
        assert!(log.entries().all(|entry| entry.overlapping_puts == 1 && entry.overlaps == 1));
        assert_eq!(log.counts.overlapping_puts, 1);
    }

    #[test]
    fn puts_one_after_another_or_for_two_tenants_do_not_overlap() {
        let mut log = RequestLog::new();
        let first = log.arrive(put("a"), now());
        log.arrive(put("b"), now());
        log.finish(first, Some("a"), Outcome::Dropped, now());
        log.arrive(put("a"), now());
        assert!(log.entries().all(|entry| entry.overlaps == 0));
        assert_eq!((log.counts.puts["a"], log.counts.total_puts, log.counts.overlapping_puts), (2, 3, 0));
    }

    #[test]
    fn clearing_keeps_what_is_in_flight_comparable() {
        let mut log = RequestLog::new();
        let first = log.arrive(put("a"), now());
        log.clear();
        log.arrive(put("a"), now());
        log.finish(first, Some("a"), Outcome::Answered(200), now());
        assert_eq!(log.counts.overlapping_puts, 1);
        assert_eq!(log.entries().count(), 1);
        assert!(log.entries().all(|entry| entry.outcome.is_none()), "the wrong entry was ended");
    }

    #[test]
    fn the_log_forgets_the_oldest_but_never_miscounts() {
        let mut log = RequestLog::new();
        for _ in 0..KEPT_REQUESTS + 5 {
            let sequence = log.arrive(put("a"), now());
            log.finish(sequence, Some("a"), Outcome::Answered(200), now());
        }
        assert_eq!(log.entries().count(), KEPT_REQUESTS);
        assert_eq!(log.counts.puts["a"], KEPT_REQUESTS + 5);
        assert!(log.entries().all(|entry| entry.outcome.is_some()));
    }

    #[test]
    fn what_came_since_a_request_is_found_whatever_was_forgotten() {
        let mut log = RequestLog::new();
        let since =
            |log: &RequestLog, sequence| log.since(sequence).map(|entry| entry.sequence).collect::<Vec<_>>();
        assert!(since(&log, 0).is_empty());
        for _ in 0..3 {
            log.arrive(put("a"), now());
        }
        assert_eq!((since(&log, 0), since(&log, 2), since(&log, 3)), (vec![1, 2, 3], vec![3], vec![]));
        log.clear();
        assert!(since(&log, 0).is_empty());
        log.arrive(put("a"), now());
        assert_eq!((since(&log, 1), since(&log, 3), since(&log, 9)), (vec![4], vec![4], vec![]));
    }

    #[test]
    fn secrets_in_a_query_are_taken_out() {
        let mut log = RequestLog::new();
        log.arrive(put("a"), now());
        let query = &log.entries().next().unwrap().query;
        assert_eq!(query[0].1, "[taken out]");
        assert_eq!(query[1].1, "y");
    }
}
