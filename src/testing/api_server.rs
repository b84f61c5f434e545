//! An API server for tests with prepared answers.

use kube::{Client, Config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A client of an API server that answers every request with this status and body.
pub(crate) async fn answering(status: u16, body: &serde_json::Value) -> Client {
    answering_text(status, &body.to_string()).await
}

/// The same with a body that need not be JSON.
pub(crate) async fn answering_text(status: u16, body: &str) -> Client {
    let body = body.to_owned();
    answering_by_path(move |_| (status, body.clone())).await
}

/// A client of an API server whose answer, a status and a body, depends on the path of the request.
pub(crate) async fn answering_by_path(
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = serve(stream, &answer).await;
        }
    });
    client(&format!("http://{address}"))
}

/// A client of an API server that cannot be reached.
pub(crate) async fn absent() -> Client {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    client(&format!("http://{address}"))
}

/// The answer of the API server for an object that does not exist.
pub(crate) fn not_found() -> serde_json::Value {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "not found",
    })
}

fn client(url: &str) -> Client {
    crate::platform::install_tls_provider();
    let mut config = Config::new(url.parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn serve(mut stream: TcpStream, answer: &impl Fn(&str) -> (u16, String)) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (status, body) = answer(head.split_whitespace().nth(1).unwrap());
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close",
        body.len()
    );
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await?;
    stream.shutdown().await
}
