//! One HTTP exchange: timeouts, limits, and messages for every failure.

use std::{
    borrow::Cow,
    error::Error as _,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderName, RETRY_AFTER};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    deadline::TooLate,
    resolver::{AddressNotAllowed, CheckedResolver},
    tls,
};
use crate::{
    failpoints::side_effect,
    platform::{
        ClientOptions, ErrorClass, PlatformError, ProxyUrl,
        call::Call,
        error::asks_for_pause,
        flow::{
            gate::RequestGuard,
            shared::{RequestTimer, Shared},
        },
        wire::{
            json::{error_code, is_error, is_object, is_other_text},
            time::{parse_http_date, requested_pause},
        },
    },
};

/// The timeout for a connection to be made, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of a read, from the first byte sent to the last byte of the answer.
pub(in crate::platform) const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout of a PUT: 8 seconds.
pub const PUT_TIMEOUT: Duration = Duration::from_secs(8);

/// The maximum size of an answer body, in bytes.
pub(in crate::platform) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Sends every request of a client.
#[derive(Clone)]
pub(in crate::platform) struct Transport {
    http: Arc<Http>,
    shared: Arc<Shared>,
}

/// A lazily made client of the HTTP library. A connection whose Secret is missing needs none.
struct Http {
    options: Arc<ClientOptions>,
    kind: Kind,
    client: OnceLock<reqwest::Client>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Connections are pooled.
    Reads,
    /// Each request has a connection of its own. On a pooled connection that the other side has closed meanwhile, the
    /// HTTP library would send the request a second time.
    Put,
}

/// An answer with a complete head.
pub(in crate::platform) struct Reply {
    pub(in crate::platform) status: u16,
    pub(in crate::platform) date: Option<Timestamp>,
    /// The class of the failure. `None` for a 2xx that may be the platform's.
    class: Option<ErrorClass>,
    /// Something on the network path answered, not the platform.
    foreign: bool,
    /// The pause that the answer asked for.
    pause: Option<Duration>,
    body: Body,
    ended: RequestTimer,
}

enum Body {
    Complete(Vec<u8>),
    /// Larger than [`MAX_BODY_BYTES`].
    TooLarge,
    /// The rest never arrived, for this reason.
    Broken(&'static str),
}

/// A request without a complete answer.
pub(in crate::platform) struct Failure {
    pub(in crate::platform) error: PlatformError,
    /// Proven: no byte of the request left. It was not admitted, or no connection was made.
    pub(in crate::platform) nothing_left: bool,
}

/// Installs the TLS provider of the whole program. `main` calls it first.
pub fn install_tls_provider() {
    // An error means that one is installed already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Transport {
    /// For reads.
    pub(in crate::platform) fn for_reads(
        options: &Arc<ClientOptions>,
        shared: Arc<Shared>,
    ) -> Result<Self, PlatformError> {
        Self::new(options, Kind::Reads, shared)
    }

    /// For the PUT.
    pub(in crate::platform) fn for_put(
        options: &Arc<ClientOptions>,
        shared: Arc<Shared>,
    ) -> Result<Self, PlatformError> {
        Self::new(options, Kind::Put, shared)
    }

    /// Fails for options with which no request could be sent.
    fn new(options: &Arc<ClientOptions>, kind: Kind, shared: Arc<Shared>) -> Result<Self, PlatformError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(unusable("no TLS provider is installed"));
        }
        if let (Some(pem), Kind::Reads) = (&options.ca_bundle, kind) {
            certificates(pem)?;
        }
        if let Some(proxy) = &options.proxy {
            proxy_of(proxy)?;
        }
        let http = Http { options: Arc::clone(options), kind, client: OnceLock::new() };
        Ok(Self { http: Arc::new(http), shared })
    }

    /// The client of the HTTP library.
    pub(in crate::platform) fn http(&self) -> Result<&reqwest::Client, PlatformError> {
        if let Some(client) = self.http.client.get() {
            return Ok(client);
        }
        // Without a lock: two concurrent callers make two, and one is dropped.
        let made = self.http.make()?;
        Ok(self.http.client.get_or_init(|| made))
    }

    pub(in crate::platform) fn shared_arc(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(in crate::platform) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Sends one request, once, if the gate admits it. The outcome goes to the gate and to the metrics: every request
    /// of the program ends here.
    pub(in crate::platform) async fn send(
        &self,
        call: Call<'_>,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, Failure> {
        let guard = self.shared.gate.enter(call).map_err(|error| Failure { error, nothing_left: true })?;
        let ended = self.shared.begin(call);
        side_effect(call.side_effect(), self.exchange(call, request, guard, ended)).await
    }

    async fn exchange(
        &self,
        call: Call<'_>,
        request: reqwest::RequestBuilder,
        guard: RequestGuard<'_>,
        mut ended: RequestTimer,
    ) -> Result<Reply, Failure> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let failure = Failure::of(call, &error);
                ended.with(Some(failure.error.class()));
                guard.on_failure(call, &failure.error, error.is_connect());
                return Err(failure);
            }
        };
        let header =
            |name: HeaderName| response.headers().get(name).map(|value| value.to_str().unwrap_or(""));
        let status = response.status().as_u16();
        let date = header(DATE).and_then(parse_http_date);
        self.shared.compare_clocks(date);
        let has_retry_after = response.headers().contains_key(RETRY_AFTER);
        let asked = header(RETRY_AFTER).and_then(|text| requested_pause(text, date));
        let mut guard = Some(guard);
        // At once, and not only when the whole body has arrived.
        let pause = guard
            .take_if(|_| asks_for_pause(status, has_retry_after))
            .map(|guard| guard.on_throttled(asked, status));
        let body = if response.status().is_redirection() {
            Body::Complete(Vec::new())
        } else {
            read(response).await
        };
        let foreign = is_foreign(call, status, &body);
        let class = class(call, status, &body, has_retry_after, foreign);
        ended.with(class.or(matches!(body, Body::Broken(_)).then_some(ErrorClass::Unavailable)));
        if let Some(guard) = guard {
            match (&body, class) {
                (_, Some(ErrorClass::Unavailable)) => {
                    let error = answered(call, ErrorClass::Unavailable, status, foreign);
                    guard.on_failure(call, &error, false);
                }
                (Body::Broken(words), None) => {
                    let error = PlatformError::new(call, ErrorClass::Unavailable).with_detail(*words);
                    guard.on_failure(call, &error, false);
                }
                _ => guard.on_success(),
            }
        }
        Ok(Reply { status, date, class, foreign, pause, body, ended })
    }
}

impl Reply {
    /// Whether something on the network path answered. Such an answer says nothing about the tenant, nor about the
    /// outcome of the request.
    pub(in crate::platform) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Parses the body of a 2xx answer, or returns the failure. `secret` authorised the request: it stays out of the
    /// error even if the other side sends it back as a code.
    pub(in crate::platform) fn read<T>(
        mut self,
        call: Call<'_>,
        secret: &SecretString,
        parse: impl FnOnce(Vec<u8>) -> Option<T>,
    ) -> Result<T, PlatformError> {
        if self.class.is_some() {
            return Err(self.into_error(call, secret));
        }
        let malformed = || PlatformError::new(call, ErrorClass::Malformed).with_status(self.status);
        let body = std::mem::replace(&mut self.body, Body::TooLarge);
        let error = match body {
            Body::Complete(body) => match parse(body) {
                Some(value) => return Ok(value),
                None => malformed(),
            },
            Body::TooLarge => malformed().with_detail("but with more than 1 MiB"),
            Body::Broken(words) => PlatformError::new(call, ErrorClass::Unavailable).with_detail(words),
        };
        self.ended.with(Some(error.class()));
        Err(error)
    }

    /// The error that a failed answer stands for.
    pub(in crate::platform) fn into_error(self, call: Call<'_>, secret: &SecretString) -> PlatformError {
        let code = self.body.code().filter(|code| !self.foreign && !reveals(code, secret.expose_secret()));
        let class = self.class.unwrap_or(ErrorClass::Malformed);
        let error = answered(call, class, self.status, self.foreign).with_code(code);
        match self.pause {
            Some(length) => error.with_retry_after(length),
            None => error,
        }
    }
}

impl Failure {
    fn of(call: Call<'_>, error: &reqwest::Error) -> Self {
        let nothing_left = error.is_connect() || error.is_builder();
        let refused = causes(error).find_map(|cause| cause.downcast_ref::<AddressNotAllowed>());
        let error = match refused {
            Some(refused) => {
                PlatformError::new(call, ErrorClass::HostNotAllowed).with_detail(refused.to_string())
            }
            None => PlatformError::new(call, ErrorClass::Unavailable).with_detail(words(error)),
        };
        Self { error, nothing_left }
    }
}

/// The failure in the program's own words. The words of a library may quote the other side.
fn words(error: &reqwest::Error) -> &'static str {
    if error.is_builder() {
        "the request could not be built"
    } else if error.is_dns() {
        "the host name could not be resolved"
    } else if let Some(words) = tls_words(error) {
        words
    } else if causes(error).any(<dyn std::error::Error>::is::<TooLate>) {
        "the process was paused, and then it was too late to send the request"
    } else if error.is_timeout() && error.is_connect() {
        "no connection was established within 5 seconds"
    } else if error.is_timeout() {
        "no complete answer came within the time limit"
    } else if io_kind(error) == Some(io::ErrorKind::ConnectionRefused) {
        "the connection was refused"
    } else if error.is_connect() {
        "no connection was established"
    } else {
        "the connection broke before the answer was complete"
    }
}

/// The class of a failed answer. `None` for a 2xx that may be the platform's.
fn class(
    call: Call<'_>,
    status: u16,
    body: &Body,
    has_retry_after: bool,
    foreign: bool,
) -> Option<ErrorClass> {
    match call {
        _ if asks_for_pause(status, has_retry_after) => Some(ErrorClass::Throttled),
        _ if foreign => Some(ErrorClass::Unavailable),
        _ if (200..300).contains(&status) => None,
        // The platform does not redirect. For a write the redirect proves that nothing was carried out.
        _ if (300..400).contains(&status) && !call.is_write() => Some(ErrorClass::Unavailable),
        Call::Token => Some(ErrorClass::of_token_answer(status, has_retry_after)),
        _ => Some(ErrorClass::of_answer(status, body.code().as_deref(), has_retry_after)),
    }
}

/// Whether something on the network path answered, such as a proxy, a firewall or a login page.
///
/// The platform answers with a JSON object, and its refusals hold an `error`. Gateways omit or change the body of a 2xx
/// to a write, so there only text that is not JSON is foreign.
fn is_foreign(call: Call<'_>, status: u16, body: &Body) -> bool {
    match status {
        // Sending an accepted request again is worse than counting one as accepted by mistake.
        200..=299 if call.is_write() => matches!(body, Body::Complete(body) if is_other_text(body)),
        200..=299 => matches!(body, Body::Complete(body) if !is_object(body)),
        // Timeouts say nothing about the request.
        408 | 499 => false,
        // The platform leaves unknown tenants out of a list.
        404 if call.is_list() => true,
        400..=499 => match body {
            Body::Complete(body) => !is_error(body, matches!(call, Call::Token)),
            Body::TooLarge | Body::Broken(_) => true,
        },
        _ => false,
    }
}

/// The error that an answer with this status stands for.
fn answered(call: Call<'_>, class: ErrorClass, status: u16, foreign: bool) -> PlatformError {
    let error = PlatformError::new(call, class).with_status(status);
    match (foreign, status) {
        (true, _) if class == ErrorClass::Unavailable => error.sent_by_network_path(),
        (_, 300..=399) => error.with_detail("redirects are not followed"),
        _ => error,
    }
}

impl Body {
    /// The platform's error code.
    fn code(&self) -> Option<String> {
        match self {
            Self::Complete(body) => error_code(body),
            Self::TooLarge | Self::Broken(_) => None,
        }
    }
}

async fn read(mut response: reqwest::Response) -> Body {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(announced.min(MAX_BODY_BYTES));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY_BYTES => return Body::TooLarge,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Body::Complete(body),
            Err(error) => return Body::Broken(words(&error)),
        }
    }
}

/// Whether a code would reveal a secret, or a good part of it. A short code inside a long random token is chance.
fn reveals(code: &str, secret: &str) -> bool {
    (!secret.is_empty() && code.contains(secret)) || (code.len() >= 16 && secret.contains(code))
}

impl Http {
    fn make(&self) -> Result<reqwest::Client, PlatformError> {
        let builder = http_client(&self.options)?;
        let builder = match self.kind {
            Kind::Reads => builder.timeout(READ_TIMEOUT),
            Kind::Put => builder.timeout(PUT_TIMEOUT).pool_max_idle_per_host(0),
        };
        builder.build().map_err(|_| no_authorities())
    }
}

fn http_client(options: &ClientOptions) -> Result<reqwest::ClientBuilder, PlatformError> {
    let encrypted = options.origin.is_encrypted();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .https_only(encrypted)
        .http1_only()
        // The environment must not redirect the credentials either.
        .no_proxy();
    builder = if encrypted || options.proxy.is_some() {
        let bundle = options.ca_bundle.as_deref().map(certificates).transpose()?;
        builder.tls_backend_preconfigured(tls::config(bundle).map_err(|_| no_authorities())?)
    } else {
        // Without TLS the system's roots are not needed, and may be missing.
        builder.tls_certs_only([])
    };
    if let Some(proxy) = &options.proxy {
        return Ok(builder.proxy(proxy_of(proxy)?));
    }
    let (lookup, origin) = (options.resolver.clone(), options.origin.clone());
    Ok(builder.dns_resolver(CheckedResolver::new(lookup, origin, &options.allowed_hosts)))
}

fn proxy_of(url: &ProxyUrl) -> Result<reqwest::Proxy, PlatformError> {
    reqwest::Proxy::all(url.expose()).map_err(|_| unusable("the proxy's URL cannot be used"))
}

fn no_authorities() -> PlatformError {
    unusable("the certificate authorities cannot be loaded; check spec.caBundle and the system's own roots")
}

/// Reads the bundle. The error names the place of a certificate that cannot be read. A bundle that is used in part
/// would fail elsewhere, and later.
pub(in crate::platform) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PlatformError> {
    let mut certificates = Vec::new();
    for (index, read) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let usable = |der: &CertificateDer<'_>| RootCertStore::empty().add(der.clone().into_owned()).is_ok();
        certificates.push(read.ok().filter(usable).ok_or_else(|| {
            unusable(format!(
                "certificate {} of spec.caBundle cannot be read; it must be PEM text, each certificate whole, \
                 from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
                index + 1
            ))
        })?);
    }
    if certificates.is_empty() {
        return Err(unusable(
            "spec.caBundle holds no certificate; it must be PEM text with one or more of them, from \
             -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
        ));
    }
    Ok(certificates)
}

fn unusable(detail: impl Into<Cow<'static, str>>) -> PlatformError {
    PlatformError::new("preparing the connection", ErrorClass::InvalidConfiguration).with_detail(detail)
}

/// The meaning of a TLS error, without the names in the other side's certificate.
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
        _ => "no TLS connection was established",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::tests::options;

    /// There may be hundreds of connections whose Secret is missing. None of them sends a request.
    #[test]
    fn the_client_of_the_library_is_made_at_the_first_request() {
        let options = Arc::new(options("https://127.0.0.1"));
        let transport = Transport::for_reads(&options, Arc::new(Shared::new(&options))).unwrap();
        assert!(transport.http.client.get().is_none());
        assert!(transport.http().is_ok() && transport.http.client.get().is_some());
    }
}
