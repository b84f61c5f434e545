//! What keeps a client from sending: the emergency stop, a pause that the platform asked for, or an open circuit.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::breaker::{BACKOFF, CircuitBreaker, MIN_PAUSE};
use crate::platform::{ClientMetrics, ErrorClass, PlatformError, call::Call};

/// Admits every request of a client, and learns from every answer. A 429 and an outage concern the client and not one
/// call. So what one request shows holds for all.
///
/// It uses the monotonic clock, which no adjustment moves.
#[derive(Default)]
pub(in crate::platform) struct Gate {
    state: Mutex<State>,
    metrics: Option<Arc<dyn ClientMetrics>>,
    /// Whether the emergency stop is on. All clients of a connection share it.
    stopped: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    pause: Option<Pause>,
    /// The number of pauses without a length since the last success.
    pauses_without_length: u32,
    breaker: CircuitBreaker,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    status: u16,
}

/// A request in flight. Dropped without an outcome, it says nothing about the platform: the program cancelled it.
pub(in crate::platform) struct RequestGuard<'a> {
    gate: &'a Gate,
    /// Whether the circuit stays open until this request has ended.
    probe: bool,
    ended: bool,
}

impl Gate {
    pub(in crate::platform) fn new(
        metrics: Option<Arc<dyn ClientMetrics>>,
        stopped: Arc<AtomicBool>,
    ) -> Self {
        Self { state: Mutex::default(), metrics, stopped }
    }

    /// Whether the emergency stop is on, so that nothing may be sent.
    pub(in crate::platform) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Fails while the emergency stop is on. Its end is not known.
    fn check_stop(&self, operation: &dyn fmt::Display) -> Result<(), PlatformError> {
        if !self.is_stopped() {
            return Ok(());
        }
        Err(PlatformError::new(operation, ErrorClass::Unavailable)
            .with_detail("spec.suspend of the connection is true, and nothing is sent")
            .with_retry_after(MIN_PAUSE))
    }

    /// Takes over the pause of another gate, but not its circuit: an edit may have repaired just that.
    pub(in crate::platform) fn inherit_pause(&self, other: &Self) {
        let (pause, pauses_without_length) = {
            let other = other.state.lock();
            (other.pause, other.pauses_without_length)
        };
        let mut state = self.state.lock();
        (state.pause, state.pauses_without_length) = (pause, pauses_without_length);
    }

    /// Fails while nothing may be sent, with the remaining time.
    pub(in crate::platform) fn check(&self, operation: impl fmt::Display) -> Result<(), PlatformError> {
        self.check_stop(&operation)?;
        let state = self.state.lock();
        let now = Instant::now();
        state.check_pause(&operation, now)?;
        state.breaker.check(now).map_err(|refused| refused.into_error(operation))
    }

    /// Whether the next request should be a neutral probe: a read about the client itself.
    pub(in crate::platform) fn wants_neutral_probe(&self) -> bool {
        if self.is_stopped() {
            return false;
        }
        let state = self.state.lock();
        let now = Instant::now();
        state.breaker.wants_neutral_probe()
            && state.breaker.may_pass(now)
            && state.remaining_pause(now).is_none()
    }

    /// Admits one request, or fails as [`Self::check`] does. A write is admitted only while the circuit is closed.
    pub(in crate::platform) fn enter(&self, call: Call<'_>) -> Result<RequestGuard<'_>, PlatformError> {
        self.check_stop(&call)?;
        let mut state = self.state.lock();
        let now = Instant::now();
        state.check_pause(&call, now)?;
        let probe = state.breaker.enter(now, !call.is_write()).map_err(|refused| refused.into_error(call))?;
        Ok(RequestGuard { gate: self, probe, ended: false })
    }

    fn report(&self, cause: &'static str, length: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.pause(cause, length);
        }
    }
}

impl State {
    /// The pause, if it lasts on, and how long.
    fn remaining_pause(&self, now: Instant) -> Option<(Pause, Duration)> {
        let pause = self.pause?;
        let left = pause.until.saturating_duration_since(now);
        (!left.is_zero()).then_some((pause, left))
    }

    fn check_pause(&self, operation: &dyn fmt::Display, now: Instant) -> Result<(), PlatformError> {
        self.remaining_pause(now).map_or(Ok(()), |(pause, left)| {
            Err(PlatformError::new(operation, ErrorClass::Throttled)
                .with_status(pause.status)
                .with_retry_after(left))
        })
    }
}

impl RequestGuard<'_> {
    /// The platform answered, with neither a failure of its own nor a request to pause. This closes the circuit.
    pub(in crate::platform) fn on_success(mut self) {
        self.ended = true;
        let mut state = self.gate.state.lock();
        state.pauses_without_length = 0;
        state.breaker.on_success(self.probe);
    }

    /// The platform asked for a pause, of this length if it named one. Returns the actual length.
    ///
    /// A running pause is never shortened. A pause without a length grows from one to the next. Requests in flight
    /// together are answered together, and only the first of those answers counts.
    pub(in crate::platform) fn on_throttled(mut self, asked: Option<Duration>, status: u16) -> Duration {
        self.ended = true;
        let mut state = self.gate.state.lock();
        // A platform that asks for a pause is reachable.
        state.breaker.on_success(self.probe);
        let now = Instant::now();
        let left = state.pause.map_or(Duration::ZERO, |pause| pause.until.saturating_duration_since(now));
        let length = match asked {
            Some(asked) => asked.max(MIN_PAUSE),
            None if !left.is_zero() => left,
            None => {
                state.pauses_without_length += 1;
                BACKOFF.pause(state.pauses_without_length)
            }
        };
        if length <= left {
            return left;
        }
        state.pause = Some(Pause { until: now + length, status });
        drop(state);
        self.gate.report("throttled", length);
        length
    }

    /// The platform did not answer, or with a failure of its own. `unreachable`: no connection was made.
    pub(in crate::platform) fn on_failure(
        mut self,
        call: Call<'_>,
        error: &PlatformError,
        unreachable: bool,
    ) {
        self.ended = true;
        let closed = self.gate.state.lock().breaker.on_failure(
            Instant::now(),
            self.probe,
            call.tenant(),
            error,
            unreachable,
        );
        if let Some(length) = closed {
            self.gate.report("unreachable", length);
        }
    }
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        if self.probe && !self.ended {
            self.gate.state.lock().breaker.on_cancel();
        }
    }
}
