//! The deadline of the PUT, checked before each of its steps.
//!
//! A paused process resumes where it stood, which may be just before the first byte leaves. A timer fires only after
//! that. So each step checks the time first, by the monotonic clock and by the wall clock.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::clock::{Clock, Elapsed, Moment, longer};

/// An instant after which no step may start.
#[derive(Debug)]
pub(in crate::platform) struct Deadline {
    begun: Moment,
    limit: Duration,
    clock: Clock,
}

/// The deadline of a request was over before its body was written.
#[derive(Debug, thiserror::Error)]
#[error("it was too late to send the request")]
pub(in crate::platform) struct TooLate;

/// A body that refuses to be written after the deadline.
struct Guarded {
    text: Option<Bytes>,
    deadline: Deadline,
}

impl Deadline {
    /// The deadline this long after a moment.
    pub(in crate::platform) fn after(begun: Moment, limit: Duration, clock: &Clock) -> Self {
        Self { begun, limit, clock: clock.clone() }
    }

    fn is_over(&self) -> bool {
        let Elapsed { monotonic, wall } = self.begun.elapsed(&self.clock);
        longer(monotonic, wall) >= self.limit
    }

    /// Drives a request until the deadline. `None` when the deadline is over.
    pub(in crate::platform) async fn keep<T>(self, request: impl Future<Output = T>) -> Option<T> {
        let mut request = std::pin::pin!(request);
        poll_fn(
            |context| {
                if self.is_over() { Poll::Ready(None) } else { request.as_mut().poll(context).map(Some) }
            },
        )
        .await
    }

    /// A body that refuses to be written after the deadline. The HTTP library drives the connection in a task of its
    /// own, outside [`Self::keep`]. That task asks for the body after it has prepared the head, and before it writes a
    /// byte.
    pub(in crate::platform) fn body(self, text: String) -> reqwest::Body {
        reqwest::Body::wrap(Guarded { text: Some(text.into()), deadline: self })
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        if self.deadline.is_over() {
            return Poll::Ready(Some(Err(TooLate)));
        }
        Poll::Ready(self.text.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.as_ref().map_or(0, |text| text.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::Notify,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);

    fn from_now(limit: Duration) -> Deadline {
        let clock = Clock::system();
        Deadline::after(clock.moment(), limit, &clock)
    }

    /// A request that counts its steps, and waits between the two.
    async fn in_two_steps(steps: &AtomicU32, go_on: &Notify) {
        steps.fetch_add(1, Ordering::Relaxed);
        go_on.notified().await;
        steps.fetch_add(1, Ordering::Relaxed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_request_does_not_resume_after_the_deadline() {
        let (steps, go_on) = (AtomicU32::new(0), Notify::new());
        let request = in_two_steps(&steps, &go_on);
        let pause = async {
            // Both at once, as for a process that is stopped and goes on: the time is over, and the connection is up.
            tokio::time::advance(LIMIT).await;
            go_on.notify_one();
        };
        let clock = Clock::system();
        let (outcome, ()) = tokio::join!(Deadline::after(clock.moment(), LIMIT, &clock).keep(request), pause);
        assert_eq!(outcome, None);
        assert_eq!(steps.load(Ordering::Relaxed), 1, "it went on");
    }

    #[cfg(feature = "test-support")] // with a clock that can be moved
    #[tokio::test(start_paused = true)]
    async fn a_suspended_machine_does_not_resume_a_late_request() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offset");
        let clock = Clock::from_file(file.clone());
        let (steps, go_on) = (AtomicU32::new(0), Notify::new());
        let request = in_two_steps(&steps, &go_on);
        let sleep = async {
            // The monotonic clock stood still meanwhile.
            std::fs::write(&file, "60").unwrap();
            go_on.notify_one();
        };
        let (outcome, ()) = tokio::join!(Deadline::after(clock.moment(), LIMIT, &clock).keep(request), sleep);
        assert_eq!(outcome, None);
        assert_eq!(steps.load(Ordering::Relaxed), 1, "it went on");
        let back = async {
            std::fs::write(&file, "-60").unwrap();
            tokio::time::sleep(LIMIT / 2).await;
            7
        };
        assert_eq!(
            Deadline::after(clock.moment(), LIMIT, &clock).keep(back).await,
            Some(7),
            "set back, it says nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_from_the_moment_it_is_given() {
        let clock = Clock::system();
        let asked = clock.moment();
        // The process was paused between the question and the request.
        tokio::time::advance(LIMIT).await;
        assert_eq!(Deadline::after(asked, LIMIT, &clock).keep(async { 7 }).await, None);
        assert_eq!(Deadline::after(clock.moment(), LIMIT, &clock).keep(async { 7 }).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_time_completes() {
        let request = async {
            tokio::time::sleep(LIMIT / 2).await;
            7
        };
        assert_eq!(from_now(LIMIT).keep(request).await, Some(7));
    }

    /// The bytes that a server receives of a request with this deadline.
    async fn heard(deadline: Deadline) -> String {
        crate::platform::install_tls_provider();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", server.local_addr().unwrap());
        let request = reqwest::Client::new().post(url).body(deadline.body("a body".to_owned())).send();
        let serve = async {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"a body") && connection.read_buf(&mut heard).await.unwrap() > 0 {}
            let _ = connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            String::from_utf8(heard).unwrap()
        };
        let (answer, heard) = tokio::join!(request, serve);
        assert_eq!(answer.is_ok(), !heard.is_empty());
        heard
    }

    #[tokio::test]
    async fn no_byte_is_written_after_the_deadline() {
        let in_time = heard(from_now(LIMIT)).await.to_lowercase();
        assert!(in_time.contains("content-length: 6") && in_time.ends_with("a body"), "{in_time}");
        assert_eq!(heard(from_now(Duration::ZERO)).await, "");
    }
}
