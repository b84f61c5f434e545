//! Everything that was ever stored, from etcd itself.
//!
//! A watch of the API server breaks when that is killed, and may not be able to resume where it was. etcd keeps every
//! version, because nothing is compacted. Its revisions are the resource versions.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

/// What is ours lies below this.
const OURS: &str = "/registry/tenantpricing.io/";
const EVENTS: &str = "/registry/events/";
/// Written last: when it is seen, all was seen. The API server knows nothing of it.
const FENCE: &str = "/chaos/fence";

/// One version of one object, or its end.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The resource version.
    pub revision: i64,
    /// `tenantpricings`, `platformconnections`.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Nothing when it was deleted.
    pub object: Option<Value>,
}

/// What was stored, in the order of storing.
pub struct History {
    pub versions: Vec<Stored>,
    /// Where one of the secrets was stored.
    pub leaks: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    result: WatchResult,
}

#[derive(Deserialize)]
struct WatchResult {
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    r#type: String,
    kv: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    mod_revision: String,
    #[serde(default)]
    value: String,
}

/// Reads the whole history, and searches for `secrets` in all of it that a user can read without the right to
/// read Secrets.
pub async fn read(control_plane: &Path, secrets: &[String]) -> History {
    let socket = control_plane.join("etcd.sock");
    let fence = json!({"key": STANDARD.encode(FENCE), "value": ""});
    let mut answer = String::new();
    let mut put = post(&socket, "/v3/kv/put", &fence).await;
    put.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");

    // From the zero byte on: every key.
    let everything = json!({"key": "AA==", "range_end": "AA==", "start_revision": "1"});
    let mut watch = post(&socket, "/v3/watch", &json!({"create_request": everything})).await;
    let mut history = History { versions: Vec::new(), leaks: Vec::new() };
    let mut line = String::new();
    loop {
        line.clear();
        assert!(watch.read_line(&mut line).await.unwrap() > 0, "etcd broke off its own history");
        if !line.starts_with('{') {
            continue; // the head of the answer
        }
        let Line { result } = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for event in result.events {
            let key = String::from_utf8(STANDARD.decode(&event.kv.key).unwrap()).unwrap();
            if key == FENCE {
                return history;
            }
            let value = STANDARD.decode(&event.kv.value).unwrap();
            if key.starts_with(OURS) || key.starts_with(EVENTS) {
                let text = String::from_utf8_lossy(&value);
                if secrets.iter().any(|secret| text.contains(secret)) {
                    history.leaks.push(format!("{key} at revision {}", event.kv.mod_revision));
                }
            }
            history.versions.extend(stored(&key, &event, &value));
        }
    }
}

fn stored(key: &str, event: &Event, value: &[u8]) -> Option<Stored> {
    let mut segments = key.strip_prefix(OURS)?.split('/').map(str::to_owned);
    let (kind, namespace, name) = (segments.next()?, segments.next()?, segments.next()?);
    let object = (event.r#type != "DELETE").then(|| {
        let mut object: Value = serde_json::from_slice(value).unwrap();
        let revision = Value::String(event.kv.mod_revision.clone());
        object["metadata"]["resourceVersion"] = revision;
        object
    });
    Some(Stored { revision: event.kv.mod_revision.parse().unwrap(), kind, namespace, name, object })
}

/// etcd speaks JSON over the same socket. By HTTP/1.0 the answer is as long as the connection.
async fn post(socket: &Path, path: &str, body: &Value) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    BufReader::new(stream)
}
