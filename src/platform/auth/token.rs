//! The access token: one for everything, fetched once, renewed early.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use rand::RngExt;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tokio::time::{Instant, timeout};

use super::history::{FetchSlot, History, MIN_TOKEN_INTERVAL};
use crate::platform::{
    CredentialError, CredentialSource, Credentials, ErrorClass, Origin, PlatformError, TenantId,
    call::Call,
    flow::{rate_limiter::Class, shared::Shared as SharedState},
    net::transport::{PUT_TIMEOUT, Transport},
    wire::json::{self, TokenWire, token_life},
};

/// How long a rejection, or an unusable Secret, is final. It is below the 30 seconds within which a corrected Secret
/// has to work, so that a check every 30 seconds is admitted.
const REJECTION_TTL: Duration = Duration::from_secs(25);

/// The lifetime of a token whose answer names none.
const DEFAULT_TOKEN_LIFE: Duration = Duration::from_mins(5);

/// The maximum lifetime of a token, whatever its answer says.
const MAX_TOKEN_LIFE: Duration = Duration::from_hours(24);

/// A token that lives longer than this is renewed some minutes before its end; others at 80 % of their life.
const LONG_TOKEN_LIFE: Duration = Duration::from_mins(35);

/// The maximum time that reading the credentials may take. The Kubernetes client has no read timeout of its own.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);

/// The minimum time between two reads of the Secret for a token that is held.
const MIN_REVIEW_INTERVAL: Duration = Duration::from_secs(15);

/// What reading the credentials again showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// No token is held, so the credentials are read for the next one.
    NothingHeld,
    /// The credentials are those of the token that is held, as far as is known.
    Same,
    /// The credentials have changed. The token is dropped, and the next one is fetched with the new credentials.
    Changed,
}

/// The remaining lifetime that a purpose needs: a time, or a fraction of the lifetime if that is shorter. Without the
/// fraction, a token with a very short lifetime could never be used.
#[derive(Clone, Copy)]
pub(in crate::platform) struct Need {
    time: Duration,
    part: u32,
}

impl Need {
    /// For a read.
    pub(in crate::platform) const READ: Self = Self { time: Duration::from_secs(5), part: 4 };
    /// To promise that a PUT can be sent within the next seconds.
    pub(in crate::platform) const READY_TO_PUT: Self = Self { time: Duration::from_secs(30), part: 2 };
    /// For a PUT, which has a time limit of 8 seconds.
    pub(in crate::platform) const PUT: Self = Self { time: PUT_TIMEOUT, part: 4 };
}

/// An access token.
pub(in crate::platform) struct Token {
    secret: SecretString,
    /// The token as a header value, marked as sensitive so that it is not printed.
    authorization: HeaderValue,
    client_id: String,
    /// The fingerprint of the credentials that it was fetched with.
    fingerprint: u64,
    life: Duration,
    renew_at: Instant,
    expires_at: Instant,
}

impl Token {
    pub(in crate::platform) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The value of the `Authorization` header.
    pub(in crate::platform) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// The client that the token was given to.
    pub(in crate::platform) fn client_id(&self) -> &str {
        &self.client_id
    }

    fn suffices(&self, need: Need, now: Instant) -> bool {
        self.expires_at.saturating_duration_since(now) >= need.time.min(self.life / need.part)
    }
}

type Fetch = Shared<BoxFuture<'static, Result<Arc<Token>, PlatformError>>>;

/// Holds the token of a client. Clones share it.
#[derive(Clone)]
pub(in crate::platform) struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    url: String,
    source: Arc<dyn CredentialSource>,
    state: Mutex<State>,
    history: History,
    /// Randomly keyed, so that a fingerprint reveals nothing about the credentials.
    fingerprints: RandomState,
    /// The number in the history, once the client is active.
    number: OnceLock<u64>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// The fetch in flight, shared by all that wait for it.
    fetch: Option<Fetch>,
    /// The failure to report until the given instant.
    failure: Option<(PlatformError, Instant)>,
    /// A token was answered 401, so that one fetch may start earlier than the interval allows.
    rejected: bool,
    /// When the credentials were last read.
    read: Option<Instant>,
}

impl Tokens {
    pub(in crate::platform) fn new(
        origin: &Origin,
        transport: Transport,
        source: Arc<dyn CredentialSource>,
        history: History,
    ) -> Self {
        let url = format!("{origin}/api/2/idp/token");
        let (state, number) = (Mutex::default(), OnceLock::new());
        let fingerprints = RandomState::new();
        Self { inner: Arc::new(Inner { transport, url, source, state, history, fingerprints, number }) }
    }

    /// Activates the client: the clients before it get no more tokens.
    pub(in crate::platform) fn activate(&self, origin: &Origin, shared: &Arc<SharedState>) {
        self.inner.number.get_or_init(|| self.inner.history.activate(origin, shared));
    }

    /// A token for the purpose: the one that is held, or a new one.
    ///
    /// At most one fetch is in flight, however many callers wait. It runs in a task of its own, which continues when
    /// the callers are cancelled.
    pub(in crate::platform) async fn obtain(&self, need: Need) -> Result<Arc<Token>, PlatformError> {
        let fetch = {
            let mut state = self.inner.state.lock();
            let now = Instant::now();
            if let Some(token) = state.token.clone().filter(|token| token.suffices(need, now)) {
                let may_ask = state.may_renew_in_background(now)
                    && self.inner.history.is_spaced(now)
                    && self.inner.transport.shared().gate.check(Call::Token).is_ok();
                if now >= token.renew_at && may_ask {
                    // In the background: the token that is held is still good for a while.
                    drop(self.fetch(&mut state, now));
                }
                return Ok(token);
            }
            if let Some(fetch) = state.fetch.clone() {
                fetch
            } else {
                state.check_failure(now)?;
                self.inner.transport.shared().gate.check(Call::Token)?;
                self.fetch(&mut state, now)
            }
        };
        fetch.await
    }

    /// The token that is held, if it is good for the purpose. Never waits.
    pub(in crate::platform) fn held(&self, need: Need) -> Option<Arc<Token>> {
        let now = Instant::now();
        self.inner.state.lock().token.clone().filter(|token| token.suffices(need, now))
    }

    /// A call with this token was answered 401: it is dropped, and may be renewed at once.
    pub(in crate::platform) fn answered_401(&self, token: &Arc<Token>) {
        let mut state = self.inner.state.lock();
        if state.holds(token) {
            state.token = None;
            state.rejected = true;
        }
    }

    /// A call with a renewed token was rejected too: all calls fail for a while.
    pub(in crate::platform) fn reject(&self, token: &Arc<Token>, error: PlatformError) {
        let mut state = self.inner.state.lock();
        if state.holds(token) {
            state.token = None;
            state.failure = Some((error, Instant::now() + REJECTION_TTL));
        }
    }

    /// Reads the credentials again, unless that happened just now. If they changed, the token is dropped: a person who
    /// deletes or changes a Secret expects that the old values are no longer used.
    ///
    /// While the API server does not answer, nothing changes.
    pub(in crate::platform) async fn review(&self) -> Result<Review, PlatformError> {
        let now = Instant::now();
        let held = {
            let state = self.inner.state.lock();
            let Some(held) = state.token.clone() else { return Ok(Review::NothingHeld) };
            if state.read.is_some_and(|read| now < read + MIN_REVIEW_INTERVAL) {
                return Ok(Review::Same);
            }
            held
        };
        let outcome = match self.inner.credentials().await {
            Ok(credentials) if self.inner.fingerprint(&credentials) == held.fingerprint => {
                return Ok(Review::Same);
            }
            Ok(_) => Ok(Review::Changed),
            Err(error) if matches!(error.class(), ErrorClass::SecretNotFound | ErrorClass::SecretInvalid) => {
                Err(error)
            }
            Err(_) => return Ok(Review::Same),
        };
        let mut state = self.inner.state.lock();
        if state.holds(&held) {
            state.token = None;
            state.failure =
                outcome.as_ref().err().map(|error| (error.clone(), Instant::now() + REJECTION_TTL));
        }
        outcome
    }

    /// Starts a fetch as soon as the interval allows.
    fn fetch(&self, state: &mut State, now: Instant) -> Fetch {
        let (start, early) = self.inner.history.next_start(now, std::mem::take(&mut state.rejected));
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(start).await;
            let outcome = inner.fetch(early).await;
            inner.keep(outcome)
        });
        let inner = Arc::clone(&self.inner);
        let broken =
            || PlatformError::new(Call::Token, ErrorClass::Unavailable).with_detail("the fetch panicked");
        let fetch = async move { task.await.unwrap_or_else(|_| inner.keep(Err(broken()))) };
        let fetch = fetch.boxed().shared();
        state.fetch = Some(fetch.clone());
        fetch
    }
}

impl State {
    fn holds(&self, token: &Arc<Token>) -> bool {
        self.token.as_ref().is_some_and(|held| Arc::ptr_eq(held, token))
    }

    fn check_failure(&self, now: Instant) -> Result<(), PlatformError> {
        match &self.failure {
            Some((error, until)) if now < *until => Err(error.clone().with_retry_after(*until - now)),
            _ => Ok(()),
        }
    }

    fn may_renew_in_background(&self, now: Instant) -> bool {
        self.fetch.is_none() && self.check_failure(now).is_ok()
    }
}

impl Inner {
    /// Ends a fetch and keeps its outcome.
    fn keep(&self, outcome: Result<Arc<Token>, PlatformError>) -> Result<Arc<Token>, PlatformError> {
        let mut state = self.state.lock();
        state.fetch = None;
        match &outcome {
            Ok(token) => {
                state.token = Some(Arc::clone(token));
                state.failure = None;
                state.rejected = false;
            }
            Err(error) => {
                // The gate reports this one to every call.
                if held_back(error) {
                    return outcome;
                }
                let standing = match error.class() {
                    ErrorClass::Credentials | ErrorClass::SecretNotFound | ErrorClass::SecretInvalid => {
                        REJECTION_TTL
                    }
                    _ => MIN_TOKEN_INTERVAL,
                };
                state.failure = Some((error.clone(), Instant::now() + standing));
            }
        }
        outcome
    }

    async fn fetch(&self, early: bool) -> Result<Arc<Token>, PlatformError> {
        let report = |error: &PlatformError| self.transport.shared().token(Some(error.class()));
        loop {
            let credentials = self.credentials().await.inspect_err(report)?;
            self.transport.shared().acquire(Class::Token, 1, Call::Token).await?;
            match self.history.claim(self.number.get().copied(), Instant::now(), early) {
                FetchSlot::Granted => {
                    let token = self.request(&credentials).await.inspect_err(report)?;
                    self.transport.shared().token(None);
                    return Ok(Arc::new(token));
                }
                // Another client of the connection was first. The Secret may have changed by then.
                FetchSlot::NotBefore(start) => tokio::time::sleep_until(start).await,
                FetchSlot::Replaced => {
                    let error = PlatformError::new(Call::Token, ErrorClass::Unavailable);
                    return Err(error.with_detail("the connection was edited meanwhile"));
                }
            }
        }
    }

    async fn request(&self, credentials: &Credentials) -> Result<Token, PlatformError> {
        // The lifetime counts from before the request, which errs on the safe side.
        let asked = Instant::now();
        let request = self
            .transport
            .http()?
            .post(&self.url)
            .basic_auth(&credentials.client_id, Some(credentials.client_secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")]);
        let reply = self.transport.send(Call::Token, request).await.map_err(|failure| failure.error)?;
        let date = reply.date;
        let parse = |body| {
            let body = SecretSlice::from(body);
            let wire: TokenWire = json::parse(body.expose_secret())?;
            let authorization = bearer(&wire.access_token)?;
            Some((wire, authorization))
        };
        let read = reply.read(Call::Token, &credentials.client_secret, parse);
        let (wire, authorization) = read.map_err(|error| with_hint(error, &credentials.client_id))?;
        let life = token_life(&wire, date).map_or(DEFAULT_TOKEN_LIFE, |life| life.min(MAX_TOKEN_LIFE));
        Ok(Token {
            secret: wire.access_token,
            authorization,
            client_id: credentials.client_id.clone(),
            fingerprint: self.fingerprint(credentials),
            life,
            renew_at: asked + renewal(life),
            expires_at: asked + life,
        })
    }

    fn fingerprint(&self, credentials: &Credentials) -> u64 {
        self.fingerprints.hash_one((&credentials.client_id, credentials.client_secret.expose_secret()))
    }

    async fn credentials(&self) -> Result<Credentials, PlatformError> {
        self.state.lock().read = Some(Instant::now());
        let refused =
            |class, message| Err(PlatformError::new("reading the credentials", class).with_detail(message));
        let credentials = match timeout(CREDENTIALS_TIMEOUT, self.source.credentials()).await {
            Ok(Ok(credentials)) => credentials,
            Ok(Err(CredentialError::NotFound { message })) => {
                return refused(ErrorClass::SecretNotFound, message);
            }
            Ok(Err(CredentialError::Invalid { message })) => {
                return refused(ErrorClass::SecretInvalid, message);
            }
            Ok(Err(CredentialError::Unavailable { message })) => {
                return refused(ErrorClass::Unavailable, message);
            }
            Err(_) => {
                return refused(ErrorClass::Unavailable, "the Secret could not be read in time".to_owned());
            }
        };
        // The id becomes part of a URL, and part of the Basic header before a colon.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if credentials.client_id.is_empty() || !credentials.client_id.bytes().all(plain) {
            let message = "the client id in the Secret is not a client id: expected a UUID".to_owned();
            return refused(ErrorClass::SecretInvalid, message);
        }
        Ok(credentials)
    }
}

/// Adds a hint to a rejection of credentials that cannot be right: they may be encoded twice.
fn with_hint(error: PlatformError, client_id: &str) -> PlatformError {
    // Any UUID parses as a tenant id.
    if error.class() != ErrorClass::Credentials || client_id.parse::<TenantId>().is_ok() {
        return error;
    }
    error.with_detail(
        "the credentials are not accepted, and clientId in the Secret is not a UUID; check that both values are \
         encoded in Base64 once in data, and not at all in stringData",
    )
}

/// Whether nothing was sent because the gate was closed.
fn held_back(error: &PlatformError) -> bool {
    error.retry_after().is_some()
}

/// The value of the `Authorization` header, marked as sensitive so that it is not printed. `None` for a token that is
/// empty or has characters which no header can carry.
fn bearer(token: &SecretString) -> Option<HeaderValue> {
    if token.expose_secret().is_empty() {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The age at which a token is renewed. The jitter keeps a thousand clients from fetching in the same second.
fn renewal(life: Duration) -> Duration {
    if life < LONG_TOKEN_LIFE {
        return life.mul_f64(0.8);
    }
    let margin = Duration::from_mins(5) + Duration::from_mins(2).mul_f64(rand::rng().random());
    life.saturating_sub(margin)
}
