//! The admin server: `/livez`, `/readyz` and `/metrics`, for the kubelet and Prometheus.
//!
//! It must never be in the way: whatever anybody does to it costs a bounded number of connections, for a
//! bounded time each.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::AbortHandle,
    time::Instant,
};
use tower::ServiceExt as _;

use super::{Format, Health, Metrics};

/// So many connections are open at once. One more takes the place of another.
const CONNECTIONS: usize = 128;

/// How long a connection may last.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A request's head has to be here within this time.
    head: Duration,
    /// A connection is closed after this time, whatever is under way on it.
    connection: Duration,
}

const LIMITS: Limits = Limits { head: Duration::from_secs(2), connection: Duration::from_secs(10) };

/// A request's head may be so long, in bytes.
const HEAD_SIZE: usize = 8 * 1024;

/// The pause after a connection that could not be accepted: mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Metrics are written at most once in this time. In between all get the same text.
const METRICS_HOLD: Duration = Duration::from_secs(1);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// A server that has its address and does not serve yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl AdminServer {
    /// Takes the address; port 0 takes one that is free.
    ///
    /// # Errors
    /// The address is not one of this machine, is taken, or may not be taken.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, limits: LIMITS })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, health: Health, metrics: Metrics) {
        let routes = routes(health, metrics);
        let mut open = Open::default();
        loop {
            let accepted = self.listener.accept().await;
            open.make_room();
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let asked = Arc::new(AtomicBool::new(false));
            let connection = connection(stream, routes.clone(), self.limits.head, asked.clone());
            let served = tokio::time::timeout(self.limits.connection, connection);
            // Why a connection was broken off is of no interest.
            let task = tokio::spawn(async move { drop(served.await) });
            open.0.push_back((task.abort_handle(), asked));
        }
    }
}

/// The connections that are open, the oldest first, and whether a request has come on each.
#[derive(Default)]
struct Open(VecDeque<(AbortHandle, Arc<AtomicBool>)>);

impl Open {
    /// Closes a connection if there is no room for one more: the oldest without a request, else the oldest. So one
    /// that asks at once, as a probe does, is never kept waiting by those that do not.
    fn make_room(&mut self) {
        self.0.retain(|(task, _)| !task.is_finished());
        if self.0.len() < CONNECTIONS {
            return;
        }
        let silent = self.0.iter().position(|(_, asked)| !asked.load(Ordering::Relaxed));
        if let Some((task, _)) = self.0.remove(silent.unwrap_or_default()) {
            task.abort();
        }
    }
}

async fn connection(
    stream: TcpStream,
    routes: Router,
    head: Duration,
    asked: Arc<AtomicBool>,
) -> hyper::Result<()> {
    let routes = routes.map_request(move |request| {
        asked.store(true, Ordering::Relaxed);
        request
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_SIZE)
        // An idle connection would hold a place that a probe may need.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await
}

fn routes(health: Health, metrics: Metrics) -> Router {
    let alive = health.clone();
    let written = Arc::new(Written::new(metrics));
    Router::new()
        .route("/livez", get(async move || probe(alive.alive())))
        .route("/readyz", get(async move || probe(health.ready())))
        .route("/metrics", get(async move |headers: HeaderMap| exposition(&written, &headers).await))
}

type Text = (StatusCode, [(HeaderName, &'static str); 1], String);

fn probe(outcome: Result<(), impl std::fmt::Display>) -> Text {
    let (status, text) = match outcome {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    };
    (status, [(header::CONTENT_TYPE, PLAIN_TEXT)], text)
}

/// The metrics as they were written last. To write them takes processor time that the switches need, and anyone who
/// reaches the port may ask.
struct Written {
    metrics: Metrics,
    open_metrics: Mutex<Option<(Instant, Bytes)>>,
    prometheus: Mutex<Option<(Instant, Bytes)>>,
}

impl Written {
    fn new(metrics: Metrics) -> Self {
        Self { metrics, open_metrics: Mutex::default(), prometheus: Mutex::default() }
    }

    /// The metrics, at most [`METRICS_HOLD`] old. One writes them, and the others wait for that.
    async fn text(&self, format: Format) -> Option<Bytes> {
        let written = match format {
            Format::OpenMetrics => &self.open_metrics,
            Format::Prometheus => &self.prometheus,
        };
        let mut written = written.lock().await;
        if let Some((_, text)) = written.as_ref().filter(|(at, _)| at.elapsed() < METRICS_HOLD) {
            return Some(text.clone());
        }
        let text = Bytes::from(self.metrics.exposition(format).ok()?);
        *written = Some((Instant::now(), text.clone()));
        Some(text)
    }
}

async fn exposition(written: &Written, headers: &HeaderMap) -> impl IntoResponse + use<> {
    // A header may come in several lines.
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let accept = lines.collect::<Vec<_>>().join(",");
    let format = Format::asked_for(Some(&accept));
    let (status, kind, text) = if let Some(text) = written.text(format).await {
        (StatusCode::OK, format.content_type(), text)
    } else {
        let text = Bytes::from_static(b"the metrics could not be written\n");
        (StatusCode::INTERNAL_SERVER_ERROR, PLAIN_TEXT, text)
    };
    (status, [(header::CONTENT_TYPE, kind)], text)
}

#[cfg(test)]
mod tests;
