//! A server that a test scripts down to the bytes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::Instant,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// By lower-case name.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
    pub(super) at: Instant,
    /// Counts the connections.
    pub(super) connection: usize,
}

/// What the server does after a request has arrived.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// By the test's clock.
    Wait(Duration),
    /// Stays silent on this connection from now on.
    Hang,
    Close,
}

type Script = dyn Fn(&Request, usize) -> Option<Vec<Step>> + Send + Sync;

pub(super) struct Server {
    port: u16,
    log: Arc<Mutex<Vec<Request>>>,
    listener: AbortHandle,
    /// While it is held, the paused clock does not advance. See [`hold_the_clock`].
    _clock: std::sync::mpsc::Sender<()>,
}

impl Request {
    pub(super) fn is_token(&self) -> bool {
        self.target == "/api/2/idp/token"
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

impl Server {
    /// Starts a server. The script is called with each request and the number of earlier ones of the same
    /// method and path. `None` means a token for the token endpoint, and the platform's 404 elsewhere.
    pub(super) async fn start(
        script: impl Fn(&Request, usize) -> Option<Vec<Step>> + Send + Sync + 'static,
    ) -> Self {
        let clock = hold_the_clock();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::<Mutex<Vec<Request>>>::default();
        let script: Arc<Script> = Arc::new(script);
        let requests = Arc::clone(&log);
        let accept = async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, connection, Arc::clone(&script), Arc::clone(&requests)));
            }
        };
        let listener = tokio::spawn(accept).abort_handle();
        Self { port, log, listener, _clock: clock }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Refuses connections from now on.
    pub(super) async fn stop_listening(&self) {
        self.listener.abort();
        super::wait_for("the listener to end", || self.listener.is_finished()).await;
    }

    /// All requests so far, in the order of their arrival.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// The requests to the token endpoint.
    pub(super) fn token_requests(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::is_token).collect()
    }

    /// The requests to everything but the token endpoint.
    pub(super) fn calls(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| !request.is_token()).collect()
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.calls().into_iter().map(|request| request.target).collect()
    }
}

/// Stops the paused clock while the value lives.
///
/// A paused clock jumps to the next timer whenever the runtime is idle, and waiting for a socket counts as idle. It
/// does not jump while a blocking task runs.
pub(super) fn hold_the_clock() -> std::sync::mpsc::Sender<()> {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || receiver.recv());
    sender
}

async fn serve(stream: TcpStream, connection: usize, script: Arc<Script>, log: Arc<Mutex<Vec<Request>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream, connection).await {
        let earlier = {
            let mut log = log.lock().unwrap();
            let same = |other: &&Request| other.method == request.method && other.path() == request.path();
            let earlier = log.iter().filter(same).count();
            log.push(request.clone());
            earlier
        };
        let steps = script(&request, earlier).unwrap_or_else(|| fallback(&request, earlier));
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    if stream.get_mut().write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Hang => std::future::pending().await,
                Step::Close => return,
            }
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let header =
        |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: HashMap<_, _> = lines[1..].iter().filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Request { method, target, headers, body, at: Instant::now(), connection })
}

fn fallback(request: &Request, earlier: usize) -> Vec<Step> {
    if request.is_token() {
        json(200, &super::token_json(&format!("token-{earlier}"), 7200))
    } else {
        json(404, &super::error_json(1005))
    }
}

/// A complete answer with a `Date`.
pub(super) fn json(status: u16, body: &Value) -> Vec<Step> {
    text(status, "Content-Type: application/json\r\n", &body.to_string())
}

/// A complete answer with further header lines, each ended with `\r\n`.
pub(super) fn text(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    raw(&format!(
        "HTTP/1.1 {status} X\r\nDate: Tue, 01 Dec 2026 00:00:00 GMT\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    ))
}

pub(super) fn raw(bytes: &str) -> Vec<Step> {
    vec![Step::Send(bytes.as_bytes().to_vec())]
}
