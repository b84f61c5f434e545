//! The admin server: `/livez`, `/readyz` and `/metrics`, for the kubelet and Prometheus.
//!
//! It must never be in the way: whatever anybody does to it costs a bounded number of connections, for a
//! bounded time each.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderName, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{Health, Metrics};

/// So many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 32;

/// How long a connection may last.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A request's head has to be here within this time.
    head: Duration,
    /// A connection is closed after this time, whatever is under way on it.
    connection: Duration,
}

const LIMITS: Limits = Limits { head: Duration::from_secs(5), connection: Duration::from_secs(10) };

/// A request's head may be so long, in bytes.
const HEAD_SIZE: usize = 8 * 1024;

/// The pause after a connection that could not be accepted: mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// OpenMetrics, as its specification names it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        // The semaphore is never closed.
        while let Ok(permit) = free.clone().acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream, routes.clone(), self.limits.head);
                    let served = tokio::time::timeout(self.limits.connection, connection);
                    tokio::spawn(async move {
                        // Nobody is interested in why a connection was broken off.
                        let _ = served.await;
                        drop(permit);
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

async fn connection(stream: TcpStream, routes: Router, head: Duration) -> hyper::Result<()> {
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
    Router::new()
        .route("/livez", get(async move || probe(alive.alive())))
        .route("/readyz", get(async move || probe(health.ready())))
        .route("/metrics", get(async move || exposition(&metrics)))
}

type Text = (StatusCode, [(HeaderName, &'static str); 1], String);

fn probe(outcome: Result<(), impl std::fmt::Display>) -> Text {
    let (status, text) = match outcome {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    };
    (status, [(header::CONTENT_TYPE, PLAIN_TEXT)], text)
}

fn exposition(metrics: &Metrics) -> impl IntoResponse + use<> {
    let (status, kind, text) = metrics.exposition().map_or_else(
        |_| {
            let text = "the metrics could not be written\n".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, PLAIN_TEXT, text)
        },
        |text| (StatusCode::OK, OPEN_METRICS, text),
    );
    (status, [(header::CONTENT_TYPE, kind)], text)
}

#[cfg(test)]
mod tests;
