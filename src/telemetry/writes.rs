//! Counts the writes to the API server at the one place that all of them go through: between the Kubernetes client and
//! its transport. Test builds refuse a write there that is not in the table of side effects.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::http::{Request, Response};
use tower::{Layer, Service};

use super::Metrics;
use crate::string_enum::string_enum;

string_enum! {
    /// The kind of a write.
    WriteKind {
        /// The status of a `TenantPricing`.
        TenantPricingStatus = "tenantpricings/status",
        /// The status of a `PlatformConnection`.
        PlatformConnectionStatus = "platformconnections/status",
        /// An event.
        Event = "events",
        /// A lease.
        Lease = "leases",
        /// Anything else.
        Other = "other",
    }
}

string_enum! {
    /// The result of a write.
    WriteResult {
        /// The write is stored.
        Stored = "stored",
        /// The object changed since it was read, or is gone. Nothing is stored.
        Conflict = "conflict",
        /// The API server refused the write. Nothing is stored.
        Refused = "refused",
        /// The API server asks for fewer requests. Nothing is stored.
        Throttled = "throttled",
        /// There is no certain answer. The write may be stored or not.
        Unknown = "unknown",
    }
}

impl WriteKind {
    /// The kind by the path of a request, as in
    /// `/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>/status`.
    fn of_path(path: &str) -> Self {
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        parts.drain(..parts.len().min(if parts.first() == Some(&"api") { 2 } else { 3 }));
        if parts.first() == Some(&"namespaces") && parts.len() > 2 {
            parts.drain(..2);
        }
        match (parts.first().copied(), parts.get(2).copied()) {
            (Some("tenantpricings"), Some("status")) => Self::TenantPricingStatus,
            (Some("platformconnections"), Some("status")) => Self::PlatformConnectionStatus,
            (Some("events"), None) => Self::Event,
            (Some("leases"), None) => Self::Lease,
            _ => Self::Other,
        }
    }
}

#[cfg(feature = "test-support")]
impl WriteKind {
    /// Checks that this write runs inside a side effect of its kind.
    ///
    /// # Panics
    /// Panics otherwise, since the write has no failpoints at which a test could end the process.
    #[allow(clippy::panic)] // only in test builds, where it must be seen
    fn assert_is_under_way(self) {
        use crate::failpoints::{SideEffect, current};
        let begun = current();
        let is_it = match self {
            Self::TenantPricingStatus => {
                matches!(begun, Some(SideEffect::Journal | SideEffect::TenantPricingStatus))
            }
            Self::PlatformConnectionStatus => begun == Some(SideEffect::ConnectionStatus),
            Self::Event => begun == Some(SideEffect::Event),
            Self::Lease => matches!(
                begun,
                Some(SideEffect::LeaseAcquire | SideEffect::LeaseRenew | SideEffect::LeaseRelease)
            ),
            Self::Other => false,
        };
        if !is_it {
            let kind = self.as_str();
            panic!("a write to {kind} that no side effect of src/failpoints.rs announces: {begun:?}");
        }
    }
}

impl WriteResult {
    /// The result by the HTTP status of the answer.
    fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Stored,
            404 | 409 => Self::Conflict,
            429 => Self::Throttled,
            // The API server gave up waiting for its own store, which says nothing about the write.
            408 => Self::Unknown,
            300..=499 => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

/// A layer that counts every write of a Kubernetes client: `ClientBuilder::with_layer(&CountWrites::new(metrics))`.
#[derive(Clone, Debug)]
pub struct CountWrites {
    metrics: Metrics,
}

impl CountWrites {
    /// Creates a layer that counts into these metrics.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for CountWrites {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.metrics.clone() }
    }
}

/// A service whose writes are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, Body, Answer> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // Every other method changes something.
        let is_write = !request.method().is_safe();
        let under_way = is_write.then(|| UnderWay {
            metrics: self.metrics.clone(),
            kind: WriteKind::of_path(request.uri().path()),
            outcome: WriteResult::Unknown,
        });
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut under_way = under_way;
            // The check is here, in the task of the sender. The layers above move the call itself to another task.
            #[cfg(feature = "test-support")]
            if let Some(write) = &under_way {
                write.kind.assert_is_under_way();
            }
            let answer = answer.await;
            if let (Some(write), Ok(answer)) = (&mut under_way, &answer) {
                write.outcome = WriteResult::of_status(answer.status().as_u16());
            }
            answer
        })
    }
}

/// Counts the write when dropped, since a write whose sender no longer waits has a result as well.
struct UnderWay {
    metrics: Metrics,
    kind: WriteKind,
    outcome: WriteResult,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.metrics.wrote(self.kind, self.outcome);
    }
}

#[cfg(test)]
mod tests;
