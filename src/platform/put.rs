//! The one write: the switch of a tenant from trial to production.
//!
//! This file is the only place in the program that names the HTTP method PUT. A test checks that.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use tokio::time::Instant;

use super::{
    ClientOptions, CredentialSource, ErrorClass, PlatformClient, PlatformError, PricingVersion, TenantId,
    auth::token::Need,
    call::Call,
    flow::rate_limiter::Priority,
    net::{
        deadline::Deadline,
        transport::{PUT_TIMEOUT, Transport},
    },
};
use crate::clock::Moment;

/// How long a permit is valid. It holds rate limit permits, which cannot be saved for later.
const PERMIT_TTL: Duration = Duration::from_secs(30);

/// The timeout's own timer ends a request first, if the process runs at all. A request that outlives the timer by this
/// time must not continue.
const TIMER_GRACE: Duration = Duration::from_secs(1);

/// The pre-write read needs two requests: the tenant and its pricing settings.
const PREWRITE_READS: u32 = 2;

/// The outcome of a switch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Proven: no byte of the PUT left. There was no usable token or permit, a pause was on, the circuit was open, or
    /// no connection was made.
    NotSent(PlatformError),
    /// The platform answered 2xx. No second request may follow. Only a read proves that the tenant is switched.
    ///
    /// This errs on the side of acceptance. A 2xx counts although its body says another mode, is empty, is cut off, or
    /// is JSON of another form. Only text that is not JSON, such as a login page, proves nothing. A request that counts
    /// as accepted by mistake waits for a person. A request that is sent again may bill.
    Accepted,
    /// A definite refusal: a 3xx, or a 4xx of the platform other than 408 and 499.
    Refused(PlatformError),
    /// The request may have taken effect: timeouts, resets, 5xx, 408, 499, garbled answers, and answers of something on
    /// the network path.
    Unknown(PlatformError),
}

/// The client that can switch a tenant: a [`PlatformClient`], and the transport of the PUT, which nothing outside this
/// file can reach. Cheap to clone; clones share everything.
///
/// Only the registry of the controller's connections makes one. The command line has none, so it cannot switch.
#[derive(Clone)]
pub struct SwitchClient {
    reads: PlatformClient,
    put: Arc<Transport>,
}

/// The rate limit permits of one switch, valid for 30 seconds: one for the PUT, and two for the pre-write read. See
/// [`SwitchClient::ready_to_put`].
#[derive(Debug)]
#[must_use = "it holds rate limit permits"]
pub struct PutPermit {
    /// Holds the permits of the pre-write read.
    client: PlatformClient,
    until: Instant,
}

impl PutPermit {
    /// The client for the pre-write read: its next two reads do not wait for the rate limit. At one request per second,
    /// a read that had to wait would be too old before it was complete.
    #[must_use]
    pub fn for_prewrite_read(&self) -> PlatformClient {
        self.client.clone()
    }
}

impl SwitchClient {
    /// Prepares a client. It sends nothing, and allocates little before the first request.
    ///
    /// # Errors
    /// As [`PlatformClient::new`].
    pub fn new(options: ClientOptions, source: Arc<dyn CredentialSource>) -> Result<Self, PlatformError> {
        let options = Arc::new(options);
        let reads = PlatformClient::with_options(&options, source)?;
        let put = Arc::new(Transport::for_put(&options, Arc::clone(reads.shared_arc()))?);
        Ok(Self { reads, put })
    }

    /// The client that reads through the same token, rate limit and circuit breaker.
    #[must_use]
    pub fn reads(&self) -> &PlatformClient {
        &self.reads
    }

    /// Whether a token is held with which a PUT could be sent now.
    #[must_use]
    pub fn can_put(&self) -> bool {
        self.reads.inner.tokens.held(Need::PUT).is_some()
    }

    /// Waits until one switch could be sent at once. Then the rate limit has permits for it and its pre-write read, and
    /// no pause is on. A token is held that lives for another 30 seconds, or half its lifetime if that is shorter.
    ///
    /// It may take as long as the rate limit and a token fetch, so call it before the pre-write read.
    ///
    /// # Errors
    /// Any class that a token fetch can end in, [`ErrorClass::Throttled`] during a pause, and
    /// [`ErrorClass::Unavailable`] while the circuit is open.
    pub async fn ready_to_put(&self) -> Result<PutPermit, PlatformError> {
        let reads = &self.reads;
        reads.probe().await;
        // The HTTP client is made now, because the PUT must not wait for anything.
        self.put.http()?;
        reads
            .permits(1 + PREWRITE_READS, Priority::Interactive, Need::READY_TO_PUT, "preparing the switch")
            .await?;
        let until = Instant::now() + PERMIT_TTL;
        Ok(PutPermit { client: reads.with_reserved_permits(PREWRITE_READS, until), until })
    }

    /// Switches a tenant from trial to production. The only function in the program that can send a PUT.
    ///
    /// At most one request leaves, with a timeout of 8 seconds, on a connection of its own. Nothing is repeated, not
    /// even after a 401. Whatever the outcome, the tenant has to be read afterwards. The call never waits for a token
    /// or for the rate limit: the permit stands for both, and is used up.
    ///
    /// The timeout counts from `asked`, the moment of the last check that the request may leave. A process that is
    /// stopped right after that moment, and continues too late, sends nothing.
    pub async fn switch_to_production(
        &self,
        id: &TenantId,
        version: PricingVersion,
        permit: PutPermit,
        asked: Moment,
    ) -> PutOutcome {
        let call = Call::Switch(id);
        let transport = &self.put;
        if let Err(error) = transport.shared().gate.check(call) {
            return PutOutcome::NotSent(error);
        }
        let unready = |detail: &'static str| {
            PutOutcome::NotSent(PlatformError::new(call, ErrorClass::Unavailable).with_detail(detail))
        };
        if !permit.client.is_same_as(&self.reads) || Instant::now() >= permit.until {
            return unready("its rate limit permits were acquired too long ago, or for another client");
        }
        let Some(token) = self.reads.inner.tokens.held(Need::PUT) else {
            return unready("no access token was held that lives long enough");
        };
        let clock = transport.shared().clock();
        let leaves_by = Deadline::after(asked, PUT_TIMEOUT, clock);
        let http = match transport.http() {
            Ok(http) => http,
            Err(error) => return PutOutcome::NotSent(error.renamed(call)),
        };
        let request = http
            .put(self.reads.url(&format!("/tenants/{id}/pricing")))
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
            self.reads.inner.tokens.answered_401(&token);
        }
        let error = reply.into_error(call, token.secret());
        match status {
            // A proxy may answer after the platform has carried out the request.
            _ if foreign => PutOutcome::Unknown(error),
            // The platform, or something before it, gave up waiting. That says nothing about the request.
            408 | 499 => PutOutcome::Unknown(error),
            300..=499 => PutOutcome::Refused(error),
            _ => PutOutcome::Unknown(error),
        }
    }
}

impl fmt::Debug for SwitchClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SwitchClient").field(&self.reads).finish()
    }
}
