//! Every way in which a call can fail, sorted into classes.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What kind of failure it is. The class alone decides condition, event, log level and retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The platform or the way to it is out of order (5xx, 408, 499, code 1000, network): retry with backoff.
    Unavailable,
    /// Code 1001: the pricing settings changed in between. Read and decide anew.
    VersionMismatch,
    /// Codes 1002, or status 403: the client lacks a right.
    AccessDenied,
    /// Codes 1003 and 1013: a tenant above is disabled.
    ParentDisabled,
    /// Code 1005, or status 404.
    NotFound,
    /// Codes 1011 and 1029: something is being deprovisioned. Wait.
    Deprovisioning,
    /// Code 1012, or status 423: another tenant holds the lock.
    Locked,
    /// The credentials are not accepted: 401 twice, code 1018, or a refusal by the token endpoint.
    Credentials,
    /// Code 1027: against the platform's business rules.
    BusinessRules,
    /// 429, or 503 with `Retry-After`: the platform asked for a pause, which holds for the whole client.
    Throttled,
    /// 3xx. Redirects are never followed.
    Redirected,
    /// Any other 4xx.
    Refused,
    /// The answer made no sense, or was larger than 1 MiB.
    Malformed,
    /// The Secret with the credentials does not exist.
    SecretNotFound,
    /// The Secret with the credentials is not usable.
    SecretInvalid,
    /// The origin is not on the allow-list.
    HostNotAllowed,
    /// The client cannot be built from its options.
    InvalidConfiguration,
}

/// A call that failed.
///
/// Its text is one sentence that stays the same for the same cause: it can be put into a status without
/// making the status change at every look. It holds no byte of an answer's body but the sanitised code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError {
    operation: Cow<'static, str>,
    class: ErrorClass,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    detail: Option<Cow<'static, str>>,
}

impl PlatformError {
    pub(super) fn new(operation: impl Into<Cow<'static, str>>, class: ErrorClass) -> Self {
        Self { operation: operation.into(), class, status: None, code: None, retry_after: None, detail: None }
    }

    /// Adds what is known beyond the class. It must be the program's own words, never the platform's.
    pub(super) fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The HTTP status, where the platform answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The platform's error code: at most 64 ASCII letters, digits, `-`, `_` and `.`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// How long nothing will be sent anyway, where that is known: asking earlier fails the same way.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl std::error::Error for PlatformError {}

impl fmt::Display for PlatformError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed", self.operation)?;
        if let Some(detail) = &self.detail {
            write!(formatter, ": {detail}")?;
        }
        Ok(())
    }
}
