//! A request to the admin interface, and the reasons for a refusal.

use hyper::{Method, http::request::Parts};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The refusal of a request to this interface, with the HTTP status.
pub(crate) struct Problem(pub u16, pub String);

impl Problem {
    pub fn bad(text: impl Into<String>) -> Self {
        Self(400, text.into())
    }
}

/// A request to this interface.
pub(crate) struct Request<'a> {
    pub method: &'a Method,
    /// The path below `/simulator`.
    pub segments: Vec<&'a str>,
    query: Vec<(String, String)>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn new(parts: &'a Parts, body: &'a [u8]) -> Self {
        let segments = parts.uri.path().split('/').skip(2).filter(|segment| !segment.is_empty()).collect();
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { method: &parts.method, segments, query, body }
    }

    /// The value of a query argument.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Refuses unknown query arguments: most are typing errors.
    pub fn only_arguments(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown = self.query.iter().find(|(key, _)| !known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |(key, _)| {
            Err(Problem::bad(format!("query argument {key:?} is not known; there is {}", known.join(", "))))
        })
    }

    /// The body, parsed as JSON regardless of its content type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut deserializer = serde_json::Deserializer::from_slice(self.body);
        let read = serde_path_to_error::deserialize(&mut deserializer);
        let value = read.map_err(|error| match error.path().to_string().as_str() {
            "." => Problem::bad(format!("the body: {}", error.inner())),
            path => Problem::bad(format!("{path}: {}", error.inner())),
        })?;
        deserializer.end().map_err(|error| Problem::bad(format!("the body: {error}")))?;
        Ok(value)
    }

    /// The body as one thing or a list of them.
    pub fn one_or_many<T: DeserializeOwned>(&self) -> Result<Vec<T>, Problem> {
        if self.body.trim_ascii_start().starts_with(b"[") { self.json() } else { Ok(vec![self.json()?]) }
    }
}

/// The refusal of a path or method that this interface does not have.
pub(crate) fn nothing_here(request: &Request<'_>) -> Problem {
    let path = request.segments.join("/");
    let method = request.method;
    Problem(404, format!("there is no {method} /simulator/{path}; GET /simulator says what there is"))
}

/// Serialises a value for which serialisation cannot fail.
pub(crate) fn value<T: Serialize>(value: &T) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem(500, error.to_string()))
}
