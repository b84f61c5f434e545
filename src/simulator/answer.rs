//! An answer of the platform: status, headers and body, and the shape of its errors.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An answer before faults distort it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub body: Body,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Json(Value),
    Text(String),
    Empty,
}

impl Body {
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            // It cannot fail, because a `Value` has only string keys.
            Self::Json(value) => serde_json::to_vec(&value).unwrap_or_default(),
            Self::Text(text) => text.into_bytes(),
            Self::Empty => Vec::new(),
        }
    }
}

/// An error code of the platform, which is a number or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Code {
    /// A number, as in most answers.
    Number(i64),
    /// A text.
    Text(String),
}

impl From<i64> for Code {
    fn from(code: i64) -> Self {
        Self::Number(code)
    }
}

impl From<&str> for Code {
    fn from(code: &str) -> Self {
        Self::Text(code.to_owned())
    }
}

impl Code {
    /// The code as a text.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Number(code) => code.to_string(),
            Self::Text(code) => code.clone(),
        }
    }

    /// The code as the fault `TextErrorCodes` gives it.
    pub(crate) fn into_text(self) -> Self {
        Self::Text(self.to_text())
    }
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: Some("application/json".to_owned()),
            body: Body::Json(body),
        }
    }

    /// An answer with any body, and with the content type that `headers` may name.
    pub fn text(status: u16, body: String, headers: std::collections::BTreeMap<String, String>) -> Self {
        let body = if body.is_empty() { Body::Empty } else { Body::Text(body) };
        Self { status, headers: headers.into_iter().collect(), content_type: None, body }
    }

    /// A success.
    pub fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// A refusal in the shape of the account API. `info` says what is wrong with this request.
    pub fn error(status: u16, code: &Code, info: &str) -> Self {
        let message = match code {
            Code::Number(code) => message(*code),
            Code::Text(_) => "Request refused",
        };
        let error = json!({
            "code": code,
            "domain": "PlatformAccountServer",
            "message": message,
            "details": {"info": info},
            "context": {},
        });
        Self::json(status, json!({ "error": error }))
    }

    /// A refusal in the shape of the token endpoint.
    pub fn token_error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, json!({"error": error, "error_description": description}))
    }

    /// A request that breaks the contract.
    pub fn bad_request(info: &str) -> Self {
        Self::error(400, &Code::Number(400), info)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

fn message(code: i64) -> &'static str {
    match code {
        1000 => "Internal server error",
        1001 => "Version mismatch",
        1002 => "Access denied",
        1003 => "Parent tenant is disabled",
        1005 => "Tenant not found",
        1011 => "Deprovisioning is in progress",
        1012 => "Tenant is locked",
        1013 => "Parent tenants are disabled",
        1018 => "User is disabled",
        1027 => "The change is against the business rules",
        1029 => "Tenant is being deprovisioned",
        other => u16::try_from(other)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Request refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_every_field_the_contract_requires() {
        let Body::Json(body) = Answer::error(409, &1001.into(), "stale").body else { panic!("no JSON") };
        let error = &body["error"];
        assert_eq!(error["code"], json!(1001));
        assert_eq!(error["message"], json!("Version mismatch"));
        assert_eq!(error["details"]["info"], json!("stale"));
        assert!(error["domain"].is_string());
    }

    #[test]
    fn a_code_is_read_as_number_or_text() {
        assert_eq!(serde_json::from_str::<Code>("1001").unwrap(), Code::Number(1001));
        assert_eq!(serde_json::from_str::<Code>("\"x\"").unwrap(), Code::Text("x".to_owned()));
    }
}
