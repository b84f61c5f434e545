//! The client that the rest of the program uses.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    AllowedHosts, Answer, ClientMetrics, CredentialSource, ErrorClass, History, Origin, PlatformError,
    Pricing, ProxyUrl, Resolver, Tenant, TenantId,
    auth::token::{Need, Review, Token, Tokens},
    call::Call,
    flow::{rate_limiter::Priority, shared::Shared},
    net::transport::{Reply, Transport},
    wire::json,
};
use crate::clock::Clock;

/// The options of a [`PlatformClient`].
#[derive(Clone)]
pub struct ClientOptions {
    /// The platform to talk to.
    pub origin: Origin,
    /// The controller's allow-list, which must admit the origin.
    pub allowed_hosts: AllowedHosts,
    /// Certificate authorities to trust besides the system's, as PEM.
    pub ca_bundle: Option<Arc<str>>,
    /// The proxy to use. Without it none is used, and the environment is ignored.
    pub proxy: Option<ProxyUrl>,
    /// Resolves the platform's host name. With a proxy, the proxy resolves it.
    pub resolver: Resolver,
    /// The rate limit for requests of any kind, with a burst of one second's worth.
    pub requests_per_second: NonZeroU32,
    /// Where requests, token fetches and pauses are counted.
    pub metrics: Option<Arc<dyn ClientMetrics>>,
    /// The clock to compare the platform's clock with.
    pub clock: Clock,
    /// What the earlier clients of the connection hand on to this one.
    pub history: History,
}

/// A client that reads from one platform with one set of credentials.
///
/// It has no function that leads to a write: see [`SwitchClient`](super::SwitchClient).
///
/// It is cheap to clone. Clones share everything but the priority: the connections, the token, the rate limit, and the
/// circuit breaker.
///
/// Every request waits for the rate limit, without a timeout: dropping the call gives up the wait. During a pause, and
/// while the circuit is open, calls fail at once with [`PlatformError::retry_after`]. Calls that wait for the rate
/// limit when that begins fail then.
#[derive(Clone)]
pub struct PlatformClient {
    pub(super) inner: Arc<Inner>,
    priority: Priority,
    /// Rate limit permits that the next reads may use.
    reserved: Option<Arc<ReservedPermits>>,
}

pub(super) struct Inner {
    origin: Origin,
    transport: Transport,
    pub(super) tokens: Tokens,
    /// The client id last seen, and the tenant that it acts in.
    own_tenant: Mutex<Option<(String, TenantId)>>,
}

/// Rate limit permits for the next reads of a client, valid until an instant.
struct ReservedPermits {
    left: AtomicU32,
    until: Instant,
}

/// The value that a read returned, and the platform's time.
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) date: Option<Timestamp>,
    status: u16,
}

impl PlatformClient {
    /// Prepares a client. It sends nothing, and allocates little before the first request.
    ///
    /// # Errors
    /// [`ErrorClass::HostNotAllowed`] when the allow-list does not admit the origin,
    /// [`ErrorClass::InvalidConfiguration`] for a bad certificate bundle or proxy.
    #[cfg(feature = "cli")]
    pub fn new(options: ClientOptions, source: Arc<dyn CredentialSource>) -> Result<Self, PlatformError> {
        Self::with_options(&Arc::new(options), source)
    }

    /// As [`PlatformClient::new`], with options that another client shares.
    pub(super) fn with_options(
        options: &Arc<ClientOptions>,
        source: Arc<dyn CredentialSource>,
    ) -> Result<Self, PlatformError> {
        options.allowed_hosts.check(&options.origin).map_err(|error| {
            PlatformError::new("preparing the connection", ErrorClass::HostNotAllowed)
                .with_detail(error.to_string())
        })?;
        let shared = Arc::new(Shared::new(options));
        options.history.hand_over_pause(&options.origin, &shared.gate);
        let transport = Transport::for_reads(options, shared)?;
        let tokens = Tokens::new(&options.origin, transport.clone(), source, options.history.clone());
        let own_tenant = Mutex::new(None);
        let inner = Inner { origin: options.origin.clone(), transport, tokens, own_tenant };
        Ok(Self { inner: Arc::new(inner), priority: Priority::Interactive, reserved: None })
    }

    /// Activates the client in place of the earlier clients of its connection, which get no more tokens.
    pub fn activate(&self) {
        self.inner.tokens.activate(&self.inner.origin, self.shared_arc());
    }

    /// The platform this client talks to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The platform's time now, by the `Date` of its last answer and the monotonic clock since. `None` before the first
    /// answer.
    #[must_use]
    pub fn platform_now(&self) -> Option<Timestamp> {
        self.shared().platform_now()
    }

    /// How far the controller's clock was ahead of the platform's, by the `Date` of its last answer. It is accurate to
    /// half a second, plus the time that the answer travelled. `None` before the first answer.
    #[must_use]
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        self.shared().clock_skew()
    }

    /// Whether this is a clone of `other`.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The same client, whose reads have this priority. The reads of a new client are interactive.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self { priority, reserved: None, ..self.clone() }
    }

    /// Changes the rate limit, for all clones. A change starts without a burst.
    pub fn set_rate(&self, requests_per_second: NonZeroU32) {
        self.shared().set_rate(requests_per_second);
    }

    /// The same client, with this number of permits for its next reads.
    pub(super) fn with_reserved_permits(&self, permits: u32, until: Instant) -> Self {
        let reserved = ReservedPermits { left: AtomicU32::new(permits), until };
        Self { priority: Priority::Interactive, reserved: Some(Arc::new(reserved)), ..self.clone() }
    }

    /// The tenant in which the credentials act. Remembered as long as the client id stays the same.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn own_tenant(&self) -> Result<Answer<TenantId>, PlatformError> {
        let token = self.inner.tokens.obtain(Need::READ).await?;
        let remembered = self.inner.own_tenant.lock().clone();
        if let Some((client_id, tenant)) = remembered
            && client_id == token.client_id()
        {
            return Ok(Answer { value: tenant, date: None });
        }
        self.verify().await
    }

    /// Tests the credentials with a request, whatever is remembered, and returns the tenant in which they act.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn verify(&self) -> Result<Answer<TenantId>, PlatformError> {
        let url = |token: &Token| self.url(&format!("/clients/{}", token.client_id()));
        let (read, token) = self.ask(Call::OwnTenant, url, json::client).await?;
        let tenant = read.value.tenant_id;
        let remembered = (token.client_id().to_owned(), tenant.clone());
        *self.inner.own_tenant.lock() = Some(remembered);
        Ok(Answer { value: tenant, date: read.date })
    }

    /// Reads the credentials again, and compares them with those of the token that is held. Sends nothing to the
    /// platform.
    ///
    /// # Errors
    /// [`ErrorClass::SecretNotFound`] or [`ErrorClass::SecretInvalid`]: the token that was held is dropped.
    pub async fn review_credentials(&self) -> Result<Review, PlatformError> {
        self.inner.tokens.review().await
    }

    /// One tenant.
    ///
    /// # Errors
    /// Any class that a read can end in. [`ErrorClass::Malformed`] also for an answer about another tenant, or without
    /// a field that decides about a switch.
    pub async fn tenant(&self, id: &TenantId) -> Result<Answer<Tenant>, PlatformError> {
        let parse = |body: &[u8]| json::tenant(body).filter(|tenant| tenant.id == *id);
        let read = self.get(Call::Tenant(id), self.url(&format!("/tenants/{id}")), parse).await?;
        Ok(Answer { value: read.value, date: read.date })
    }

    /// The pricing settings of one tenant.
    ///
    /// # Errors
    /// Any class that a read can end in.
    pub async fn pricing(&self, id: &TenantId) -> Result<Answer<Pricing>, PlatformError> {
        let url = self.url(&format!("/tenants/{id}/pricing"));
        let read = self.get(Call::Pricing(id), url, json::pricing).await?;
        Ok(Answer { value: read.value, date: read.date })
    }

    /// The URL of a resource. `path` starts with a slash and contains nothing that needs escaping.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/api/2{path}", self.inner.origin)
    }

    pub(super) fn shared_arc(&self) -> &Arc<Shared> {
        self.inner.transport.shared_arc()
    }

    pub(super) fn shared(&self) -> &Shared {
        self.inner.transport.shared()
    }

    /// Reads `url`.
    pub(super) async fn get<T>(
        &self,
        call: Call<'_>,
        url: String,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Read<T>, PlatformError> {
        self.probe().await;
        self.ask(call, |_| url.clone(), parse).await.map(|(read, _)| read)
    }

    /// Sends a neutral probe if one is due: a read about the client itself. The trouble of one tenant must not keep the
    /// circuit open for all.
    pub(super) async fn probe(&self) {
        if self.shared().gate.wants_neutral_probe() {
            // The gate reports the outcome to the next call.
            let _ = self.verify().await;
        }
    }

    /// Reads a URL that may depend on the token. A read that is answered 401 is repeated once, with a new token.
    /// Nothing else is repeated here; `tenants.rs` repeats later pages of a listing.
    async fn ask<T>(
        &self,
        call: Call<'_>,
        url: impl Fn(&Token) -> String,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<(Read<T>, Arc<Token>), PlatformError> {
        let tokens = &self.inner.tokens;
        let mut token = self.acquire_token(call).await?;
        let mut reply = self.send(call, &url(&token), &token).await?;
        if reply.status == 401 {
            tokens.answered_401(&token);
            token = self.acquire_token(call).await?;
            reply = self.send(call, &url(&token), &token).await?;
        }
        let (status, date) = (reply.status, reply.date);
        let value = reply.read(call, token.secret(), |body| parse(&body)).inspect_err(|error| {
            if error.class() == ErrorClass::Credentials {
                tokens.reject(&token, error.clone().renamed("calling the platform"));
            }
        })?;
        Ok((Read { value, date, status }, token))
    }

    /// Waits for the rate limit, unless a permit is reserved, and for a token.
    async fn acquire_token(&self, call: Call<'_>) -> Result<Arc<Token>, PlatformError> {
        if self.reserved.as_ref().is_some_and(|reserved| reserved.take()) {
            return self.inner.tokens.obtain(Need::READ).await;
        }
        self.permits(1, self.priority, Need::READ, call).await
    }

    /// Waits for this number of permits, and for a token that suffices for `need`.
    pub(super) async fn permits(
        &self,
        permits: u32,
        priority: Priority,
        need: Need,
        operation: impl fmt::Display,
    ) -> Result<Arc<Token>, PlatformError> {
        let (shared, tokens) = (self.shared(), &self.inner.tokens);
        shared.gate.check(&operation)?;
        let mut waited_again = false;
        loop {
            // The token comes first, so that no call waits in vain for the rate limit.
            let token = tokens.obtain(need).await?;
            shared.acquire(priority.into(), permits, &operation).await?;
            // An admitted call continues at once or waits again: permits must not be saved up for a burst.
            if let Some(token) = tokens.held(need) {
                return Ok(token);
            }
            // The lifetime of a new token may be too short for any wait.
            if std::mem::replace(&mut waited_again, true) {
                return Ok(token);
            }
        }
    }

    async fn send(&self, call: Call<'_>, url: &str, token: &Token) -> Result<Reply, PlatformError> {
        let transport = &self.inner.transport;
        let request =
            transport.http()?.get(url).header(reqwest::header::AUTHORIZATION, token.authorization().clone());
        transport.send(call, request).await.map_err(|failure| failure.error)
    }
}

impl ReservedPermits {
    /// Takes one of the permits, if one is left and still valid.
    fn take(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        Instant::now() < self.until
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

impl<T> Read<T> {
    /// The error for an answer that cannot be understood.
    pub(super) fn malformed(&self, call: Call<'_>) -> PlatformError {
        PlatformError::new(call, ErrorClass::Malformed).with_status(self.status)
    }
}

impl fmt::Debug for ClientOptions {
    /// Shows the options in which clients differ, and no secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientOptions")
            .field("origin", &self.origin)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("requests_per_second", &self.requests_per_second)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PlatformClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlatformClient").field("origin", &self.inner.origin).finish_non_exhaustive()
    }
}
