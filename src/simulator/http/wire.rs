//! Turns an answer into bytes on the wire, with the distortions of faults.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue},
};
use jiff::{SignedDuration, Timestamp};

use crate::simulator::{answer::Answer, faults::action::FaultAction, http::ending::Ending, times::http_date};

/// The body of an answer on the wire.
pub(crate) type WireBody = UnsyncBoxBody<Bytes, CutOff>;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(crate) struct Hangup;

/// The reply to the connection.
pub(crate) type Reply = Result<Response<WireBody>, Hangup>;

/// The connection is closed in the middle of the body.
#[derive(Debug, thiserror::Error)]
#[error("the body is cut off here")]
pub(crate) struct CutOff;

/// One piece of padding.
const PADDING: &[u8] = &[b'x'; 64 * 1024];

/// A response with a whole body and without the simulator's `Date`.
pub(crate) fn plain(answer: &Answer) -> Response<WireBody> {
    let bytes = Bytes::from(answer.body.clone().into_bytes());
    let mut response = Response::new(whole(bytes));
    head(&mut response, answer.status, answer.content_type.as_deref(), &answer.headers);
    response
}

/// The response of the platform, with its `Date` and with all distortions.
pub(crate) fn response(
    answer: Answer,
    distortions: &[FaultAction],
    now: Timestamp,
    ending: Ending,
) -> Response<WireBody> {
    let Answer { status, headers, mut content_type, body } = answer;
    let mut bytes = body.into_bytes();
    let mut date = Some(now);
    let mut drip = None;
    let mut padding = None;
    let mut truncated = false;
    for distortion in distortions {
        match distortion {
            FaultAction::Drip { milliseconds, bytes } => drip = Some((*milliseconds, *bytes)),
            FaultAction::MalformedJson => bytes = malformed(&bytes),
            FaultAction::TruncatedBody => truncated = true,
            FaultAction::EmptyBody => bytes.clear(),
            FaultAction::PlainText { text } => {
                bytes = text.clone().into_bytes();
                content_type = Some("text/plain".to_owned());
            }
            FaultAction::WrongContentType { content_type: other } => content_type = Some(other.clone()),
            FaultAction::Oversized { bytes } => padding = Some(*bytes),
            FaultAction::MissingDate => date = None,
            FaultAction::DateOffset { seconds } => {
                date = date.map(|at| at.saturating_add(SignedDuration::from_secs(*seconds)).unwrap_or(at));
            }
            _ => {}
        }
    }
    let bytes = Bytes::from(bytes);
    let length = bytes.len();
    let body = if truncated {
        cut_off(bytes.slice(..length / 2))
    } else if let Some(padding) = padding {
        padded(&bytes, padding)
    } else if let Some((milliseconds, piece)) = drip {
        let piece = usize::try_from(piece).unwrap_or(usize::MAX).max(1);
        dripping(bytes, Duration::from_millis(milliseconds), piece, ending)
    } else {
        whole(bytes)
    };
    let mut response = Response::new(body);
    head(&mut response, status, content_type.as_deref(), &headers);
    if truncated {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(date) = date
        && let Ok(value) = HeaderValue::try_from(http_date(date))
    {
        response.headers_mut().entry(DATE).or_insert(value);
    }
    response
}

/// Fills in status and headers. Invalid ones were refused when the fault was injected.
fn head(
    response: &mut Response<WireBody>,
    status: u16,
    content_type: Option<&str>,
    headers: &[(String, String)],
) {
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = content_type.and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// The body with a comma and an opening quote in place of its last byte. No JSON parser accepts that.
fn malformed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.pop();
    bytes.extend_from_slice(b",\"");
    bytes
}

fn never(never: Infallible) -> CutOff {
    match never {}
}

fn whole(bytes: Bytes) -> WireBody {
    Full::new(bytes).map_err(never).boxed_unsync()
}

fn cut_off(first: Bytes) -> WireBody {
    let pieces = stream::unfold(Some(first), |first| async move {
        if let Some(first) = first {
            return Some((Ok(Frame::data(first)), None));
        }
        // Yields so that the first half leaves. An error at once would discard it.
        tokio::task::yield_now().await;
        Some((Err(CutOff), None))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn dripping(bytes: Bytes, pause: Duration, piece: usize, ending: Ending) -> WireBody {
    let pieces = stream::unfold((bytes, ending), move |(mut rest, ending)| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let first = rest.split_to(piece.min(rest.len()));
        Some((Ok(Frame::data(first)), (rest, ending)))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// The JSON object with a field `padding` in front. It is made while it is sent, so its size costs no memory.
fn padded(bytes: &Bytes, padding: u64) -> WireBody {
    let rest = bytes.strip_prefix(b"{").map(|_| bytes.slice(1..)).unwrap_or_default();
    let open = Bytes::from_static(b"{\"padding\":\"");
    let close = Bytes::from_static(if rest.is_empty() { b"\"}" } else { b"\"," });
    let pieces = stream::unfold(padding, |left| async move {
        let next = left.min(PADDING.len() as u64);
        let piece = &PADDING[..usize::try_from(next).unwrap_or(PADDING.len())];
        (next > 0).then(|| (Bytes::from_static(piece), left - next))
    });
    let ends = stream::iter([open]);
    let all = futures::StreamExt::chain(
        futures::StreamExt::chain(ends, pieces),
        stream::iter([close, rest].into_iter().filter(|piece| !piece.is_empty())),
    );
    StreamBody::new(futures::StreamExt::map(all, |piece| Ok(Frame::data(piece)))).boxed_unsync()
}
