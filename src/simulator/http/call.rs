//! The part of a request that the routes use.

use bytes::Bytes;
use hyper::{
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName},
    http::request::Parts,
};

use crate::simulator::{answer::Answer, operation::Route};

/// The part of a request that the routes use.
pub(crate) struct Call {
    pub route: Route,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    pub authorization: Option<String>,
    pub content_type: Option<String>,
    pub body: Bytes,
}

impl Call {
    /// The call without its body, which is read later.
    pub fn new(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let header = |name: HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Self {
            route: Route::of(&parts.method, parts.uri.path()),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            authorization: header(AUTHORIZATION),
            content_type: header(CONTENT_TYPE),
            body: Bytes::new(),
        }
    }

    /// The value of a query argument; the last one if it is repeated.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a query argument that is `true` or `false`; absent means false.
    pub fn flag(&self, name: &str) -> Result<bool, Answer> {
        match self.argument(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Answer::bad_request(&format!("{name}: {other:?} is neither true nor false"))),
        }
    }

    /// Whether the content type is this media type, with any parameters.
    pub fn has_media_type(&self, wanted: &str) -> bool {
        let given = self.content_type.as_deref().and_then(|value| value.split(';').next());
        given.is_some_and(|given| given.trim().eq_ignore_ascii_case(wanted))
    }
}
