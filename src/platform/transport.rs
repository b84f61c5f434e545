//! One request, one answer: limits, and words for what can go wrong on the way.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderName, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};

use super::gate::Gate;
use super::time::{parse_http_date, pause_length};
use super::wire::error_code;
use super::{ClientOptions, ErrorClass, PlatformError};
use crate::platform::error::asks_for_pause;

/// The longest time a connection may take to come up, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The longest time a read may take, from the first byte sent to the last byte of the answer.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(30);

/// The longest time a PUT may take.
pub(super) const PUT_LIMIT: Duration = Duration::from_secs(8);

/// The most that is read of an answer.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// What every request of a client goes through.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    gate: Arc<Gate>,
}

/// An answer with a complete head.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) date: Option<Timestamp>,
    has_retry_after: bool,
    /// The pause that the answer asked for.
    pause: Option<Duration>,
    body: Body,
}

enum Body {
    Complete(Vec<u8>),
    /// Larger than [`BODY_LIMIT`].
    TooLarge,
    /// The rest never came.
    Broken(Failure),
}

/// A request without a complete answer.
pub(super) struct Failure {
    /// What happened, in the program's own words: the words of a library may quote the other side.
    words: Cow<'static, str>,
    /// Proven: no connection came up, so no byte of the request left.
    pub(super) never_connected: bool,
}

/// Installs the TLS provider of the whole program. Once is enough, and has to come first thing in `main`.
pub fn install_tls_provider() {
    // An error means that one is installed already, which is what was asked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Transport {
    /// For reads: connections are kept.
    pub(super) fn for_reads(options: &ClientOptions, gate: Arc<Gate>) -> Result<Self, PlatformError> {
        let http = build(http_client(options)?.timeout(READ_LIMIT))?;
        Ok(Self { http, gate })
    }

    /// For the PUT: each on a connection of its own. On a kept connection that the other side has closed
    /// meanwhile, the HTTP library would send the request a second time by itself.
    pub(super) fn for_put(options: &ClientOptions, gate: Arc<Gate>) -> Result<Self, PlatformError> {
        let http = build(http_client(options)?.timeout(PUT_LIMIT).pool_max_idle_per_host(0))?;
        Ok(Self { http, gate })
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Sends one request, once. An answer that asks for a pause closes the gate.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, Failure> {
        let response = request.send().await.map_err(|error| Failure::of(&error))?;
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let status = response.status().as_u16();
        let date = header(DATE).and_then(parse_http_date);
        let retry_after = header(RETRY_AFTER);
        let has_retry_after = response.headers().contains_key(RETRY_AFTER);
        let pause = asks_for_pause(status, has_retry_after).then(|| pause_length(retry_after, date));
        if let Some(length) = pause {
            self.gate.close_for(length, status);
        }
        let body = if response.status().is_redirection() {
            Body::Complete(Vec::new())
        } else {
            read(response).await
        };
        Ok(Reply { status, date, has_retry_after, pause, body })
    }
}

impl Reply {
    /// The body of a 2xx answer, or why there is none. `secret` is what authorised the request: it is kept
    /// out of the error even if the other side sends it back as a code.
    pub(super) fn into_body(self, operation: &str, secret: &SecretString) -> Result<Vec<u8>, PlatformError> {
        if !(200..300).contains(&self.status) {
            return Err(self.into_error(operation, secret));
        }
        match self.body {
            Body::Complete(body) => Ok(body),
            Body::TooLarge => Err(PlatformError::new(operation, ErrorClass::Malformed)
                .with_status(self.status)
                .with_detail("but with more than 1 MiB")),
            Body::Broken(failure) => Err(failure.into_error(operation)),
        }
    }

    /// The error that an answer other than 2xx stands for.
    pub(super) fn into_error(self, operation: &str, secret: &SecretString) -> PlatformError {
        let code = self.code().filter(|code| !reveals(code, secret.expose_secret()));
        let class = ErrorClass::of_answer(self.status, code.as_deref(), self.has_retry_after);
        self.error(operation, class, code)
    }

    /// As [`Self::into_error`], for the token endpoint.
    pub(super) fn into_token_error(self, operation: &str, secret: &SecretString) -> PlatformError {
        let code = self.code().filter(|code| !reveals(code, secret.expose_secret()));
        let class = ErrorClass::of_token_answer(self.status, self.has_retry_after);
        self.error(operation, class, code)
    }

    fn error(&self, operation: &str, class: ErrorClass, code: Option<String>) -> PlatformError {
        let error = PlatformError::new(operation, class).with_status(self.status).with_code(code);
        match self.pause {
            Some(length) => error.with_retry_after(length),
            None => error,
        }
    }

    fn code(&self) -> Option<String> {
        match &self.body {
            Body::Complete(body) => error_code(body),
            Body::TooLarge | Body::Broken(_) => None,
        }
    }
}

impl Failure {
    fn of(error: &reqwest::Error) -> Self {
        let never_connected = error.is_connect() || error.is_builder();
        let words = if error.is_builder() {
            "the request could not be built"
        } else if error.is_dns() {
            "the host name could not be resolved"
        } else if let Some(words) = tls_words(error) {
            words
        } else if error.is_timeout() && never_connected {
            "no connection came up within 5 seconds"
        } else if error.is_timeout() {
            "no complete answer came within the time limit"
        } else if io_kind(error) == Some(io::ErrorKind::ConnectionRefused) {
            "the connection was refused"
        } else if never_connected {
            "no connection came up"
        } else {
            "the connection broke before the answer was complete"
        };
        Self { words: Cow::Borrowed(words), never_connected }
    }

    pub(super) fn into_error(self, operation: &str) -> PlatformError {
        PlatformError::new(operation, ErrorClass::Unavailable).with_detail(self.words)
    }
}

async fn read(mut response: reqwest::Response) -> Body {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_LIMIT => return Body::TooLarge,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Body::Complete(body),
            Err(error) => return Body::Broken(Failure::of(&error)),
        }
    }
}

/// Whether a code would give away a secret, or a good part of it. A short code inside a long random token
/// is chance.
fn reveals(code: &str, secret: &str) -> bool {
    (!secret.is_empty() && code.contains(secret)) || (code.len() >= 16 && secret.contains(code))
}

fn http_client(options: &ClientOptions) -> Result<reqwest::ClientBuilder, PlatformError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(unusable("no TLS provider is installed"));
    }
    let encrypted = options.origin.is_encrypted();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .https_only(encrypted)
        .http1_only()
        // Neither from the environment: what decides where credentials go is written in one place.
        .no_proxy();
    let extra_roots = match &options.ca_bundle {
        Some(pem) => certificates(pem)?,
        None => Vec::new(),
    };
    builder = if encrypted || options.proxy.is_some() {
        builder.tls_certs_merge(extra_roots)
    } else {
        // Without TLS there is no need to load the system's roots, nor to fail where there are none.
        builder.tls_certs_only(extra_roots)
    };
    if let Some(url) = &options.proxy {
        let proxy =
            reqwest::Proxy::all(url.clone()).map_err(|_| unusable("the proxy's URL cannot be used"))?;
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, PlatformError> {
    builder.build().map_err(|_| {
        unusable(
            "the certificate authorities cannot be loaded; check the CA bundle and the system's own roots",
        )
    })
}

fn certificates(pem: &str) -> Result<Vec<reqwest::Certificate>, PlatformError> {
    let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
    if certificates.is_empty() {
        return Err(unusable("the CA bundle holds no certificate; give one or more in PEM"));
    }
    Ok(certificates)
}

fn unusable(detail: &'static str) -> PlatformError {
    PlatformError::new("preparing the connection", ErrorClass::InvalidConfiguration).with_detail(detail)
}

/// What a TLS error means, without the names that the other side put into its certificate.
fn tls_words(error: &reqwest::Error) -> Option<&'static str> {
    use rustls::{CertificateError, Error};
    Some(match causes(error).find_map(|cause| cause.downcast_ref::<Error>())? {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate comes from an unknown authority"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another host",
        Error::InvalidCertificate(_) => "the server's certificate is not valid",
        _ => "no TLS connection came up",
    })
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The errors behind an error, outermost first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        // An I/O error names as its source what lies behind the error it wraps, not that error itself.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as _).or_else(|| cause.source());
        Some(cause)
    })
}
