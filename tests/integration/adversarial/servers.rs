//! Servers that misbehave, for the tests beside this file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a server does once it has read a request.
#[derive(Clone, Debug)]
pub enum Habit {
    /// Nothing: not even a request is read. A TLS client waits as well.
    Mute,
    /// A head that never ends, a byte at a time.
    DripHead,
    /// A body that never ends, a byte at a time.
    DripBody,
    /// A body of a gibibyte, announced or in chunks.
    Flood { announced: bool },
    /// A head of a gibibyte.
    FloodHead,
    /// Redirects to the next of this many addresses on the same server.
    Redirect { of: usize },
    /// Always to this address.
    RedirectTo(String),
}

/// A server of one habit, on loopback. It ends with the value.
pub struct Server {
    port: u16,
    task: JoinHandle<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    redirected: AtomicUsize,
    bytes: AtomicU64,
}

const GIBIBYTE: u64 = 1 << 30;

impl Server {
    /// With a token for each client that asks for one, unless `token_too`.
    pub async fn start(habit: Habit, token_too: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (habit, counts) = (habit.clone(), Arc::clone(&shared));
                // It ends whenever the other side has had enough.
                connections.spawn(async move { drop(serve(stream, &habit, token_too, &counts).await) });
            }
        });
        Self { port, task, counts }
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Requests but those for a token.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Requests for an address that only a redirect names.
    pub fn redirected(&self) -> usize {
        self.counts.redirected.load(Ordering::SeqCst)
    }

    /// How much of the answers was taken, or stood in a buffer.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, habit: &Habit, token_too: bool, counts: &Counts) -> std::io::Result<()> {
    if matches!(habit, Habit::Mute) {
        std::future::pending::<()>().await;
    }
    let mut stream = BufReader::new(stream);
    loop {
        let target = read_request(&mut stream).await?;
        let to = stream.get_mut();
        if target.ends_with("/idp/token") && !token_too {
            let body = r#"{"access_token":"a-token-of-a-hostile-server","expires_in":7200}"#;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            to.write_all(format!("{head}{body}").as_bytes()).await?;
            continue;
        }
        counts.requests.fetch_add(1, Ordering::SeqCst);
        if target.contains("/elsewhere/") {
            counts.redirected.fetch_add(1, Ordering::SeqCst);
        }
        match habit {
            Habit::Mute => {}
            Habit::DripHead => {
                to.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await?;
                drip(to).await?;
            }
            Habit::DripBody => {
                to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await?;
                drip(to).await?;
            }
            Habit::Flood { announced: true } => {
                to.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIBIBYTE}\r\n\r\n").as_bytes())
                    .await?;
                flood(to, &vec![b' '; 65_536], counts).await?;
            }
            Habit::Flood { announced: false } => {
                to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                flood(to, chunk.as_bytes(), counts).await?;
            }
            Habit::FloodHead => {
                to.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                let line = format!("X-Flood: {}\r\n", "x".repeat(65_536));
                flood(to, line.as_bytes(), counts).await?;
            }
            Habit::Redirect { of } => {
                let next = counts.requests.load(Ordering::SeqCst) % of;
                redirect(to, &format!("/elsewhere/{next}")).await?;
            }
            Habit::RedirectTo(location) => redirect(to, location).await?,
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if target.is_empty() {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut target);
        } else if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(target)
}

async fn drip(to: &mut TcpStream) -> std::io::Result<()> {
    loop {
        to.write_all(b"x").await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn flood(to: &mut TcpStream, piece: &[u8], counts: &Counts) -> std::io::Result<()> {
    let mut left = GIBIBYTE;
    while left > 0 {
        to.write_all(piece).await?;
        counts.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
        left = left.saturating_sub(piece.len() as u64);
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

async fn redirect(to: &mut TcpStream, location: &str) -> std::io::Result<()> {
    let head =
        format!("HTTP/1.1 308 Permanent Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    to.write_all(head.as_bytes()).await
}
