//! What outlives a client: the time of the last token fetch, and a pause that the platform asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::platform::{
    Origin,
    flow::{gate::Gate, shared::Shared},
};

/// The minimum time between two token fetches of one connection, whatever their outcome. The vendor's own clients keep
/// the same time.
pub(in crate::platform) const MIN_TOKEN_INTERVAL: Duration = Duration::from_secs(10);

/// What the successive clients of one connection have in common. An edit of the connection makes a new client, which
/// must not exceed the rate limit and the token interval. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct History {
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// The number of the client that was activated last.
    newest: u64,
    /// When the last token fetch started.
    asked: Option<Instant>,
    /// When a fetch last started earlier than `MIN_TOKEN_INTERVAL` allows.
    renewed_early: Option<Instant>,
    /// The client that was activated last.
    last: Option<(Origin, Arc<Shared>)>,
}

/// Whether a client may fetch a token now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::platform) enum FetchSlot {
    /// The client may fetch a token. No other client may during the next ten seconds.
    Granted,
    /// The client may not fetch a token before this instant.
    NotBefore(Instant),
    /// Another client has replaced this one, which gets no token any more.
    Replaced,
}

impl History {
    /// Turns the emergency stop on or off, for all clients. While it is on, none of them sends a request. Calls that
    /// wait for the rate limit fail. Requests in flight continue to their end.
    pub fn stop(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Release);
    }

    /// The emergency stop, for the gate of a client.
    pub(in crate::platform) fn stopped(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }

    /// Activates a client in place of those before it. Returns its number.
    pub(in crate::platform) fn activate(&self, origin: &Origin, shared: &Arc<Shared>) -> u64 {
        let mut state = self.state.lock();
        state.newest += 1;
        state.last = Some((origin.clone(), Arc::clone(shared)));
        state.newest
    }

    /// Hands the pause of the last client of this origin over to a new gate.
    pub(in crate::platform) fn hand_over_pause(&self, origin: &Origin, gate: &Gate) {
        let state = self.state.lock();
        if let Some((_, last)) = state.last.as_ref().filter(|(last, _)| last == origin) {
            gate.inherit_pause(&last.gate);
        }
    }

    /// When the next fetch may start, and whether that is earlier than the interval allows.
    ///
    /// After a 401 it may start at once, but only once per `MIN_TOKEN_INTERVAL`. Otherwise a platform that answers
    /// every other call with 401 would cause token fetches without end.
    pub(in crate::platform) fn next_start(&self, now: Instant, wants_early: bool) -> (Instant, bool) {
        let mut state = self.state.lock();
        let spaced = state.asked.map_or(now, |asked| now.max(asked + MIN_TOKEN_INTERVAL));
        let may_be_early = state.renewed_early.is_none_or(|renewed| now >= renewed + MIN_TOKEN_INTERVAL);
        if wants_early && may_be_early && spaced > now {
            state.renewed_early = Some(now);
            return (now, true);
        }
        (spaced, false)
    }

    /// Whether the last fetch is long enough ago for another.
    pub(in crate::platform) fn is_spaced(&self, now: Instant) -> bool {
        self.state.lock().asked.is_none_or(|asked| now >= asked + MIN_TOKEN_INTERVAL)
    }

    /// Claims the right to fetch a token now, for the client of this number if it has one.
    pub(in crate::platform) fn claim(&self, number: Option<u64>, now: Instant, early: bool) -> FetchSlot {
        let mut state = self.state.lock();
        if number.is_some_and(|number| number != state.newest) {
            return FetchSlot::Replaced;
        }
        match state.asked.map(|asked| asked + MIN_TOKEN_INTERVAL) {
            Some(until) if until > now && !early => FetchSlot::NotBefore(until),
            _ => {
                state.asked = Some(now);
                FetchSlot::Granted
            }
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("History").finish_non_exhaustive()
    }
}
