//! The admin server: `/livez`, `/readyz` and `/metrics`, for the kubelet and Prometheus.
//!
//! It must never disturb the controller. Whatever a client does costs a bounded number of connections, each for a
//! bounded time.

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

/// The maximum number of open connections. One more replaces another.
const CONNECTIONS: usize = 128;

/// How long a connection may last.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The time within which the head of a request must arrive.
    head: Duration,
    /// The time after which a connection is closed, whatever is in progress on it.
    connection: Duration,
}

const LIMITS: Limits = Limits { head: Duration::from_secs(2), connection: Duration::from_secs(10) };

/// The maximum size of the head of a request, in bytes.
const HEAD_SIZE: usize = 8 * 1024;

/// The pause after a connection that could not be accepted, mostly because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The metrics are written at most once in this time. In between, all requests get the same text.
const METRICS_HOLD: Duration = Duration::from_secs(1);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// A server that listens on its address and does not serve yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl AdminServer {
    /// Listens on the address. Port 0 selects a free port.
    ///
    /// # Errors
    /// The address does not belong to this machine, is in use, or may not be used.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, limits: LIMITS })
    }

    /// The address with the actual port.
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
            // It does not matter why a connection ended.
            let task = tokio::spawn(async move { drop(served.await) });
            open.0.push_back((task.abort_handle(), asked));
        }
    }
}

/// The open connections, the oldest first, and whether a request has arrived on each.
#[derive(Default)]
struct Open(VecDeque<(AbortHandle, Arc<AtomicBool>)>);

impl Open {
    /// Closes a connection if there is no room for one more: the oldest without a request, else the oldest. A client
    /// that sends its request at once, as a probe does, never waits for those that do not.
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

/// The metrics as they were last written. Writing them takes processor time that the switches need, and any client that
/// reaches the port may ask for them.
struct Written {
    metrics: Metrics,
    open_metrics: Mutex<Option<(Instant, Bytes)>>,
    prometheus: Mutex<Option<(Instant, Bytes)>>,
}

impl Written {
    fn new(metrics: Metrics) -> Self {
        Self { metrics, open_metrics: Mutex::default(), prometheus: Mutex::default() }
    }

    /// The metrics, at most [`METRICS_HOLD`] old. One request writes them, and the others wait for that.
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
    // A header may occur several times.
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
