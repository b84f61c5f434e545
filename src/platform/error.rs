//! Every failure of a call, sorted into classes.

use std::{borrow::Cow, fmt, time::Duration};

/// What kind of failure it is. The class alone decides condition, event, log level and retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The platform or the network path is out of order: 5xx, 408, 499, code 1000, network errors, 3xx to a read. An
    /// answer that does not come from the platform counts, too. Retry with backoff.
    Unavailable,
    /// Code 1001: the pricing settings changed in between. Read and decide again.
    VersionMismatch,
    /// Code 1002, or the platform's status 403: the client lacks a right.
    AccessDenied,
    /// Codes 1003 and 1013: a tenant above is disabled.
    ParentDisabled,
    /// Code 1005, or the platform's status 404.
    NotFound,
    /// Codes 1011 and 1029: something is being deprovisioned. Wait.
    Deprovisioning,
    /// Code 1012, or the platform's status 423: another tenant holds the lock.
    Locked,
    /// The credentials are not accepted: 401 twice, code 1018, or a refusal by the token endpoint.
    Credentials,
    /// Code 1027: against the platform's business rules.
    BusinessRules,
    /// 429, or 503 with `Retry-After`: the platform asked for a pause, which holds for the whole client.
    Throttled,
    /// 3xx to a write. Redirects are never followed.
    Redirected,
    /// Any other 4xx of the platform.
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

impl ErrorClass {
    /// All of them, so that no test and no counter overlooks one.
    pub(crate) const ALL: [Self; 17] = [
        Self::Unavailable,
        Self::VersionMismatch,
        Self::AccessDenied,
        Self::ParentDisabled,
        Self::NotFound,
        Self::Deprovisioning,
        Self::Locked,
        Self::Credentials,
        Self::BusinessRules,
        Self::Throttled,
        Self::Redirected,
        Self::Refused,
        Self::Malformed,
        Self::SecretNotFound,
        Self::SecretInvalid,
        Self::HostNotAllowed,
        Self::InvalidConfiguration,
    ];
}

impl ErrorClass {
    /// The class as a word for the label of a metric.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::VersionMismatch => "version_mismatch",
            Self::AccessDenied => "access_denied",
            Self::ParentDisabled => "parent_disabled",
            Self::NotFound => "not_found",
            Self::Deprovisioning => "deprovisioning",
            Self::Locked => "locked",
            Self::Credentials => "credentials",
            Self::BusinessRules => "business_rules",
            Self::Throttled => "throttled",
            Self::Redirected => "redirected",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::SecretNotFound => "secret_not_found",
            Self::SecretInvalid => "secret_invalid",
            Self::HostNotAllowed => "host_not_allowed",
            Self::InvalidConfiguration => "invalid_configuration",
        }
    }

    /// Whether it says something of the connection as a whole rather than of one tenant.
    #[must_use]
    pub fn concerns_connection(self) -> bool {
        match self {
            Self::Unavailable
            | Self::Malformed
            | Self::Throttled
            | Self::Credentials
            | Self::SecretNotFound
            | Self::SecretInvalid
            | Self::HostNotAllowed
            | Self::InvalidConfiguration => true,
            Self::VersionMismatch
            | Self::AccessDenied
            | Self::ParentDisabled
            | Self::NotFound
            | Self::Deprovisioning
            | Self::Locked
            | Self::BusinessRules
            | Self::Redirected
            | Self::Refused => false,
        }
    }
}

/// A call that failed.
///
/// Its text is one sentence, and the same for the same cause. So a status that holds it does not change at every read.
/// It contains no byte of an answer's body except the sanitised code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError {
    operation: String,
    class: ErrorClass,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    detail: Option<Cow<'static, str>>,
    /// The answer is not the platform's.
    foreign: bool,
    /// The cause lasts until a person changes something on the platform.
    lasting: bool,
}

impl ErrorClass {
    /// The class of an answer that is neither 1xx nor 2xx: by the code first, then by the status.
    ///
    /// A request to pause comes before both, because it concerns the whole client and not the call.
    pub(super) fn of_answer(status: u16, code: Option<&str>, has_retry_after: bool) -> Self {
        if asks_for_pause(status, has_retry_after) {
            return Self::Throttled;
        }
        Self::of_code(code).unwrap_or_else(|| Self::of_status(status))
    }

    /// The class of the token endpoint's answer. Its codes are an open set of words: a refusal concerns the
    /// credentials, whatever the word. Any other answer is not the platform's. It says nothing about a tenant, and the
    /// URL may belong to another service.
    pub(super) fn of_token_answer(status: u16, has_retry_after: bool) -> Self {
        match status {
            400 | 401 | 403 => Self::Credentials,
            _ => match Self::of_answer(status, None, has_retry_after) {
                class if class.concerns_connection() => class,
                _ => Self::Malformed,
            },
        }
    }

    fn of_code(code: Option<&str>) -> Option<Self> {
        Some(match code? {
            "1000" => Self::Unavailable,
            "1001" => Self::VersionMismatch,
            "1002" => Self::AccessDenied,
            "1003" | "1013" => Self::ParentDisabled,
            "1005" => Self::NotFound,
            "1011" | "1029" => Self::Deprovisioning,
            "1012" => Self::Locked,
            "1018" => Self::Credentials,
            "1027" => Self::BusinessRules,
            _ => return None,
        })
    }

    fn of_status(status: u16) -> Self {
        match status {
            300..=399 => Self::Redirected,
            401 => Self::Credentials,
            403 => Self::AccessDenied,
            404 => Self::NotFound,
            423 => Self::Locked,
            // Timeouts on the platform's side: nothing was decided about the request.
            408 | 499 | 500..=599 => Self::Unavailable,
            400..=499 => Self::Refused,
            _ => Self::Malformed,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Unavailable => "the platform is unavailable",
            Self::VersionMismatch => "the pricing settings changed meanwhile",
            Self::AccessDenied => "the API client lacks a permission",
            Self::ParentDisabled => "a tenant above is disabled",
            Self::NotFound => "it does not exist, or this client cannot see it",
            Self::Deprovisioning => "services of the tenant are being deprovisioned",
            Self::Locked => "another tenant holds the lock",
            Self::Credentials => "the credentials are not accepted",
            Self::BusinessRules => "the request violates the platform's business rules",
            Self::Throttled => "the platform asked for a pause",
            Self::Redirected => "redirects are not followed",
            Self::Refused => "the platform refused it",
            Self::Malformed => "the answer is invalid",
            Self::SecretNotFound => "the Secret does not exist",
            Self::SecretInvalid => "the Secret is not usable",
            Self::HostNotAllowed => "the host is not allowed",
            Self::InvalidConfiguration => "the configuration is not usable",
        }
    }
}

/// Whether an answer asks the whole client to pause. A 503 does so only if it says for how long.
pub(super) fn asks_for_pause(status: u16, has_retry_after: bool) -> bool {
    status == 429 || (status == 503 && has_retry_after)
}

impl PlatformError {
    /// A failure of this class, for tests.
    #[cfg(test)]
    #[must_use]
    pub fn of_class(class: ErrorClass) -> Self {
        Self::new("calling the platform", class)
    }

    pub(super) fn new(operation: impl fmt::Display, class: ErrorClass) -> Self {
        Self {
            operation: operation.to_string(),
            class,
            status: None,
            code: None,
            retry_after: None,
            detail: None,
            foreign: false,
            lasting: false,
        }
    }

    /// A failure for tests. The program itself only has failures of calls.
    #[cfg(test)]
    pub(crate) fn for_test(class: ErrorClass, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::new("reading the tenant", class) }
    }

    /// Adds what is known beyond the class. It must be the program's own words, never the platform's.
    pub(super) fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same failure, reported for another operation.
    pub(super) fn renamed(self, operation: impl fmt::Display) -> Self {
        Self { operation: operation.to_string(), ..self }
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Marks the answer as given by something on the network path.
    pub(super) fn sent_by_network_path(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Marks the cause as lasting until a person changes something on the platform.
    pub(crate) fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    pub(super) fn with_code(mut self, code: Option<String>) -> Self {
        self.code = code;
        self
    }

    pub(super) fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// No pre-write read was complete within its limits, however often it was repeated.
    #[must_use]
    pub fn prewrite_read_too_slow(holds: Duration, lasts: Duration) -> Self {
        let (holds, lasts) = (holds.as_secs(), lasts.as_secs());
        Self::new("reading the tenant right before the switch", ErrorClass::Unavailable).with_detail(format!(
            "its two answers came more than {holds} s apart, or later than {lasts} s after the question"
        ))
    }

    /// The name search was cancelled: the connection was edited or deleted, or this process lost leadership.
    #[must_use]
    pub fn name_search_cancelled() -> Self {
        Self::new("looking up a tenant by name", ErrorClass::Unavailable)
            .with_detail("the connection was edited or deleted meanwhile, or another replica leads")
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Whether the cause lasts until a person changes something on the platform, so that an early retry is useless.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.lasting
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

    /// How long nothing will be sent, where that is known. An earlier retry fails the same way.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl std::error::Error for PlatformError {}

impl fmt::Display for PlatformError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed: ", self.operation)?;
        if let (true, Some(status)) = (self.foreign, self.status) {
            return write!(
                formatter,
                "the answer {status} does not come from the platform; something on the network path sent it, such as \
                 a proxy"
            );
        }
        if let Some(status) = self.status {
            write!(formatter, "the platform answered {status}")?;
            if let Some(code) = &self.code {
                write!(formatter, " with code {code}")?;
            }
            formatter.write_str(", ")?;
        }
        formatter.write_str(self.detail.as_deref().unwrap_or_else(|| self.class.meaning()))
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorClass as Class, *};

    #[test]
    fn every_class_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = Class::ALL.iter().map(|class| class.word()).collect();
        assert_eq!(words.len(), Class::ALL.len());
        let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(words.iter().all(plain), "{words:?}");
    }

    #[test]
    fn the_code_comes_before_the_status() {
        for (code, class) in [
            ("1000", Class::Unavailable),
            ("1001", Class::VersionMismatch),
            ("1002", Class::AccessDenied),
            ("1003", Class::ParentDisabled),
            ("1005", Class::NotFound),
            ("1011", Class::Deprovisioning),
            ("1012", Class::Locked),
            ("1013", Class::ParentDisabled),
            ("1018", Class::Credentials),
            ("1027", Class::BusinessRules),
            ("1029", Class::Deprovisioning),
        ] {
            for status in [400, 403, 404, 409, 500] {
                assert_eq!(Class::of_answer(status, Some(code), false), class, "{status} {code}");
            }
        }
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        for (status, class) in [
            (300, Class::Redirected),
            (304, Class::Redirected),
            (307, Class::Redirected),
            (400, Class::Refused),
            (401, Class::Credentials),
            (402, Class::Refused),
            (403, Class::AccessDenied),
            (404, Class::NotFound),
            (408, Class::Unavailable),
            (409, Class::Refused),
            (415, Class::Refused),
            (423, Class::Locked),
            (429, Class::Throttled),
            (499, Class::Unavailable),
            (500, Class::Unavailable),
            (502, Class::Unavailable),
            (503, Class::Unavailable),
            (504, Class::Unavailable),
            (599, Class::Unavailable),
            (600, Class::Malformed),
            (999, Class::Malformed),
        ] {
            for code in [None, Some("1004"), Some("12345"), Some("AccessDenied"), Some("01001")] {
                assert_eq!(Class::of_answer(status, code, false), class, "{status} {code:?}");
            }
        }
    }

    #[test]
    fn a_request_to_pause_comes_before_any_code() {
        assert_eq!(Class::of_answer(429, Some("1001"), false), Class::Throttled);
        assert_eq!(Class::of_answer(503, Some("1000"), true), Class::Throttled);
        assert_eq!(Class::of_answer(403, Some("1002"), true), Class::AccessDenied);
        assert_eq!(Class::of_answer(500, None, true), Class::Unavailable);
    }

    #[test]
    fn a_refused_token_concerns_the_credentials() {
        for status in [400, 401, 403] {
            assert_eq!(Class::of_token_answer(status, false), Class::Credentials);
        }
        for status in [301, 307, 404, 405, 418, 423] {
            assert_eq!(Class::of_token_answer(status, false), Class::Malformed, "{status}");
        }
        assert_eq!(Class::of_token_answer(429, true), Class::Throttled);
        assert_eq!(Class::of_token_answer(500, false), Class::Unavailable);
    }

    #[test]
    fn the_text_names_operation_status_and_code() {
        let error = PlatformError::new("reading tenant 7", Class::AccessDenied)
            .with_status(403)
            .with_code(Some("1002".to_owned()));
        assert_eq!(
            error.to_string(),
            "reading tenant 7 failed: the platform answered 403 with code 1002, the API client lacks a permission"
        );
        let error =
            PlatformError::new("reading tenant 7", Class::Unavailable).with_detail("connection refused");
        assert_eq!(error.to_string(), "reading tenant 7 failed: connection refused");
    }

    #[test]
    fn the_text_does_not_change_while_a_pause_runs_down() {
        let error = PlatformError::new("reading tenant 7", Class::Throttled).with_status(429);
        let later = error.clone().with_retry_after(Duration::from_secs(3));
        assert_eq!(error.to_string(), later.to_string());
    }
}
