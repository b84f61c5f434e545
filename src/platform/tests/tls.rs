//! Which certificates are trusted.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::*;

/// The authority that signed `server.pem`. Its own key was thrown away.
const AUTHORITY: &str = include_str!("tls/authority.pem");

/// Another certificate that is no authority for `server.pem`: its own.
const SERVER: &str = include_str!("tls/server.pem");

/// The key of a certificate for `localhost` that nothing outside these tests trusts.
const SERVER_KEY: &str = include_str!("tls/server.key");

/// Serves tokens on `https://localhost`, each on a connection of its own. Returns the port.
fn start_tls_server() -> u16 {
    install_tls_provider();
    let certificate = CertificateDer::from_pem_slice(SERVER.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY.as_bytes()).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            // A client that does not trust the certificate disconnects here.
            if stream.read(&mut request).is_ok() {
                let body = token_json("t", 7200).to_string();
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

async fn fetch_token(url: &str, ca_bundle: Option<&str>) -> Result<(), PlatformError> {
    let _clock = server::hold_the_clock();
    let options = ClientOptions { ca_bundle: ca_bundle.map(Into::into), ..options(url) };
    SwitchClient::new(options, Arc::new(Source::new()))?.ready_to_put().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_private_authority_is_trusted_when_it_is_in_the_bundle() {
    let url = format!("https://localhost:{}", start_tls_server());
    assert_eq!(fetch_token(&url, Some(AUTHORITY)).await, Ok(()));
    let two = format!("# first\n{SERVER}\n# second\n{AUTHORITY}");
    assert_eq!(fetch_token(&url, Some(&two)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let url = format!("https://localhost:{}", start_tls_server());
    let error = fetch_token(&url, None).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let words = "fetching an access token failed: the server's certificate comes from an unknown authority";
    assert_eq!(error.to_string(), words);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_host_is_refused_without_its_names() {
    let url = format!("https://127.0.0.1:{}", start_tls_server());
    let error = fetch_token(&url, Some(AUTHORITY)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert_eq!(
        error.to_string(),
        "fetching an access token failed: the server's certificate is for another host"
    );
}
