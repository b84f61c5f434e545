//! How a client reports its requests, so that they can be counted.

use std::time::Duration;

/// Receives a report of each request, token fetch and pause. It is called from within requests, so it must not block.
///
/// All words come from small, fixed sets, so that they can be labels of a metric. None is taken from an answer, and
/// none names a tenant.
pub trait ClientMetrics: Send + Sync {
    /// One request ended.
    ///
    /// `operation` is one of `token`, `own_tenant`, `tenants`, `tenant`, `pricing`, `search`, `subtree` and
    /// `switch`. `class` is `ok`, a [`word`](super::ErrorClass::word) of an error class, or `cancelled` for a
    /// request that this program gave up. `took` runs from the first byte sent to the last one read. The waits for
    /// the rate limit and for a token are not part of it.
    fn request(&self, operation: &'static str, class: &'static str, took: Duration);

    /// One attempt to get an access token ended: `ok`, or the word of an error class. This includes attempts that sent
    /// nothing because there were no usable credentials.
    fn token(&self, outcome: &'static str);

    /// A pause of the whole client began, or was extended. `throttled`: the platform asked for it. `unreachable`: the
    /// platform did not answer, or failed.
    fn pause(&self, cause: &'static str, length: Duration);
}
