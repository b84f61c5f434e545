//! Acquires and renews the lease, and reports who leads.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client, ResourceExt,
    api::{PostParams, WatchEvent, WatchParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    RENEW_DEADLINE, REQUEST_TIMEOUT, RETRY_PERIOD, Term,
    record::{self, Observed},
    refusal::{self, Answer, Failure, Verb},
    term::Try,
    warnings::Warnings,
};
use crate::{
    clock::Clock,
    cluster::{Key, explain},
    failpoints::{SideEffect, side_effect},
};

/// The API server ends a watch of the lease after this number of seconds. The watch only makes a takeover quicker.
const WATCH_SECONDS: u32 = 60;

/// The most reads of one try, if another client changes the lease between read and write.
const READS: usize = 2;

/// The leadership of this replica.
#[derive(Clone, Debug, Default)]
pub enum LeadershipState {
    /// The first try is in progress.
    #[default]
    Unknown,
    /// Another replica leads, or this one has lost leadership.
    Standby,
    /// This replica leads.
    Leading(Term),
}

impl LeadershipState {
    /// Whether the first try has ended.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// A candidate for the lease.
pub struct Elector {
    /// A client without retries and with short timeouts: a read settles a write whose answer is lost.
    api: Api<Lease>,
    /// A client for the watch, which is silent for longer.
    watching: Api<Lease>,
    lease: Key,
    identity: String,
    clock: Clock,
    observed: Observed,
    /// The lease as this replica wrote it last, while it leads.
    own: Option<Lease>,
    term: Option<Term>,
    changes: Option<BoxStream<'static, ()>>,
    leadership: watch::Sender<LeadershipState>,
    /// Why the API server does not let this process hold the lease.
    refused: watch::Sender<Option<String>>,
    warnings: Warnings,
}

/// A name that no other process has: the host name, which in a pod is the pod's, and a random part.
#[must_use]
pub fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = std::env::var("HOSTNAME").ok().unwrap_or(host);
    format!("{}_{}", host.trim(), Uuid::new_v4())
}

/// The result of a try.
enum Outcome {
    /// The lease is held.
    Held,
    /// Another process holds the lease.
    Another,
    /// The result is not known: there was no answer, or one that says nothing about the lease.
    Failed(Failure),
    /// The process is shutting down, and nothing was sent that could be stored.
    Ended,
}

impl Elector {
    /// A candidate for a lease, with a unique identity. `client` must not retry. `watching` is used for a watch.
    #[must_use]
    pub fn new(client: Client, watching: Client, lease: Key, identity: String, clock: Clock) -> Self {
        Self {
            api: Api::namespaced(client, lease.namespace()),
            watching: Api::namespaced(watching, lease.namespace()),
            lease,
            identity,
            clock,
            observed: Observed::default(),
            own: None,
            term: None,
            changes: None,
            leadership: watch::Sender::default(),
            refused: watch::Sender::default(),
            warnings: Warnings::default(),
        }
    }

    /// The leadership of this replica, as it changes.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<LeadershipState> {
        self.leadership.subscribe()
    }

    /// Why the API server does not let this process hold the lease, if so: a sentence for a person.
    #[must_use]
    pub fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }

    /// Runs the election until `end`, then releases the lease if it is held. By then no work that needs the lease may
    /// still run.
    pub async fn run(mut self, end: CancellationToken) {
        loop {
            let begun = Instant::now();
            // `end` does not cancel a write: the API server may store it, and the others would wait for it.
            match self.round(&end).await {
                Outcome::Held => self.answered(),
                Outcome::Another => {
                    self.answered();
                    self.stop("another replica holds it");
                    self.stand_by();
                }
                Outcome::Failed(failure) => self.failed(&failure),
                Outcome::Ended => break,
            }
            if end.run_until_cancelled(self.pause(begun)).await.is_none() {
                break;
            }
        }
        self.release().await;
    }

    /// One try. A leader's try takes no longer than the leader may go without an answer.
    async fn round(&mut self, end: &CancellationToken) -> Outcome {
        let Some(term) = &self.term else { return self.attempt(end).await };
        let until = Instant::now() + RENEW_DEADLINE.saturating_sub(term.since_renewal());
        match timeout_at(until, self.attempt(end)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed(Failure::timeout(RENEW_DEADLINE.as_secs())),
        }
    }

    async fn attempt(&mut self, end: &CancellationToken) -> Outcome {
        let by = Try::begin(&self.clock);
        let parameters = PostParams::default();
        if let Some(own) = self.own.clone() {
            // If this is stored, no one else has written the lease since: the write carries the resource version.
            let renewed = record::taken(&own, &self.identity, self.clock.now());
            let renewal = self.api.replace(self.lease.name(), &parameters, &renewed);
            match answer(&self.lease, Verb::Update, side_effect(SideEffect::LeaseRenew, renewal)).await {
                Ok(Answer::Stored(lease)) => return self.held(*lease, by),
                // Another client changed it, or the answer to this replica's last write was lost. The next step reads
                // it.
                Ok(Answer::Missing | Answer::Changed) => self.own = None,
                Err(failure) => return Outcome::Failed(failure),
            }
        }
        for _ in 0..READS {
            if let Some(outcome) = self.read_and_take(end).await {
                return outcome;
            }
        }
        Outcome::Failed(Failure::changed())
    }

    /// Reads the lease and takes it if it is free. `None` if another client changed it in between: only another read
    /// shows who holds it.
    async fn read_and_take(&mut self, end: &CancellationToken) -> Option<Outcome> {
        let by = Try::begin(&self.clock);
        let parameters = PostParams::default();
        let reading = answer(&self.lease, Verb::Get, self.api.get(self.lease.name()));
        let read = if self.term.is_some() {
            Some(reading.await)
        } else {
            // A candidate may be cancelled here: a read leaves nothing behind that others would wait for.
            end.run_until_cancelled(reading).await
        };
        let found = match read {
            None => return Some(Outcome::Ended),
            Some(Ok(Answer::Stored(lease))) => Some(*lease),
            Some(Ok(Answer::Missing | Answer::Changed)) => None,
            Some(Err(failure)) => return Some(Outcome::Failed(failure)),
        };
        let (wanted, verb) = match found {
            // The lease was deleted under its holder. The holder creates it again, but learns that only at its next
            // renewal.
            None if !self.observed.is_free_for(&self.identity, Instant::now()) => {
                return Some(Outcome::Another);
            }
            None => (record::created(self.lease.name(), &self.identity, self.clock.now()), Verb::Create),
            Some(lease) => {
                self.observed.saw(&lease, Instant::now());
                if self.observed.holder() != self.identity {
                    // Another replica led in between: this term is over, even if the lease is free again.
                    self.stop("another replica took it");
                }
                if !self.observed.is_free_for(&self.identity, Instant::now()) {
                    end.run_until_cancelled(self.watch(&lease)).await;
                    return Some(Outcome::Another);
                }
                (record::taken(&lease, &self.identity, self.clock.now()), Verb::Update)
            }
        };
        // Within a term the lease is read because the answer to a renewal was lost, so this write counts as a renewal.
        let effect = if self.term.is_some() { SideEffect::LeaseRenew } else { SideEffect::LeaseAcquire };
        let written = if verb == Verb::Create {
            answer(&self.lease, verb, side_effect(effect, self.api.create(&parameters, &wanted))).await
        } else {
            answer(
                &self.lease,
                verb,
                side_effect(effect, self.api.replace(self.lease.name(), &parameters, &wanted)),
            )
            .await
        };
        match written {
            Ok(Answer::Stored(lease)) => Some(self.held(*lease, by)),
            Ok(Answer::Missing | Answer::Changed) => None,
            Err(failure) => Some(Outcome::Failed(failure)),
        }
    }

    fn held(&mut self, lease: Lease, by: Try) -> Outcome {
        self.observed.saw(&lease, Instant::now());
        self.own = Some(lease);
        self.changes = None;
        if let Some(term) = &self.term {
            term.renew(by);
            return Outcome::Held;
        }
        let term = Term::begin(&self.clock, by);
        self.term = Some(term.clone());
        tracing::info!(lease = self.lease.as_str(), identity = self.identity, "became leader");
        self.leadership.send_replace(LeadershipState::Leading(term));
        Outcome::Held
    }

    /// Records an answer that refuses nothing.
    fn answered(&mut self) {
        self.refused.send_if_modified(|refused| refused.take().is_some());
        if self.warnings.record_success() {
            tracing::info!(
                lease = self.lease.as_str(),
                "the API server lets this process take part in the election again"
            );
        }
    }

    fn failed(&mut self, failure: &Failure) {
        let reason = failure.reason.as_str();
        if failure.is_refusal {
            self.refused.send_if_modified(|refused| {
                let is_news = refused.as_deref() != Some(reason);
                if is_news {
                    *refused = Some(reason.to_owned());
                }
                is_news
            });
        }
        let leads = self.term.is_some();
        if self.warnings.record_failure(failure.kind, Instant::now()) {
            let meaning = if leads {
                "failed to renew the Lease: this process soon loses leadership, and then switches no tenant"
            } else {
                "the Lease cannot be taken: this process switches no tenant until it can"
            };
            tracing::warn!(lease = self.lease.as_str(), reason, "{meaning}; will retry");
        } else {
            tracing::debug!(
                lease = self.lease.as_str(),
                reason,
                "the Lease still cannot be taken or renewed"
            );
        }
        if self.term.as_ref().is_some_and(|term| term.since_renewal() >= RENEW_DEADLINE) {
            self.stop("it could not be renewed in time");
        }
        // Without an answer the replica does not become `Standby`. It may lack a right and never be able to take over,
        // so it must not replace a replica that can.
    }

    /// Ends the term, if there is one. Nothing new begins, and the process goes on.
    fn stop(&mut self, why: &str) {
        self.own = None;
        if let Some(term) = self.term.take() {
            term.end();
            tracing::warn!(lease = self.lease.as_str(), identity = self.identity, why, "lost leadership");
            self.leadership.send_replace(LeadershipState::Standby);
        }
    }

    fn stand_by(&self) {
        self.leadership.send_if_modified(|leadership| {
            let is_news = !leadership.is_known();
            if is_news {
                let holder = self.observed.holder();
                tracing::info!(lease = self.lease.as_str(), identity = self.identity, holder, "standing by");
                *leadership = LeadershipState::Standby;
            }
            is_news
        });
    }

    /// Waits for the next try: a fixed time after the last one began, or when the lease expires, or when its holder
    /// releases it.
    async fn pause(&mut self, begun: Instant) {
        let next = begun + RETRY_PERIOD;
        if self.term.is_some() {
            return sleep_until(next).await;
        }
        let expires = self.observed.expires().filter(|at| *at > Instant::now());
        let next = expires.map_or(next, |expires| next.min(expires)).max(Instant::now() + MIN_PAUSE);
        let changed = async {
            match &mut self.changes {
                Some(changes) => changes.next().await,
                None => std::future::pending().await,
            }
        };
        if let Ok(None) = timeout_at(next, changed).await {
            self.changes = None;
            sleep_until(next).await;
        }
    }

    /// Watches for the release of the lease. Without the watch, the next try finds it.
    async fn watch(&mut self, lease: &Lease) {
        if self.changes.is_some() {
            return;
        }
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={}", self.lease.name()))
            .timeout(WATCH_SECONDS);
        let version = lease.resource_version().unwrap_or_default();
        let watched = timeout(REQUEST_TIMEOUT, self.watching.watch(&parameters, &version)).await;
        self.changes = match watched {
            Ok(Ok(events)) => {
                // An error ends the watch, so it does not trigger again and again.
                let events = events.take_while(|event| {
                    let goes_on = event.as_ref().is_ok_and(|event| !matches!(event, WatchEvent::Error(_)));
                    std::future::ready(goes_on)
                });
                let given_up =
                    events.filter_map(|event| std::future::ready(event.ok().filter(is_given_up).map(drop)));
                Some(given_up.boxed())
            }
            Ok(Err(error)) => {
                // The next try finds the release as well, at most two seconds later.
                tracing::debug!(
                    lease = self.lease.as_str(),
                    error = explain(&error),
                    "the Lease cannot be watched"
                );
                None
            }
            Err(_) => None,
        };
    }

    async fn release(mut self) {
        if let Some(term) = self.term.take() {
            term.end();
        }
        let Some(own) = self.own.take() else { return };
        let free = record::released(&own, self.clock.now());
        let parameters = PostParams::default();
        let release = self.api.replace(self.lease.name(), &parameters, &free);
        match answer(&self.lease, Verb::Update, side_effect(SideEffect::LeaseRelease, release)).await {
            Ok(Answer::Stored(_)) => tracing::info!(lease = self.lease.as_str(), "released the lease"),
            Ok(Answer::Missing | Answer::Changed) => {
                tracing::warn!(
                    lease = self.lease.as_str(),
                    "the lease was changed at the end, and is left as it is"
                );
            }
            Err(Failure { reason, .. }) => {
                tracing::warn!(
                    lease = self.lease.as_str(),
                    reason,
                    "could not release the lease; it expires on its own"
                );
            }
        }
    }
}

impl Drop for Elector {
    /// Without an elector nothing is renewed. This notifies the work of the term, also after a panic.
    fn drop(&mut self) {
        if let Some(term) = self.term.take() {
            term.end();
        }
    }
}

/// The shortest pause of a candidate, even if the lease expires right now.
const MIN_PAUSE: Duration = Duration::from_millis(100);

fn is_given_up(event: &WatchEvent<Lease>) -> bool {
    match event {
        WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
            holder.unwrap_or_default().is_empty()
        }
        WatchEvent::Deleted(_) => true,
        WatchEvent::Bookmark(_) | WatchEvent::Error(_) => false,
    }
}

/// The answer of the API server to a request for the lease, within the timeout.
async fn answer(
    lease: &Key,
    verb: Verb,
    request: impl Future<Output = kube::Result<Lease>>,
) -> Result<Answer, Failure> {
    match timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => refusal::read(verb, lease, answer),
        Err(_) => Err(Failure::timeout(REQUEST_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests;
