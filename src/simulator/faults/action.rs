//! What a fault does.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::simulator::{answer::Code, state::tenant_change::TenantChange, times::TimeFormat};

/// How the lifetime of a token is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryForm {
    /// `expires_in`, in seconds.
    ExpiresIn,
    /// `expires_on`, in Unix seconds.
    ExpiresOn,
    /// Both of them.
    Both,
    /// Neither of them.
    Neither,
}

fn found() -> u16 {
    302
}
fn one() -> u64 {
    1
}
fn not_json() -> String {
    "upstream connect error or disconnect/reset before headers".to_owned()
}
fn html() -> String {
    "text/html".to_owned()
}
fn business_rules() -> Code {
    Code::Number(1027)
}
fn locked() -> Code {
    Code::Number(1012)
}

/// What a fault does.
///
/// There are five groups. A request may meet any number of pauses, changes, distortions and habits at once. Of the
/// faults that *replace the answer* it meets only the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum FaultAction {
    // In place of the answer.
    /// Any status, body and headers. A content type is sent only if `headers` names one.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The whole body.
        #[serde(default)]
        body: String,
        /// Header lines.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Whether the request is carried out first.
        #[serde(default)]
        after_effect: bool,
    },
    /// An error in the platform's shape, or in the shape of the token endpoint.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code.
        code: Code,
        /// `Retry-After` in seconds, if any.
        retry_after: Option<u64>,
        /// Whether the request is carried out first.
        #[serde(default)]
        after_effect: bool,
    },
    /// An error with `Retry-After` in seconds.
    RetryAfterSeconds {
        /// The HTTP status.
        status: u16,
        /// The pause asked for.
        seconds: u64,
    },
    /// An error with `Retry-After` as an HTTP date.
    RetryAfterDate {
        /// The HTTP status.
        status: u16,
        /// The time from the simulator's present instant to the date.
        seconds: u64,
    },
    /// A redirect.
    Redirect {
        /// The HTTP status.
        #[serde(default = "found")]
        status: u16,
        /// The target.
        location: String,
    },
    /// The connection is closed without an answer and nothing is carried out.
    DropBefore,
    /// The request is carried out and the connection is closed without an answer.
    DropAfterEffect,

    // Pauses.
    /// The request waits.
    Delay {
        /// The length of the wait.
        milliseconds: u64,
        /// Whether it waits with the answer after it was carried out, instead of before.
        #[serde(default)]
        after_effect: bool,
    },
    /// The request waits until the fault is released or cleared.
    Hold {
        /// Whether it waits with the answer after it was carried out, instead of before.
        #[serde(default)]
        after_effect: bool,
    },

    // Changes of the tenant.
    /// The request is carried out. Before its answer leaves, its tenant is changed, as a person in the platform's
    /// console would. A request about several tenants is met only if the fault names one of them.
    Change {
        /// The change of the tenant.
        change: TenantChange,
        /// Only a tenant in this mode is changed.
        #[serde(default)]
        while_in: Option<String>,
    },

    // Distortions: the request is carried out, and the true answer is distorted.
    /// The body is sent a few bytes at a time.
    Drip {
        /// The pause before each piece.
        milliseconds: u64,
        /// The size of a piece.
        #[serde(default = "one")]
        bytes: u64,
    },
    /// The body is not JSON, although the content type says so.
    MalformedJson,
    /// Half of the body, then the connection is closed.
    TruncatedBody,
    /// The right status and no body.
    EmptyBody,
    /// The right status and a line of text.
    PlainText {
        /// The text.
        #[serde(default = "not_json")]
        text: String,
    },
    /// The right body under another content type.
    WrongContentType {
        /// The content type.
        #[serde(default = "html")]
        content_type: String,
    },
    /// The right body with a field of padding in it.
    Oversized {
        /// The size of the padding.
        bytes: u64,
    },
    /// No `Date` header.
    MissingDate,
    /// A `Date` header that is off from the simulator's clock.
    DateOffset {
        /// By how much; negative means late.
        seconds: i64,
    },

    // Habits: what the contract leaves open.
    /// The status that carries error 1001, otherwise 409.
    VersionConflict {
        /// The HTTP status.
        status: u16,
    },
    /// Error codes are texts, otherwise numbers.
    TextErrorCodes,
    /// The answer to production on a tenant in production. 200 means that it counts as a write.
    ProductionAgain {
        /// The HTTP status, otherwise 400.
        status: u16,
        /// The error code, if it is one.
        #[serde(default = "business_rules")]
        code: Code,
    },
    /// The answer to trial on a tenant in production. 200 means that the tenant goes back.
    BackToTrial {
        /// The HTTP status, otherwise 400.
        status: u16,
        /// The error code, if it is one.
        #[serde(default = "business_rules")]
        code: Code,
    },
    /// The answer to a write on a suspended tenant. 200 means that it is accepted.
    SuspendedWrite {
        /// The HTTP status, otherwise 400.
        status: u16,
        /// The error code, if it is one.
        #[serde(default = "business_rules")]
        code: Code,
    },
    /// The answer to a write on a tenant that another has locked. 200 means that the lock does not cover pricing.
    LockedWrite {
        /// The HTTP status, otherwise 403.
        status: u16,
        /// The error code, if it is one.
        #[serde(default = "locked")]
        code: Code,
    },
    /// A write with more fields than the contract allows is accepted, and they are ignored.
    AcceptUnknownFields,
    /// A write with `"currency": null` leaves the currency as it is, otherwise it clears it.
    KeepCurrency,
    /// `production_start_date` is null outside trial.
    NullProductionStart,
    /// How timestamps are written, otherwise without a zone.
    TimeFormat {
        /// The form.
        format: TimeFormat,
    },
    /// How the lifetime of a token is given, otherwise in both forms.
    TokenExpiry {
        /// The form.
        form: ExpiryForm,
    },
    /// How long a new token lives by the simulator's clock, otherwise two hours.
    TokenLifetime {
        /// The lifetime.
        seconds: u32,
    },
    /// A read returns the pricing settings from before their last change.
    StaleRead,
    /// Tenants carry no `pricing_mode`.
    HidePricingMode,
    /// Batches and lists omit the tenant.
    OmitTenant,
    /// Search does not find what was created less than this long ago.
    SearchLag {
        /// The lag by the simulator's clock.
        seconds: u32,
    },
    /// A page returns its own cursor, or the first page leads to itself.
    RepeatedCursor,
    /// A page has at most this number of tenants, whatever the requested limit.
    PageLimit {
        /// Tenants to a page.
        limit: usize,
    },
    /// A change of pricing counts for `updated_since`, otherwise it does not.
    PricingCountsAsUpdate,
}

impl FaultAction {
    /// An error in the platform's shape; nothing is carried out.
    pub fn error(status: u16, code: impl Into<Code>) -> Self {
        Self::Error { status, code: code.into(), retry_after: None, after_effect: false }
    }

    /// An answer with this status and body and no content type; nothing is carried out.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, body: body.into(), headers: BTreeMap::new(), after_effect: false }
    }

    /// A pause before the request is carried out.
    #[must_use]
    pub fn delay(pause: Duration) -> Self {
        Self::Delay { milliseconds: milliseconds(pause), after_effect: false }
    }

    /// A pause after the request was carried out.
    #[must_use]
    pub fn delay_after_effect(pause: Duration) -> Self {
        Self::Delay { milliseconds: milliseconds(pause), after_effect: true }
    }

    /// Holds the request before it is carried out.
    #[must_use]
    pub fn hold() -> Self {
        Self::Hold { after_effect: false }
    }

    /// Holds the answer after the request was carried out.
    #[must_use]
    pub fn hold_after_effect() -> Self {
        Self::Hold { after_effect: true }
    }

    /// Whether it replaces the answer.
    pub(crate) fn replaces_answer(&self) -> bool {
        matches!(
            self,
            Self::Answer { .. }
                | Self::Error { .. }
                | Self::RetryAfterSeconds { .. }
                | Self::RetryAfterDate { .. }
                | Self::Redirect { .. }
                | Self::DropBefore
                | Self::DropAfterEffect
        )
    }

    /// Whether it distorts the true answer.
    pub(crate) fn distorts(&self) -> bool {
        matches!(
            self,
            Self::Drip { .. }
                | Self::MalformedJson
                | Self::TruncatedBody
                | Self::EmptyBody
                | Self::PlainText { .. }
                | Self::WrongContentType { .. }
                | Self::Oversized { .. }
                | Self::MissingDate
                | Self::DateOffset { .. }
        )
    }

    /// Whether it makes the request wait.
    pub(crate) fn pauses(&self) -> bool {
        matches!(self, Self::Delay { .. } | Self::Hold { .. })
    }
}

fn milliseconds(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}
