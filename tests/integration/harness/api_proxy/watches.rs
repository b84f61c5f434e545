//! A watch that goes through the proxy: event by event, it can be held up, cut, expired and repeated.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _, channel::mpsc};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use hyper::body::Frame;
use kube::client::Body;

use super::{AnswerBody, Hangup, RequestFault, Shared};

/// How many events can be repeated.
const REMEMBERED: usize = 20;

/// A watch without events expires nevertheless.
const IDLE: Duration = Duration::from_millis(200);

/// The API server's answer for a resource version that it no longer knows.
pub(super) const EXPIRED: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}"#;

/// The annotation of the bookmark that ends a list.
const END_OF_LIST: &[u8] = b"k8s.io/initial-events-end";

/// The body of a watch, with whatever is to happen to it. If it begins with a list, that is no more held up than a
/// list in pages is, and its end is not lost: no API server loses it.
pub(super) fn body(shared: Arc<Shared>, path: String, body: Body, lists: bool) -> AnswerBody {
    let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Hangup>>(1);
    let cut = shared.cut.lock().unwrap().clone();
    tokio::spawn(async move {
        let pass_on = pass_on(&shared, &path, body, sender.clone(), lists);
        if cut.run_until_cancelled(pass_on).await.is_none() {
            // The client may have closed the watch.
            let _ = sender.send(Err(Hangup)).await;
        }
    });
    StreamBody::new(receiver).boxed_unsync()
}

async fn pass_on(
    shared: &Shared,
    path: &str,
    body: Body,
    mut sender: mpsc::Sender<Result<Frame<Bytes>, Hangup>>,
    mut lists: bool,
) {
    let mut frames = BodyStream::new(body);
    let mut frozen = shared.frozen.subscribe();
    let mut rest = BytesMut::new();
    let mut last: VecDeque<Bytes> = VecDeque::new();
    loop {
        let mut lines = Vec::new();
        match tokio::time::timeout(IDLE, frames.next()).await {
            Err(_) => {}
            Ok(None) => return,
            Ok(Some(Err(_))) => {
                let _ = sender.send(Err(Hangup)).await;
                return;
            }
            Ok(Some(Ok(frame))) => {
                rest.extend_from_slice(&frame.into_data().unwrap_or_default());
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    lines.push(rest.split_to(end + 1).freeze());
                }
            }
        }
        if !lists && frozen.wait_for(|frozen| !frozen.holds(path)).await.is_err() {
            return;
        }
        let take = |meets: fn(RequestFault) -> bool| shared.troubles.lock().unwrap().take(meets).is_some();
        lines.retain(|line| {
            let bookmark = line.starts_with(br#"{"type":"BOOKMARK""#);
            let ends_list = bookmark && line.windows(END_OF_LIST.len()).any(|part| part == END_OF_LIST);
            lists &= !ends_list;
            !(bookmark && !ends_list && take(|trouble| matches!(trouble, RequestFault::BookmarkLost)))
        });
        if !last.is_empty() && take(|trouble| matches!(trouble, RequestFault::WatchRepeats)) {
            lines.splice(0..0, last.iter().cloned());
        }
        let expired = take(|trouble| matches!(trouble, RequestFault::WatchExpired));
        if expired {
            lines.push(format!("{{\"type\":\"ERROR\",\"object\":{EXPIRED}}}\n").into());
        }
        for line in lines {
            last.push_back(line.clone());
            if last.len() > REMEMBERED {
                last.pop_front();
            }
            if sender.send(Ok(Frame::data(line))).await.is_err() {
                return;
            }
        }
        if expired || sender.is_closed() {
            return;
        }
    }
}
