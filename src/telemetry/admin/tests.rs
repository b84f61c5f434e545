use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A running server and its state.
struct Served {
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
}

async fn served() -> Served {
    served_within(LIMITS).await
}

async fn served_within(limits: Limits) -> Served {
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let server = AdminServer { limits, ..server };
    let (address, health) = (server.address(), Health::default());
    let metrics = Metrics::default();
    tokio::spawn(server.serve(health.clone(), metrics.clone()));
    Served { address, health, metrics }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The whole answer, head and body, until the connection ends.
    async fn ask(&self, method: &str, path: &str) -> String {
        self.ask_with(method, path, "").await
    }

    /// The answer to a request with more header lines.
    async fn ask_with(&self, method: &str, path: &str, lines: &str) -> String {
        let mut stream = self.connect().await;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n");
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
    served.health.set_synced();
    assert!(served.ask("GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    served.health.set_failed("the queue has ended");
    let answer = served.ask("GET", "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the queue has ended\n"), "{answer}");
}

#[tokio::test]
async fn metrics_are_open_metrics_with_their_end() {
    let served = served().await;
    let answer = served.ask("GET", "/metrics").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains(&format!("content-type: {}", Format::OpenMetrics.content_type())), "{head}");
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
async fn a_scraper_gets_the_text_format_that_it_asks_for() {
    let served = served().await;
    let answer = served.ask_with("GET", "/metrics", "Accept: text/plain;version=0.0.4\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("# TYPE tenantpricing_switches_total counter\n"), "{body}");
    for word in ["# EOF", "# UNIT", " info\n", "unknown\n"] {
        assert!(!body.contains(word), "{word} is no word of this format: {body}");
    }
    let lines = "Accept: text/html\r\nAccept: application/openmetrics-text;q=0.5\r\n";
    let answer = served.ask_with("GET", "/metrics", lines).await;
    assert!(answer.contains("content-type: application/openmetrics-text;") && answer.ends_with("# EOF\n"));
}

#[tokio::test]
async fn silent_connections_keep_no_probe_waiting() {
    // None of these connections is closed for a reason of its own.
    let limits = Limits { head: Duration::from_secs(600), connection: Duration::from_secs(600) };
    for count in [64, 128, 256, 400] {
        for said in ["", "GET /livez HT", "GET /livez HTTP/1.1\r\nHost: here\r\nX-Slow: "] {
            let served = served_within(limits).await;
            let mut silent = Vec::new();
            for _ in 0..count {
                let mut stream = served.connect().await;
                // Another connection may have taken its place already.
                let _ = stream.write_all(said.as_bytes()).await;
                silent.push(stream);
            }
            let probe = tokio::time::timeout(Duration::from_secs(60), served.ask("GET", "/livez")).await;
            assert!(probe.expect("an answer").starts_with("HTTP/1.1 200 "), "{count} {said:?}");
            drop(silent);
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_keeps_no_probe_waiting() {
    let served = served_within(Limits { connection: Duration::from_secs(600), ..LIMITS }).await;
    let mut unread = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        let mut stream = served.connect().await;
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").await;
        unread.push(stream);
    }
    let probe = tokio::time::timeout(Duration::from_secs(60), served.ask("GET", "/livez")).await;
    assert!(probe.expect("an answer").starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_in_time() {
    let limit = Duration::from_millis(200);
    for limits in [Limits { head: limit, ..LIMITS }, Limits { connection: limit, ..LIMITS }] {
        let served = served_within(limits).await;
        for said in ["", "GET /livez HT"] {
            let mut stream = served.connect().await;
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
            drop(closed.expect("it is closed"));
        }
    }
}

#[tokio::test]
async fn a_storm_of_scrapes_has_the_metrics_written_once_a_second() {
    let served = served().await;
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    served.metrics.set_fleet_source(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        crate::telemetry::FleetCounts::none()
    }));
    let begun = Instant::now();
    for _ in 0..10 {
        let storm = (0..50).map(|_| served.ask("GET", "/metrics"));
        for answer in futures::future::join_all(storm).await {
            assert!(answer.ends_with("# EOF\n"), "{answer}");
        }
    }
    let most = begun.elapsed().as_secs() + 1;
    let written = u64::try_from(written.load(Ordering::Relaxed)).unwrap();
    assert!((1..=most).contains(&written), "{written} times in {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_at_once() {
    let served = served().await;
    let error = AdminServer::bind(served.address).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
