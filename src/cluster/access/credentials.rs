//! The header that authorizes requests to the API server, and where it comes from.

use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jiff::{SignedDuration, Timestamp};
use kube::config::AuthInfo;
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use super::{
    AccessError,
    plugin::{Given, Plugin},
};
use crate::clock::Clock;

/// A file's token is read again after this time, as client-go does.
const TOKEN_FILE_MAX_AGE: Duration = Duration::from_secs(50);

/// A plugin's token is renewed this long before it expires, or a quarter of its life before if that is shorter.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_secs(60);

/// A plugin that failed is not run again before this time.
const FAILURE_MAX_AGE: Duration = Duration::from_secs(2);

/// After an answer of 401 a plugin is run again only if its token is older than this.
const REJECTED_AFTER: Duration = Duration::from_secs(10);

type Header = Option<HeaderValue>;
type Outcome = Result<Header, AccessError>;
type Run = Shared<BoxFuture<'static, Outcome>>;

/// What authorizes the requests. Cheap to clone; clones share everything. `Debug` prints nothing of it.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    source: Source,
    state: Mutex<State>,
}

enum Source {
    /// The header never changes, or there is none.
    Fixed(Header),
    /// A token in a file, which another process replaces.
    File(PathBuf),
    Plugin(Plugin),
}

#[derive(Default)]
struct State {
    /// The last header, when it was obtained, and until when it is valid.
    got: Option<(Header, Instant, Option<Life>)>,
    identity: Option<(String, SecretString)>,
    failed: Option<(Instant, AccessError)>,
    running: Option<Run>,
}

#[derive(Clone, Copy)]
struct Life {
    renew: Timestamp,
    expires: Timestamp,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// The credentials of a kubeconfig's user, in kube's order.
    ///
    /// # Errors
    /// They can never be used.
    pub(super) fn of(user: &AuthInfo) -> Result<Self, AccessError> {
        let secret = |secret: &Option<SecretString>| {
            secret.clone().filter(|secret| !secret.expose_secret().is_empty())
        };
        let source = if let Some(provider) = &user.auth_provider {
            match (provider.name.as_str(), provider.config.get("id-token")) {
                ("oidc", Some(token)) => {
                    Source::Fixed(Some(bearer(token, "the id-token of auth-provider oidc")?))
                }
                (name, _) => {
                    return Err(AccessError::new(format!(
                        "auth-provider {name:?} of the kubeconfig is not supported. Use an auth plugin (`exec`)"
                    )));
                }
            }
        } else if let (Some(user), Some(password)) = (&user.username, secret(&user.password)) {
            let pair = format!("{user}:{}", password.expose_secret());
            Source::Fixed(Some(header(&format!("Basic {}", STANDARD.encode(pair)), "username and password")?))
        } else if let Some(token) = secret(&user.token) {
            Source::Fixed(Some(bearer(token.expose_secret(), "the token in the kubeconfig")?))
        } else if let Some(file) = user.token_file.as_ref().filter(|file| !file.is_empty()) {
            Source::File(file.into())
        } else if let Some(exec) = &user.exec {
            Source::Plugin(Plugin::new(exec)?)
        } else {
            Source::Fixed(None)
        };
        Ok(Self::from(source))
    }

    fn from(source: Source) -> Self {
        Self(Arc::new(Inner { source, state: Mutex::default() }))
    }

    /// The header of a request that is sent now.
    ///
    /// # Errors
    /// There is no header: the plugin fails, or the file cannot be read.
    pub async fn authorization(&self) -> Result<Header, AccessError> {
        match &self.0.source {
            Source::Fixed(header) => Ok(header.clone()),
            Source::File(path) => self.read_file(path).await,
            Source::Plugin(plugin) => self.ask(plugin).await,
        }
    }

    /// The client certificate and its key from the plugin, in Base64.
    pub(super) fn identity(&self) -> Option<(String, SecretString)> {
        let state = self.0.state();
        let (certificate, key) = state.identity.as_ref()?;
        Some((STANDARD.encode(certificate), STANDARD.encode(key.expose_secret()).into()))
    }

    async fn read_file(&self, path: &Path) -> Outcome {
        let known = self.0.state().got.clone();
        if let Some((header, at, _)) = &known
            && at.elapsed() < TOKEN_FILE_MAX_AGE
        {
            return Ok(header.clone());
        }
        let read = tokio::fs::read_to_string(path).await;
        let read = read.map_err(|error| format!("cannot be read: {error}")).and_then(|text| {
            let token = text.trim();
            if token.is_empty() { Err("is empty".to_owned()) } else { Ok(SecretString::from(token)) }
        });
        let named = format!("the token in {}", path.display());
        let outcome = read
            .map_err(|why| AccessError::new(format!("tokenFile {} of the kubeconfig {why}", path.display())))
            .and_then(|token| bearer(token.expose_secret(), &named));
        match (outcome, known) {
            (Ok(header), _) => {
                self.0.state().got = Some((Some(header.clone()), Instant::now(), None));
                Ok(Some(header))
            }
            // Some environments remove the file after the first read. The token that was read last stays in use.
            (Err(error), Some((header, _, _))) => {
                tracing::warn!(%error, "failed to read the token file; the last token stays in use");
                self.0.state().got = Some((header.clone(), Instant::now(), None));
                Ok(header)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn ask(&self, plugin: &Plugin) -> Outcome {
        let (run, still_good) = {
            let mut state = self.0.state();
            let now = Clock::system().now();
            let mut still_good = None;
            if let Some((header, _, life)) = &state.got {
                if life.is_none_or(|life| now < life.renew) {
                    return Ok(header.clone());
                }
                if life.is_some_and(|life| now < life.expires) {
                    still_good = Some(header.clone());
                }
            }
            if let Some((at, error)) = &state.failed
                && at.elapsed() < FAILURE_MAX_AGE
            {
                return still_good.map_or_else(|| Err(error.clone()), Ok);
            }
            (state.running.get_or_insert_with(|| self.run(plugin)).clone(), still_good)
        };
        match (run.await, still_good) {
            (Err(error), Some(header)) => {
                tracing::warn!(%error, "failed to renew the credentials; the last ones stay in use until they expire");
                Ok(header)
            }
            (outcome, _) => outcome,
        }
    }

    /// Runs the plugin in a task of its own: a cancelled request does not end it, and all waiting requests share it.
    fn run(&self, plugin: &Plugin) -> Run {
        let (inner, plugin) = (self.0.clone(), plugin.clone());
        let task = tokio::spawn(async move {
            let outcome = plugin.run().await.and_then(|given| inner.take(given, &plugin));
            let mut state = inner.state();
            state.running = None;
            state.failed = outcome.as_ref().err().map(|error| (Instant::now(), error.clone()));
            outcome
        });
        task.map(|joined| {
            joined.unwrap_or_else(|_| Err(AccessError::new("the auth plugin could not be run")))
        })
        .boxed()
        .shared()
    }

    /// The API server rejected this header, so the next request obtains a new one.
    fn rejected(&self, rejected: Option<&HeaderValue>) {
        let mut state = self.0.state();
        let is_old = state
            .got
            .as_ref()
            .is_some_and(|(header, at, _)| header.as_ref() == rejected && at.elapsed() >= REJECTED_AFTER);
        if is_old && !matches!(self.0.source, Source::Fixed(_)) {
            match &self.0.source {
                // The file is read again. If that fails, the last token stays.
                Source::File(_) => {
                    if let Some((_, at, _)) = &mut state.got {
                        *at = at.checked_sub(TOKEN_FILE_MAX_AGE).unwrap_or(*at);
                    }
                }
                _ => state.got = None,
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Stores what the plugin returned.
    fn take(&self, given: Given, plugin: &Plugin) -> Outcome {
        let named = format!("the token of auth plugin {}", plugin.name());
        let token = given.token.filter(|token| !token.expose_secret().is_empty());
        let header = token.map(|token| bearer(token.expose_secret(), &named)).transpose()?;
        let now = Clock::system().now();
        let life = given.expires.map(|expires| {
            let margin = (expires.duration_since(now) / 4).clamp(SignedDuration::ZERO, RENEWED_BEFORE);
            Life { renew: expires.checked_sub(margin).unwrap_or(expires), expires }
        });
        let mut state = self.state();
        if let Some(given) = given.identity {
            let is_known = state.identity.as_ref().is_some_and(|(certificate, _)| *certificate == given.0);
            if state.got.is_some() && !is_known {
                let name = plugin.name();
                return Err(AccessError::new(format!(
                    "auth plugin {name} gives a new client certificate, which a process takes at its start alone. \
                     Restart this process"
                )));
            }
            state.identity = Some(given);
        }
        state.got = Some((header.clone(), Instant::now(), life));
        Ok(header)
    }
}

/// The header of a bearer token.
fn bearer(token: &str, named: &str) -> Result<HeaderValue, AccessError> {
    header(&format!("Bearer {token}"), named)
}

fn header(text: &str, named: &str) -> Result<HeaderValue, AccessError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        AccessError::new(format!(
            "{named} holds a line break or another character that no header can carry. Remove it"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl<S> Layer<S> for Credentials {
    type Service = Authorized<S>;

    fn layer(&self, inner: S) -> Authorized<S> {
        Authorized { inner, credentials: self.clone(), next: None, header: None }
    }
}

/// A service that authorizes its requests.
pub struct Authorized<S> {
    inner: S,
    credentials: Credentials,
    /// The header of the next request, while it is being obtained.
    next: Option<BoxFuture<'static, Outcome>>,
    header: Option<Outcome>,
}

impl<S> fmt::Debug for Authorized<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authorized").finish_non_exhaustive()
    }
}

impl<S, Body, Answer> Service<Request<Body>> for Authorized<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.header.is_none() {
            let credentials = self.credentials.clone();
            let next =
                self.next.get_or_insert_with(|| async move { credentials.authorization().await }.boxed());
            let outcome = ready!(next.poll_unpin(context));
            (self.header, self.next) = (Some(outcome), None);
        }
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // An error from `poll_ready` would end the client for good.
        let header = match self.header.take() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Box::pin(async move { Err(error.into()) }),
            None => {
                let error = AccessError::new("a request was sent before its credentials were there");
                return Box::pin(async move { Err(error.into()) });
            }
        };
        if let Some(header) = &header {
            request.headers_mut().insert(AUTHORIZATION, header.clone());
        }
        let (answer, credentials) = (self.inner.call(request), self.credentials.clone());
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                credentials.rejected(header.as_ref());
            }
            Ok(answer)
        })
    }
}
