//! Bare requests to the API server, whose answers are not used.

pub mod audit;

use futures::{StreamExt, TryStreamExt, stream};
use hyper::{Request, header::CONTENT_TYPE};
use serde_json::Value;

use crate::Measured;

/// How many writes are in flight at once.
pub const AT_ONCE: usize = 16;

/// Server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";
/// A merge patch.
pub const MERGE: &str = "application/merge-patch+json";

/// The API server, for one user.
#[derive(Clone)]
pub struct ApiServer {
    client: kube::Client,
}

impl ApiServer {
    /// With the settings that the controller gives its own client.
    pub fn new(mut config: kube::Config) -> Measured<Self> {
        config.default_retry = false;
        Ok(Self { client: kube::Client::try_from(config)? })
    }

    pub async fn get(&self, path: &str) -> Measured<String> {
        self.send(Request::get(path).body(Vec::new())?).await
    }

    /// The objects that a list finds.
    pub async fn list(&self, path: &str) -> Measured<Vec<Value>> {
        let mut list: Value = serde_json::from_str(&self.get(path).await?)?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(format!("{path} gave no list").into()),
        }
    }

    pub async fn create(&self, path: &str, object: &Value) -> Measured<String> {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(serde_json::to_vec(object)?)?).await
    }

    pub async fn patch(&self, path: &str, content_type: &str, body: Vec<u8>) -> Measured<String> {
        self.send(Request::patch(path).header(CONTENT_TYPE, content_type).body(body)?).await
    }

    pub async fn merge(&self, path: &str, change: &Value) -> Measured<String> {
        self.patch(path, MERGE, serde_json::to_vec(change)?).await
    }

    pub async fn delete(&self, path: &str) -> Measured<String> {
        self.send(Request::delete(path).body(Vec::new())?).await
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Measured<String> {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.client.request_text(request).await;
        answer.map_err(|error| format!("{what}: {error}").into())
    }
}

/// Carries out many writes, [`AT_ONCE`] at a time.
pub async fn all<T>(writes: impl IntoIterator<Item = impl Future<Output = Measured<T>>>) -> Measured<()> {
    stream::iter(writes).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await
}
