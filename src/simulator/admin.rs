//! The simulator's own interface below `/simulator`, for people with curl.

use hyper::http::request::Parts;

use super::answer::Answer;
use super::core::Core;

/// Whether the path belongs to the simulator's own interface.
pub(super) fn owns(path: &str) -> bool {
    path == "/simulator" || path.starts_with("/simulator/")
}

pub(super) fn answer(_core: &Core, _parts: &Parts, _body: &[u8]) -> Answer {
    Answer::bad_request("")
}
