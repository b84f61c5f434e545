//! The state that all requests of a client share.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    gate::Gate,
    rate_limiter::{Class, RateLimiter},
};
use crate::{
    clock::Clock,
    platform::{ClientMetrics, ClientOptions, ErrorClass, PlatformError, call::Call},
};

/// The rate limiter, the gate, and the metrics of a client.
pub(in crate::platform) struct Shared {
    pub(in crate::platform) gate: Gate,
    rate_limiter: RateLimiter,
    metrics: Option<Arc<dyn ClientMetrics>>,
    clock: Clock,
    last_date: Mutex<Option<LastDate>>,
}

/// The `Date` of the last answer.
#[derive(Clone, Copy)]
struct LastDate {
    date: Timestamp,
    came: Instant,
    /// The controller's clock minus the platform's when it arrived.
    apart: SignedDuration,
}

/// Reports the end of a request when it is dropped, whatever the outcome.
pub(in crate::platform) struct RequestTimer {
    metrics: Option<Arc<dyn ClientMetrics>>,
    operation: &'static str,
    class: &'static str,
    begun: Instant,
    took: Option<Duration>,
}

impl Shared {
    pub(in crate::platform) fn new(options: &ClientOptions) -> Self {
        Self {
            gate: Gate::new(options.metrics.clone(), options.history.stopped()),
            rate_limiter: RateLimiter::new(options.requests_per_second),
            metrics: options.metrics.clone(),
            clock: options.clock.clone(),
            last_date: Mutex::default(),
        }
    }

    pub(in crate::platform) fn set_rate(&self, requests_per_second: NonZeroU32) {
        self.rate_limiter.set_rate(requests_per_second);
    }

    /// Waits until the rate limit admits this number of requests. A pause that begins meanwhile ends the wait.
    pub(in crate::platform) async fn acquire(
        &self,
        class: Class,
        permits: u32,
        operation: impl fmt::Display,
    ) -> Result<(), PlatformError> {
        self.rate_limiter.acquire(class, permits, || self.gate.check(&operation)).await
    }

    /// Reports that one attempt to get a token ended.
    pub(in crate::platform) fn token(&self, outcome: Option<ErrorClass>) {
        if let Some(metrics) = &self.metrics {
            metrics.token(outcome.map_or("ok", ErrorClass::word));
        }
    }

    /// The clock of the controller.
    pub(in crate::platform) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Records the clock skew. The platform's time lies within the second of its `Date`, so the middle of that second
    /// is the best guess.
    pub(in crate::platform) fn compare_clocks(&self, date: Option<Timestamp>) {
        if let Some(date) = date {
            let half = SignedDuration::from_millis(500);
            let apart = self.clock.now().duration_since(date).saturating_sub(half);
            *self.last_date.lock() = Some(LastDate { date, came: Instant::now(), apart });
        }
    }

    /// How far the controller's clock was ahead of the platform's at its last answer.
    pub(in crate::platform) fn clock_skew(&self) -> Option<SignedDuration> {
        self.last_date.lock().map(|last| last.apart)
    }

    /// The platform's time now, by its last answer. A `Date` has whole seconds, and is rounded up.
    pub(in crate::platform) fn platform_now(&self) -> Option<Timestamp> {
        let last = *self.last_date.lock();
        let LastDate { date, came, .. } = last?;
        date.checked_add(came.elapsed() + Duration::from_secs(1)).ok()
    }

    /// Starts the timer of one request.
    pub(in crate::platform) fn begin(&self, call: Call<'_>) -> RequestTimer {
        let (metrics, operation) = (self.metrics.clone(), call.word());
        RequestTimer { metrics, operation, class: "cancelled", begun: Instant::now(), took: None }
    }
}

impl RequestTimer {
    /// The last byte has arrived, or none will: with this failure, or none.
    pub(in crate::platform) fn with(&mut self, failure: Option<ErrorClass>) {
        self.class = failure.map_or("ok", ErrorClass::word);
        self.took.get_or_insert_with(|| self.begun.elapsed());
    }
}

impl Drop for RequestTimer {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            let took = self.took.unwrap_or_else(|| self.begun.elapsed());
            metrics.request(self.operation, self.class, took);
        }
    }
}
