use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::*;
use crate::{telemetry::capture::Log, testing::api_server};

/// Base64 of `s3cret-value`.
const SECRET: &str = "czNjcmV0LXZhbHVl";
/// Base64 of `my-client`.
const CLIENT: &str = "bXktY2xpZW50";

fn source(client: Client) -> SecretCredentials {
    SecretCredentials {
        client,
        reads: SecretReads::default(),
        namespace: "platform".to_owned(),
        name: "eu2".to_owned(),
    }
}

fn secret(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "eu2"}, "data": data})
}

async fn read(data: Value) -> Result<Credentials, CredentialError> {
    source(api_server::answering(200, &secret(&data)).await).credentials().await
}

/// The client id in a Secret with this value.
fn text(bytes: &[u8]) -> Result<String, CredentialError> {
    let values = [(CLIENT_ID, bytes), (CLIENT_SECRET, b"s3cret-value")];
    let data = values.map(|(key, value)| (key.to_owned(), ByteString(value.to_vec())));
    credentials_of("platform", "eu2", &data.into()).map(|credentials| credentials.client_id)
}

fn message(error: &CredentialError) -> String {
    let CredentialError::Invalid { message } = error else { panic!("not the value's fault: {error:?}") };
    message.clone()
}

#[tokio::test]
async fn the_two_keys_are_the_credentials() {
    let credentials = read(json!({"clientId": CLIENT, "clientSecret": SECRET})).await.unwrap();
    assert_eq!(credentials.client_id, "my-client");
    assert_eq!(credentials.client_secret.expose_secret(), "s3cret-value");
    assert!(!format!("{credentials:?}").contains("s3cret"));
}

/// Each may have 1 MiB.
#[tokio::test]
async fn only_some_secrets_are_read_at_the_same_time() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let client = api_server::answering_by_path(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        (200, secret(&json!({"clientId": CLIENT, "clientSecret": SECRET})).to_string())
    });
    let source = source(client.await);
    let places = source.reads.0.acquire_many(u32::try_from(MAX_CONCURRENT_READS).unwrap()).await.unwrap();
    let mut waiting = source.credentials();
    tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.unwrap_err();
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    drop(places);
    waiting.await.unwrap();
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_missing_key_is_named() {
    for (data, key) in [
        (json!({"clientSecret": SECRET}), "clientId"),
        (json!({"clientId": CLIENT}), "clientSecret"),
        (json!({"clientID": CLIENT, "clientSecret": SECRET}), "clientId"),
        (Value::Null, "clientId"),
    ] {
        let message = message(&read(data).await.unwrap_err());
        assert!(message.contains(&format!("the key {key} is missing")), "{message}");
        assert!(message.contains("platform/eu2"), "{message}");
    }
}

#[test]
fn one_trailing_newline_is_dropped_and_nothing_else() {
    for (bytes, expected) in [
        (&b"value"[..], "value"),
        (b"value\n", "value"),
        (b"value\r\n", "value"),
        (b" value ", " value "),
        ("pässwort".as_bytes(), "pässwort"),
    ] {
        assert_eq!(text(bytes).unwrap(), expected);
    }
}

#[test]
fn an_impossible_value_is_refused_and_not_shown() {
    for (bytes, what) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"\r\n", "is empty"),
        (b"\xff\xfezz", "is not text"),
        (b"zz\x00zz", "control character"),
        (b"zz\nzz", "control character"),
        (b"\nzz", "control character"),
        (b"zz\n\n", "control character"),
        (b"zz\r", "control character"),
        (b"zz\x7fzz", "control character"),
        ("zz\u{85}zz".as_bytes(), "control character"),
    ] {
        let message = message(&text(bytes).unwrap_err());
        assert!(message.contains("clientId") && message.contains(what), "{message}");
        assert!(message.contains("store it as the platform showed it"), "{message}");
        assert!(!message.contains("zz"), "{message}");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named_with_what_it_must_hold() {
    let client = api_server::answering(404, &api_server::not_found()).await;
    let error = source(client).credentials().await.unwrap_err();
    let CredentialError::NotFound { message } = error else { panic!("{error:?}") };
    for word in ["platform/eu2", "clientId", "clientSecret", "create it"] {
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn an_unreadable_secret_is_not_an_error_of_the_user() {
    let forbidden = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "a long text that stays out of the status",
    });
    for client in [api_server::answering(403, &forbidden).await, api_server::absent().await] {
        let error = source(client).credentials().await.unwrap_err();
        let CredentialError::Unavailable { message } = error else { panic!("{error:?}") };
        assert!(message.contains("platform/eu2") && !message.contains("stays out"), "{message}");
    }
}

/// A subscriber that records every log line at every level, and its log.
fn everything_logged() -> (impl tracing::Subscriber + Send + Sync, Log) {
    let log = Log::new();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (subscriber, log)
}

#[tokio::test]
async fn an_answer_that_is_not_a_secret_is_neither_logged_nor_quoted() {
    let data = json!({"clientId": CLIENT, "clientSecret": SECRET});
    let mut odd_type = secret(&data);
    odd_type["immutable"] = json!("zz-not-a-boolean");
    let mut other_kind = secret(&data);
    other_kind["kind"] = json!("zz-Configuration");
    let plain = secret(&json!({"clientId": CLIENT, "clientSecret": "zz not base64"}));
    let whole = secret(&data).to_string();
    let truncated = whole[..whole.len() - 3].to_owned();
    for body in
        [odd_type.to_string(), other_kind.to_string(), plain.to_string(), truncated, format!("zz{whole}")]
    {
        let (subscriber, log) = everything_logged();
        let guard = tracing::subscriber::set_default(subscriber);
        let client = api_server::answering_text(200, &body).await;
        let error = source(client).credentials().await.unwrap_err();
        drop(guard);
        let CredentialError::Unavailable { message } = &error else { panic!("{error:?}") };
        assert!(message.contains("platform/eu2") && message.contains("not a Secret"), "{message}");
        let log = log.text();
        assert!(log.contains("requesting"), "the log is as full as it gets:\n{log}");
        for hidden in [SECRET, CLIENT, "zz"] {
            assert!(!message.contains(hidden), "{message}");
            assert!(!log.contains(hidden), "{log}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let body = secret(&json!({"clientId": CLIENT, "padding": "A".repeat(MAX_ANSWER_BYTES)}));
    let source = source(api_server::answering(200, &body).await);
    let mut said = String::new();
    // A loaded machine may take longer than the time limit of one read.
    for _ in 0..6 {
        let error = source.credentials().await.unwrap_err();
        let CredentialError::Unavailable { message } = error else { panic!("{error:?}") };
        said = message;
        if !said.contains("no answer within") {
            break;
        }
    }
    assert!(said.contains("too large"), "{said}");
}
