//! The HTTP server: connections, and the life of one request on them.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::simulator::admin;
use crate::simulator::answer::Answer;
use crate::simulator::http::exchange::Exchange;
use crate::simulator::http::wire::{self, Hangup, Reply};
use crate::simulator::shared_state::SharedState;
use crate::simulator::state::log::Outcome;

/// The longest request body that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// Accepts connections until `stop`.
pub(crate) async fn run(
    listener: TcpListener,
    shared: Arc<SharedState>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let server = Server { shared: shared.clone(), tasks: tasks.clone(), stop: stop.clone() };
                tasks.spawn(server.connection(stream));
            }
            // Out of file descriptors, mostly. Waiting lets some of them be closed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

#[derive(Clone)]
struct Server {
    shared: Arc<SharedState>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    async fn connection(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true); // slower without, no worse
        let stop = self.stop.clone();
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { server.serve(request).await }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        // The `Date` is the simulator's own, and a fault may take it away.
        http.auto_date_header(false);
        tokio::select! {
            () = stop.cancelled() => {}
            // It ends with an error whenever a fault or the client cuts it off; the log has that already.
            _ = http.serve_connection(TokioIo::new(stream), service) => {}
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> Reply {
        if admin::owns(request.uri().path()) {
            let (parts, body) = request.into_parts();
            let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| Hangup)?.to_bytes();
            return Ok(wire::plain(&admin::answer(&self.shared, &parts, &body)));
        }
        let (parts, body) = request.into_parts();
        let exchange = Exchange::arrive(&self.shared, &parts);
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => self.carry_out(exchange, body.to_bytes()).await,
            Err(error) if error.is::<LengthLimitError>() => {
                exchange.end(Outcome::Answered(413));
                Ok(wire::plain(&Answer::error(413, &413.into(), "the body is longer than 1 MiB")))
            }
            // The client broke off in the middle of its own request.
            Err(_) => {
                exchange.end(Outcome::ClientGone);
                Err(Hangup)
            }
        }
    }

    /// Carries the request out in a task of its own: a client that goes away cannot stop what it asked for,
    /// and what is late takes effect late.
    async fn carry_out(&self, exchange: Exchange, body: Bytes) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = exchange.run(body, sender) => {}
            }
        });
        receiver.await.map_err(|_| Hangup)?
    }
}
