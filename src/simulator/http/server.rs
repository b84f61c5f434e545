//! The HTTP server: accepts connections, and serves their requests.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::simulator::{
    admin,
    answer::Answer,
    http::{
        exchange::Exchange,
        wire::{self, Hangup, Reply},
    },
    shared_state::SharedState,
    state::log::Outcome,
};

/// The maximum size of a request body, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

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
            // Usually no file descriptor is free. The pause lets some connections close.
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
        let _ = stream.set_nodelay(true); // only slower without
        let stop = self.stop.clone();
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { server.serve(request).await }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        // The simulator sets `Date` itself, and a fault may remove it.
        http.auto_date_header(false);
        tokio::select! {
            () = stop.cancelled() => {}
            // A fault or the client may cut it off, which is an error here. The log already has it.
            _ = http.serve_connection(TokioIo::new(stream), service) => {}
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> Reply {
        if admin::owns(request.uri().path()) {
            let (parts, body) = request.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|_| Hangup)?.to_bytes();
            return Ok(wire::plain(&admin::answer(&self.shared, &parts, &body)));
        }
        let (parts, body) = request.into_parts();
        let exchange = Exchange::arrive(&self.shared, &parts);
        match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(body) => self.carry_out(exchange, body.to_bytes()).await,
            Err(error) if error.is::<LengthLimitError>() => {
                exchange.end(Outcome::Answered(413));
                Ok(wire::plain(&Answer::error(413, &413.into(), "the body is longer than 1 MiB")))
            }
            // The client closed the connection in the middle of its request.
            Err(_) => {
                exchange.end(Outcome::ClientGone);
                Err(Hangup)
            }
        }
    }

    /// Carries the request out in a task of its own. A client that disconnects cannot stop its request, and a delayed
    /// request takes effect late.
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
