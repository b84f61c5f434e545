//! The one write: the switch of a tenant from trial to production.
//!
//! This file is the only place in the program that names the HTTP method PUT, and a test sees to it.

use std::{sync::Arc, time::Duration};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use tokio::time::Instant;

use super::{
    ClientOptions, ErrorClass, PlatformClient, PlatformError, PricingVersion, TenantId,
    auth::token::Need,
    call::Call,
    flow::{rate_limiter::Priority, shared::Shared},
    net::{
        deadline::Deadline,
        transport::{PUT_TIMEOUT, Transport},
    },
};
use crate::clock::Moment;

/// How long a permit holds. Its places in the pace are taken: they cannot be kept for later.
const PERMIT_TTL: Duration = Duration::from_secs(30);

/// The time limit's own timer ends a request first, if the process runs at all. What it does not end within this time,
/// is not to go on.
const TIMER_GRACE: Duration = Duration::from_secs(1);

/// The last look reads the tenant and its pricing settings.
const PREWRITE_READS: u32 = 2;

/// What became of a switch that was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Proven: no byte of the PUT left. There was no usable token or permit, a pause was on, the platform was
    /// known to be out of reach, or no connection came up.
    NotSent(PlatformError),
    /// The platform answered 2xx. No second request may follow. That the tenant is switched is known when it is read.
    ///
    /// This errs on the side of acceptance: a 2xx counts although its body says another mode, is empty, is cut off, or is
    /// JSON of another form. Only text that is no JSON, such as a login page, proves nothing. A request that is taken for
    /// accepted by mistake waits for a person. One that is sent again may bill.
    Accepted,
    /// A 3xx came back, or a 4xx of the platform other than 408 and 499: a definite refusal.
    Refused(PlatformError),
    /// Everything else (time limits, resets, 5xx, 408, 499, garbled answers, answers of something on the way to the
    /// platform): it may have taken effect.
    Unknown(PlatformError),
}

/// What sends the PUT: a transport of its own, which nothing outside this file can reach.
pub(super) struct PutTransport(Transport);

/// The places of one switch in the pace of its client, for 30 seconds: one for the PUT, and two for the last
/// look before it. See [`PlatformClient::ready_to_put`].
#[derive(Debug)]
#[must_use = "places in the pace were taken for it"]
pub struct PutPermit {
    /// With the places of the last look.
    client: PlatformClient,
    until: Instant,
}

impl PutPermit {
    /// The client for the last look: its next two reads do not wait for the pace. At one request in a second,
    /// a last look that had to wait would be too old before it was complete.
    #[must_use]
    pub fn for_prewrite_read(&self) -> PlatformClient {
        self.client.clone()
    }
}

impl PutTransport {
    pub(super) fn new(options: &Arc<ClientOptions>, shared: Arc<Shared>) -> Result<Self, PlatformError> {
        Transport::for_put(options, shared).map(Self)
    }
}

impl PlatformClient {
    /// Waits until one switch may be sent, and makes sure that it could be sent at once: the pace has places for
    /// it and its last look, no pause is on, and a token is held that lives for another 30 seconds (or half its
    /// life, if that is shorter). May take as long as the pace and a token fetch do, so it is to be called
    /// before the last look.
    ///
    /// # Errors
    /// Any class that a token fetch can end in, [`ErrorClass::Throttled`] during a pause, and
    /// [`ErrorClass::Unavailable`] while the platform is out of reach.
    pub async fn ready_to_put(&self) -> Result<PutPermit, PlatformError> {
        self.probe().await;
        // What the PUT needs is made now: it must not wait for anything.
        self.inner.put.0.http()?;
        self.permits(1 + PREWRITE_READS, Priority::Interactive, Need::READY_TO_PUT, "preparing the switch")
            .await?;
        let until = Instant::now() + PERMIT_TTL;
        Ok(PutPermit { client: self.with_reserved_permits(PREWRITE_READS, until), until })
    }

    /// Switches a tenant from trial to production. The only function in the program that can send a PUT.
    ///
    /// One request at most leaves, within a time limit of 8 seconds, on a connection of its own; nothing is
    /// repeated, not even after a 401. What the switch did has to be read afterwards, whatever the outcome.
    /// It never waits, neither for a token nor for the pace: the permit stands for both, and is used up.
    ///
    /// The time limit counts from `asked`, the moment at which it was last made sure that the request may leave. A
    /// process that is stopped right after it sends nothing when it goes on too late.
    pub async fn switch_to_production(
        &self,
        id: &TenantId,
        version: PricingVersion,
        permit: PutPermit,
        asked: Moment,
    ) -> PutOutcome {
        let call = Call::Switch(id);
        let transport = &self.inner.put.0;
        if let Err(error) = transport.shared().gate.check(call) {
            return PutOutcome::NotSent(error);
        }
        let unready = |detail: &'static str| {
            PutOutcome::NotSent(PlatformError::new(call, ErrorClass::Unavailable).with_detail(detail))
        };
        if !permit.client.is_same_as(self) || Instant::now() >= permit.until {
            return unready("its places in the pace were taken too long ago, or for another client");
        }
        let Some(token) = self.inner.tokens.held(Need::PUT) else {
            return unready("no access token was held that lives long enough");
        };
        let clock = transport.shared().clock();
        let leaves_by = Deadline::after(asked, PUT_TIMEOUT, clock);
        let http = match transport.http() {
            Ok(http) => http,
            Err(error) => return PutOutcome::NotSent(error.renamed(call)),
        };
        let request = http
            .put(self.url(&format!("/tenants/{id}/pricing")))
            .header(AUTHORIZATION, token.authorization().clone())
            .header(CONTENT_TYPE, "application/json")
            .body(leaves_by.body(format!(r#"{{"version":{version},"mode":"production"}}"#)));
        let ends_by = Deadline::after(asked, PUT_TIMEOUT + TIMER_GRACE, clock);
        let reply = match ends_by.keep(transport.send(call, request)).await {
            Some(Ok(reply)) => reply,
            Some(Err(failure)) if failure.nothing_left => return PutOutcome::NotSent(failure.error),
            Some(Err(failure)) => return PutOutcome::Unknown(failure.error),
            None => {
                let error = PlatformError::new(call, ErrorClass::Unavailable);
                return PutOutcome::Unknown(
                    error.with_detail("no complete answer came within the time limit"),
                );
            }
        };
        let (status, foreign) = (reply.status, reply.is_foreign());
        if (200..300).contains(&status) && !foreign {
            return PutOutcome::Accepted;
        }
        if status == 401 {
            self.inner.tokens.answered_401(&token);
        }
        let error = reply.into_error(call, token.secret());
        match status {
            // A proxy may give it after the platform has carried out the request.
            _ if foreign => PutOutcome::Unknown(error),
            // The platform, or something before it, gave up waiting: that says nothing about the request.
            408 | 499 => PutOutcome::Unknown(error),
            300..=499 => PutOutcome::Refused(error),
            _ => PutOutcome::Unknown(error),
        }
    }
}
