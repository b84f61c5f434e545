//! Where what happens between this program and the platform is reported, so that it can be counted.

use std::time::Duration;

use jiff::SignedDuration;

/// Is told of everything a client does. Called from within requests: it must not block.
///
/// All words come from fixed, small sets, so that they can be labels of a metric: none is ever taken from an
/// answer, and none names a tenant.
pub trait ClientMetrics: Send + Sync {
    /// One request ended, whatever its end.
    ///
    /// `operation` is one of `token`, `own_tenant`, `tenants`, `tenant`, `pricing`, `search`, `subtree` and
    /// `switch`. `class` is `ok`, a [`word`](super::ErrorClass::word) of an error class, or `cancelled` for a
    /// request that was given up by this program. `took` runs from the first byte sent to the last one read;
    /// neither the wait for the pace nor the one for a token is part of it.
    fn request(&self, operation: &'static str, class: &'static str, took: Duration);

    /// One attempt to get an access token ended: `ok`, or the word of an error class. Among them are the
    /// attempts that ended before anything was sent, because there were no usable credentials.
    fn token(&self, outcome: &'static str);

    /// A pause for the whole client began, or became longer: `throttled`, asked for by the platform, or
    /// `unreachable`, because the platform did not answer or was out of order.
    fn pause(&self, cause: &'static str, length: Duration);

    /// How far this program's clock is ahead of the platform's, by the `Date` of an answer. A `Date` has whole
    /// seconds, so this is right to half a second, and to the time that the answer took to travel.
    fn platform_clock(&self, apart: SignedDuration);
}
