//! Gets the lease, renews it, and says who leads.

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
    term::Try,
};
use crate::clock::Clock;
use crate::side_effects::{SideEffect, around};

/// The API server is told to end a watch of the lease after so many seconds. It only makes a takeover quicker.
const WATCH_SECONDS: u32 = 60;

/// What a replica is to the others.
#[derive(Clone, Debug, Default)]
pub enum Standing {
    /// The first try is under way.
    #[default]
    Unknown,
    /// Another one leads, or it is not known who does.
    Standby,
    /// This one leads.
    Leading(Term),
}

impl Standing {
    /// Whether the first try is over.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// Stands for a lease.
pub struct Elector {
    /// Retries nothing, and gives up soon: an answer that is lost is found out by reading.
    api: Api<Lease>,
    /// For the watch, which is silent for longer.
    watching: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    observed: Observed,
    /// The lease as this replica wrote it last, while it leads.
    own: Option<Lease>,
    term: Option<Term>,
    changes: Option<BoxStream<'static, ()>>,
    standing: watch::Sender<Standing>,
}

/// A name that no other process bears: that of the host, which is the pod's, and something random.
#[must_use]
pub fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = std::env::var("HOSTNAME").ok().unwrap_or(host);
    format!("{}_{}", host.trim(), Uuid::new_v4())
}

/// What a try came to.
enum Outcome {
    /// The lease is held.
    Held,
    /// Somebody else holds it.
    Another,
    /// It is not known: there was no answer, or one that says nothing about the lease.
    Failed(String),
}

impl Elector {
    /// Stands for the lease `name` of a namespace, under a name that no other process bears. `client` must retry
    /// nothing; `watching` is used for a watch.
    #[must_use]
    pub fn new(
        client: Client,
        watching: Client,
        (namespace, name): (&str, &str),
        identity: String,
        clock: Clock,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            watching: Api::namespaced(watching, namespace),
            name: name.to_owned(),
            identity,
            clock,
            observed: Observed::default(),
            own: None,
            term: None,
            changes: None,
            standing: watch::Sender::default(),
        }
    }

    /// What this replica is to the others, as it changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Stands for the lease until `end`; then it is given up, if it is held. Nothing that needs it may be under way
    /// any more.
    pub async fn run(mut self, end: CancellationToken) {
        loop {
            let begun = Instant::now();
            // Not cut short by the end: a write that nobody waits for may be stored all the same, and keep the others
            // waiting.
            match self.round().await {
                Outcome::Held => {}
                Outcome::Another => {
                    self.stop("another replica holds it");
                    self.stand_by();
                }
                Outcome::Failed(error) => self.failed(&error),
            }
            if end.run_until_cancelled(self.pause(begun)).await.is_none() {
                break;
            }
        }
        self.release().await;
    }

    /// One try. Of a leader it takes no longer than it may lead without an answer.
    async fn round(&mut self) -> Outcome {
        let Some(term) = &self.term else { return self.attempt().await };
        let until = Instant::now() + RENEW_DEADLINE.saturating_sub(term.since_renewal());
        match timeout_at(until, self.attempt()).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed("no answer in time".to_owned()),
        }
    }

    async fn attempt(&mut self) -> Outcome {
        let by = Try::begin(&self.clock);
        let parameters = PostParams::default();
        if let Some(own) = self.own.clone() {
            // Nobody else has written it since, if this is stored: it carries the resource version.
            let renewed = record::taken(&own, &self.identity, self.clock.now());
            let renewal = self.api.replace(&self.name, &parameters, &renewed);
            match answer(around(SideEffect::LeaseRenew, renewal)).await {
                Ok(Some(lease)) => return self.held(lease, by),
                // It was changed, or this replica's last write was stored unheard of. It is read.
                Ok(None) => self.own = None,
                Err(error) => return Outcome::Failed(error),
            }
        }
        let by = Try::begin(&self.clock);
        let found = match answer(self.api.get(&self.name)).await {
            Ok(found) => found,
            Err(error) => return Outcome::Failed(error),
        };
        let (wanted, is_new) = match found {
            // Somebody has deleted it under its holder, who makes it anew, and does not know until it renews.
            None if !self.observed.is_free_for(&self.identity) => return Outcome::Another,
            None => (record::created(&self.name, &self.identity, self.clock.now()), true),
            Some(lease) => {
                self.observed.saw(&lease);
                if self.observed.holder() != self.identity {
                    // Whoever led in between, this term is over, even if the lease is free again.
                    self.stop("another replica took it");
                }
                if !self.observed.is_free_for(&self.identity) {
                    self.watch(&lease).await;
                    return Outcome::Another;
                }
                (record::taken(&lease, &self.identity, self.clock.now()), false)
            }
        };
        // Within a term it was read because the answer to a renewal was lost.
        let effect = if self.term.is_some() { SideEffect::LeaseRenew } else { SideEffect::LeaseAcquire };
        let written = if is_new {
            answer(around(effect, self.api.create(&parameters, &wanted))).await
        } else {
            answer(around(effect, self.api.replace(&self.name, &parameters, &wanted))).await
        };
        match written {
            Ok(Some(lease)) => self.held(lease, by),
            // Another one was faster; or somebody who does not stand for it has touched it.
            Ok(None) if self.term.is_none() => Outcome::Another,
            Ok(None) => Outcome::Failed("it was changed at the same time".to_owned()),
            Err(error) => Outcome::Failed(error),
        }
    }

    fn held(&mut self, lease: Lease, by: Try) -> Outcome {
        self.observed.saw(&lease);
        self.own = Some(lease);
        self.changes = None;
        if let Some(term) = &self.term {
            term.renew(by);
            return Outcome::Held;
        }
        let term = Term::begin(&self.clock, by);
        self.term = Some(term.clone());
        tracing::info!(lease = self.name, identity = self.identity, "leads from now on");
        self.standing.send_replace(Standing::Leading(term));
        Outcome::Held
    }

    fn failed(&mut self, error: &str) {
        tracing::warn!(lease = self.name, error, "the lease could not be got or renewed; it is tried again");
        match &self.term {
            Some(term) if term.since_renewal() >= RENEW_DEADLINE => {
                self.stop("it could not be renewed in time");
                self.stand_by();
            }
            // Without a single answer, for want of a right perhaps, it does not stand by: it could never take over, and
            // is not to take the place of one that can.
            Some(_) | None => {}
        }
    }

    /// Ends the term, if there is one: nothing new is begun, and the process lives on.
    fn stop(&mut self, why: &str) {
        self.own = None;
        if let Some(term) = self.term.take() {
            term.end();
            tracing::warn!(
                lease = self.name,
                identity = self.identity,
                why,
                "leads no longer: the lease was lost"
            );
            self.standing.send_replace(Standing::Standby);
        }
    }

    fn stand_by(&self) {
        self.standing.send_if_modified(|standing| {
            let is_news = !standing.is_known();
            if is_news {
                let holder = self.observed.holder();
                tracing::info!(lease = self.name, identity = self.identity, holder, "stands by");
                *standing = Standing::Standby;
            }
            is_news
        });
    }

    /// Until the next try: a fixed time after the last began, or when the lease can be taken over, or when it
    /// changes hands.
    async fn pause(&mut self, begun: Instant) {
        let next = begun + RETRY_PERIOD;
        if self.term.is_some() {
            return sleep_until(next).await;
        }
        let expires = self.observed.expires().filter(|at| *at > Instant::now());
        let next = expires.map_or(next, |expires| next.min(expires)).max(Instant::now() + LEAST_PAUSE);
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

    /// Listens for the lease to be given up. Without that, it is noticed at the next try.
    async fn watch(&mut self, lease: &Lease) {
        if self.changes.is_some() {
            return;
        }
        let parameters =
            WatchParams::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH_SECONDS);
        let version = lease.resource_version().unwrap_or_default();
        let watched = timeout(REQUEST_TIMEOUT, self.watching.watch(&parameters, &version)).await;
        self.changes = match watched {
            Ok(Ok(events)) => {
                // An error ends it, so that nobody is called again and again.
                let events = events.take_while(|event| {
                    let goes_on = event.as_ref().is_ok_and(|event| !matches!(event, WatchEvent::Error(_)));
                    std::future::ready(goes_on)
                });
                let given_up =
                    events.filter_map(|event| std::future::ready(event.ok().filter(is_given_up).map(drop)));
                Some(given_up.boxed())
            }
            _ => None,
        };
    }

    async fn release(mut self) {
        if let Some(term) = self.term.take() {
            term.end();
        }
        let Some(own) = self.own.take() else { return };
        let free = record::released(&own, self.clock.now());
        let parameters = PostParams::default();
        let release = self.api.replace(&self.name, &parameters, &free);
        match answer(around(SideEffect::LeaseRelease, release)).await {
            Ok(Some(_)) => tracing::info!(lease = self.name, "the lease is given up"),
            Ok(None) => {
                tracing::warn!(lease = self.name, "the lease was changed at the end, and is left as it is");
            }
            Err(error) => {
                tracing::warn!(lease = self.name, error, "the lease could not be given up; it runs out");
            }
        }
    }
}

impl Drop for Elector {
    /// Without an elector nothing is renewed. Whoever works in the term hears of it, also if this one has panicked.
    fn drop(&mut self) {
        if let Some(term) = self.term.take() {
            term.end();
        }
    }
}

/// A candidate is not in a hurry even if the lease runs out right now.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

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

/// What the API server says to a request about the lease, within its time; `None` if it is not there, or is not
/// any more what it was.
async fn answer(request: impl Future<Output = kube::Result<Lease>>) -> Result<Option<Lease>, String> {
    match timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(lease)) => Ok(Some(lease)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 || status.code == 409 => Ok(None),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests;
