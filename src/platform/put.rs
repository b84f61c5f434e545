//! The one write: the switch of a tenant from trial to production.
//!
//! This file is the only place in the program that names the HTTP method PUT, and a test sees to it.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use super::gate::Gate;
use super::token::{Need, bearer};
use super::transport::Transport;
use super::{ClientOptions, ErrorClass, PlatformClient, PlatformError, PricingVersion, TenantId};

/// What became of a switch that was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Proven: no byte of the PUT left. There was no usable token, a pause was on, or no connection came up.
    NotSent(PlatformError),
    /// A complete 2xx head came back. What it did still has to be read.
    Accepted,
    /// A complete 3xx or 4xx head other than 408 and 499 came back: a definite refusal.
    Refused(PlatformError),
    /// Everything else (time limits, resets, 5xx, 408, 499, garbled answers): it may have taken effect.
    Unknown(PlatformError),
}

/// What sends the PUT: a transport of its own, which nothing outside this file can reach.
pub(super) struct PutTransport(Transport);

impl PutTransport {
    pub(super) fn new(options: &ClientOptions, gate: Arc<Gate>) -> Result<Self, PlatformError> {
        Transport::for_put(options, gate).map(Self)
    }
}

impl PlatformClient {
    /// Makes sure that a switch could be sent at once: no pause is on, and a token is held that lives for
    /// another 30 seconds (or half its life, if that is shorter). May take as long as a token fetch does, so
    /// it is to be called before the last look.
    ///
    /// # Errors
    /// Any class that a token fetch can end in, and [`ErrorClass::Throttled`] during a pause.
    pub async fn ready_to_put(&self) -> Result<(), PlatformError> {
        let check = || self.inner.put.0.gate().check("preparing the switch");
        check()?;
        self.inner.tokens.obtain(Need::READY_TO_PUT).await?;
        check()
    }

    /// Switches a tenant from trial to production. The only function in the program that can send a PUT.
    ///
    /// One request at most leaves, within a time limit of 8 seconds, on a connection of its own; nothing is
    /// repeated, not even after a 401. What the switch did has to be read afterwards, whatever the outcome.
    /// It never waits for a token: see [`Self::ready_to_put`].
    pub async fn switch_to_production(&self, id: &TenantId, version: PricingVersion) -> PutOutcome {
        let operation = format!("switching tenant {id} to production");
        let transport = &self.inner.put.0;
        if let Err(error) = transport.gate().check(&operation) {
            return PutOutcome::NotSent(error);
        }
        let token = self.inner.tokens.held(Need::PUT);
        let Some((token, authorization)) =
            token.and_then(|token| bearer(token.secret()).map(|value| (token, value)))
        else {
            let error = PlatformError::new(&operation, ErrorClass::Unavailable)
                .with_detail("no access token was held that lives long enough");
            return PutOutcome::NotSent(error);
        };
        let request = transport
            .http()
            .put(self.url(&format!("/tenants/{id}/pricing")))
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(format!(r#"{{"version":{version},"mode":"production"}}"#));
        let reply = match transport.send(request).await {
            Ok(reply) => reply,
            Err(failure) if failure.never_connected => {
                return PutOutcome::NotSent(failure.into_error(&operation));
            }
            Err(failure) => return PutOutcome::Unknown(failure.into_error(&operation)),
        };
        let status = reply.status;
        if (200..300).contains(&status) {
            return PutOutcome::Accepted;
        }
        if status == 401 {
            self.inner.tokens.answered_401(&token);
        }
        let error = reply.into_error(&operation, token.secret());
        match status {
            // The platform, or something before it, gave up waiting: that says nothing about the request.
            408 | 499 => PutOutcome::Unknown(error),
            300..=499 => PutOutcome::Refused(error),
            _ => PutOutcome::Unknown(error),
        }
    }
}
