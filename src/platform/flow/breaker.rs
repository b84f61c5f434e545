//! Whether the platform is reachable: a circuit breaker that one probe at a time may close again.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{
    backoff::Backoff,
    platform::{PlatformError, TenantId},
};

/// No pause is shorter: a zero, or an instant already past, would only cause the next refusal.
pub(super) const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The pauses whose length this program chooses: at random, from one second up to a limit. The limit doubles with each
/// failure, from 2 to 60 seconds.
pub(super) const BACKOFF: Backoff = Backoff::new(MIN_PAUSE, MIN_PAUSE, Duration::from_secs(60));

/// The number of failures in a row that opens the circuit. Fewer may be the trouble of single calls.
const FAILURE_THRESHOLD: usize = 3;

/// What is known about the reachability of the platform.
pub(super) enum CircuitBreaker {
    /// Requests may leave. Holds the failures since the last success: the tenant, if the call was about one.
    Closed(Vec<Option<TenantId>>),
    /// No request leaves until a probe has succeeded.
    Open(Outage),
}

/// Why the circuit is open, and when a probe may try to close it.
pub(super) struct Outage {
    /// The earliest time of the next probe.
    until: Instant,
    /// The failure to report meanwhile.
    error: PlatformError,
    /// How often the circuit has opened since the last success.
    times: u32,
    /// A probe is in flight.
    probing: bool,
}

/// Why a request may not be sent.
pub(super) struct Refused {
    pub(super) error: PlatformError,
    pub(super) left: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::Closed(Vec::new())
    }
}

impl CircuitBreaker {
    /// Fails while nothing may be sent: during the pause, and while a probe is in flight.
    pub(super) fn check(&self, now: Instant) -> Result<(), Refused> {
        match self {
            Self::Open(outage) if !self.may_pass(now) => Err(outage.refused(now)),
            _ => Ok(()),
        }
    }

    /// Whether [`Self::check`] succeeds.
    pub(super) fn may_pass(&self, now: Instant) -> bool {
        !matches!(self, Self::Open(outage) if outage.probing || now < outage.until)
    }

    /// Whether the next probe should be a neutral one: a read about the client itself. Every other probe is. So neither
    /// a tenant, nor a batch, nor that read keeps the circuit open by failing for reasons of its own.
    pub(super) fn wants_neutral_probe(&self) -> bool {
        matches!(self, Self::Open(outage) if !outage.times.is_multiple_of(2))
    }

    /// Admits one request, and says whether it is the probe. Only a request that `may_probe` can be.
    pub(super) fn enter(&mut self, now: Instant, may_probe: bool) -> Result<bool, Refused> {
        self.check(now)?;
        match self {
            Self::Closed(_) => Ok(false),
            Self::Open(outage) if !may_probe => Err(outage.refused(now)),
            Self::Open(outage) => {
                outage.probing = true;
                Ok(true)
            }
        }
    }

    /// A request was answered. While the circuit is open only the probe counts: all others left earlier.
    pub(super) fn on_success(&mut self, probe: bool) {
        match self {
            Self::Closed(failures) => failures.clear(),
            Self::Open(_) if probe => *self = Self::default(),
            Self::Open(_) => {}
        }
    }

    /// A request about `tenant` failed. Returns the pause if this opens the circuit.
    ///
    /// Repeated failures of one tenant count once: its trouble must not stop all others.
    pub(super) fn on_failure(
        &mut self,
        now: Instant,
        probe: bool,
        tenant: Option<&TenantId>,
        error: &PlatformError,
        unreachable: bool,
    ) -> Option<Duration> {
        let times = match self {
            Self::Closed(failures) => {
                if tenant.is_none() || !failures.iter().any(|failure| failure.as_ref() == tenant) {
                    failures.push(tenant.cloned());
                }
                if !unreachable && failures.len() < FAILURE_THRESHOLD {
                    return None;
                }
                1
            }
            Self::Open(outage) if probe => outage.times.saturating_add(1),
            Self::Open(_) => return None,
        };
        let pause = BACKOFF.pause(times);
        *self = Self::Open(Outage { until: now + pause, error: error.clone(), times, probing: false });
        Some(pause)
    }

    /// The program cancelled the probe: the next request may be one.
    pub(super) fn on_cancel(&mut self) {
        if let Self::Open(outage) = self {
            outage.probing = false;
        }
    }
}

impl Refused {
    /// The failure that stands, reported for another operation.
    pub(super) fn into_error(self, operation: impl fmt::Display) -> PlatformError {
        // While a probe is in flight, the remaining time is not known.
        let left = if self.left.is_zero() { MIN_PAUSE } else { self.left };
        self.error.renamed(operation).with_retry_after(left)
    }
}

impl Outage {
    fn refused(&self, now: Instant) -> Refused {
        Refused { error: self.error.clone(), left: self.until.saturating_duration_since(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::ErrorClass;

    fn tenant(number: u8) -> TenantId {
        format!("0fcd4a69-8a40-4de8-b711-d9c83dc000{number:02x}").parse().unwrap()
    }

    fn fail(breaker: &mut CircuitBreaker, tenant: Option<&TenantId>) -> bool {
        let error = PlatformError::of_class(ErrorClass::Unavailable);
        breaker.on_failure(Instant::now(), false, tenant, &error, false).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_open_the_circuit() {
        let mut breaker = CircuitBreaker::default();
        assert!(!fail(&mut breaker, None));
        assert!(!fail(&mut breaker, Some(&tenant(1))));
        assert!(breaker.check(Instant::now()).is_ok());
        assert!(fail(&mut breaker, Some(&tenant(2))));
        assert!(breaker.check(Instant::now()).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_starts_the_count_again() {
        let mut breaker = CircuitBreaker::default();
        for _ in 0..100 {
            assert!(!fail(&mut breaker, None));
            assert!(!fail(&mut breaker, None));
            breaker.on_success(false);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_failures_of_one_tenant_count_once() {
        let mut breaker = CircuitBreaker::default();
        for _ in 0..100 {
            assert!(!fail(&mut breaker, Some(&tenant(1))));
        }
        assert!(!fail(&mut breaker, Some(&tenant(2))));
        assert!(fail(&mut breaker, Some(&tenant(3))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_connection_opens_the_circuit_at_once() {
        let mut breaker = CircuitBreaker::default();
        let error = PlatformError::of_class(ErrorClass::Unavailable);
        assert!(breaker.on_failure(Instant::now(), false, Some(&tenant(1)), &error, true).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_probe_counts_while_the_circuit_is_open() {
        let mut breaker = CircuitBreaker::default();
        while !fail(&mut breaker, None) {}
        breaker.on_success(false);
        assert!(breaker.check(Instant::now()).is_err());
        assert!(!fail(&mut breaker, None));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(breaker.check(Instant::now()).is_ok(), "the first pause is at most two seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_and_the_pause_grows_with_each_failure() {
        let error = PlatformError::of_class(ErrorClass::Unavailable);
        let mut longest = Duration::ZERO;
        for _ in 0..50 {
            let mut breaker = CircuitBreaker::default();
            while !fail(&mut breaker, None) {}
            for limit in [2, 4, 8, 16, 32, 60, 60, 60] {
                tokio::time::advance(Duration::from_secs(limit)).await;
                let now = Instant::now();
                assert!(breaker.enter(now, false).is_err(), "a write is no probe");
                assert!(matches!(breaker.enter(now, true), Ok(true)));
                assert!(breaker.enter(now, true).is_err(), "a second one");
                let pause = breaker.on_failure(now, true, None, &error, false).unwrap();
                assert!((1..=60).contains(&pause.as_secs()), "{pause:?}");
                assert!(pause.as_secs() <= 2 * limit, "{pause:?} after {limit}");
                longest = longest.max(pause);
            }
        }
        assert!(longest > Duration::from_secs(30), "it grows: {longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_makes_room_for_the_next() {
        let mut breaker = CircuitBreaker::default();
        while !fail(&mut breaker, None) {}
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(matches!(breaker.enter(Instant::now(), true), Ok(true)));
        breaker.on_cancel();
        assert!(matches!(breaker.enter(Instant::now(), true), Ok(true)));
        breaker.on_success(true);
        assert!(matches!(breaker.enter(Instant::now(), false), Ok(false)));
    }
}
