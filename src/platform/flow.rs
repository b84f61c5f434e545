//! When a request may leave: rate limit, pauses, circuit breaker.

mod breaker;
pub(super) mod gate;
pub(super) mod rate_limiter;
pub(super) mod shared;
