use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What is served, and where.
struct Served {
    address: SocketAddr,
    health: Health,
}

async fn served() -> Served {
    served_within(LIMITS).await
}

async fn served_within(limits: Limits) -> Served {
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let server = AdminServer { limits, ..server };
    let (address, health) = (server.address(), Health::default());
    tokio::spawn(server.serve(health.clone(), Metrics::default()));
    Served { address, health }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The whole answer, head and body, to the connection's end.
    async fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = self.connect().await;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn the_probes_say_what_health_says() {
    let served = served().await;
    assert!(served.ask("GET", "/livez").await.starts_with("HTTP/1.1 200 "));
    let answer = served.ask("GET", "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("not all been read"), "{answer}");
    served.health.caches_filled();
    assert!(served.ask("GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    served.health.dead("the queue has ended");
    let answer = served.ask("GET", "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the queue has ended\n"), "{answer}");
}

#[tokio::test]
async fn metrics_are_open_metrics_with_their_end() {
    let served = served().await;
    let answer = served.ask("GET", "/metrics").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains(&format!("content-type: {OPEN_METRICS}")), "{head}");
    assert!(body.contains("# TYPE tenantpricing_switches counter\n") && body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn there_is_nothing_else_and_nothing_to_be_changed() {
    let served = served().await;
    for path in ["/", "/debug", "/metrics/", "/livez/x"] {
        assert!(served.ask("GET", path).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(served.ask("POST", "/livez").await.starts_with("HTTP/1.1 405 "));
    let long = format!("/{}", "x".repeat(2 * HEAD_SIZE));
    let answer = served.ask("GET", &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_sent_away_and_the_next_one_is_served() {
    let limit = Duration::from_millis(200);
    for limits in [Limits { head: limit, ..LIMITS }, Limits { connection: limit, ..LIMITS }] {
        let served = served_within(limits).await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = served.connect().await;
            stream.write_all(b"GET /livez HT").await.unwrap();
            silent.push(stream);
        }
        assert!(served.ask("GET", "/livez").await.starts_with("HTTP/1.1 200 "));
        let is_open = |stream: &TcpStream| {
            stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        assert!(!silent.iter().all(is_open), "not all places were taken");
        for mut stream in silent {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_at_once() {
    let served = served().await;
    let error = AdminServer::bind(served.address).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
