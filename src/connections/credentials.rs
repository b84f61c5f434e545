//! Credentials from a Secret, read with `get` for every token and never kept.

use std::{collections::BTreeMap, sync::Arc};

use futures::{AsyncReadExt, FutureExt, future::BoxFuture};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Client, Resource,
    core::{Request, params::GetParams},
};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::sync::Semaphore;

use crate::{
    cluster::with_timeout,
    platform::{CredentialError, CredentialSource, Credentials, stored_value},
};

const CLIENT_ID: &str = "clientId";
const CLIENT_SECRET: &str = "clientSecret";

/// The most bytes of an answer that are read. The API server stores Secrets of up to 1 MiB. Encoded, and with all
/// possible metadata, they stay below this size.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The most Secrets that the process reads at the same time. A Secret may have 1 MiB, and many connections may be
/// checked at once, so the limit bounds the memory.
const MAX_CONCURRENT_READS: usize = 4;

/// The places of the reads of Secrets, shared by all connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct SecretReads(Arc<Semaphore>);

impl Default for SecretReads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONCURRENT_READS)))
    }
}

/// One Secret, in the connection's own namespace.
pub(super) struct SecretCredentials {
    pub(super) client: Client,
    pub(super) reads: SecretReads,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The credentials in a Secret, which is read for every token.
#[cfg(feature = "cli")]
#[must_use]
pub fn secret_credentials(client: &Client, secret: &crate::cluster::Key) -> Arc<dyn CredentialSource> {
    let (namespace, name) = (secret.namespace().to_owned(), secret.name().to_owned());
    Arc::new(SecretCredentials { client: client.clone(), reads: SecretReads::default(), namespace, name })
}

/// Why a Secret could not be read.
enum Unread {
    /// The Secret does not exist.
    Absent,
    /// The reason, in words that contain nothing of the answer.
    Unavailable(String),
}

impl CredentialSource for SecretCredentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        self.read().boxed()
    }
}

impl SecretCredentials {
    async fn read(&self) -> Result<Credentials, CredentialError> {
        // The semaphore is never closed. The wait does not count in the timeout of the read.
        let _place = self.reads.0.acquire().await.ok();
        let secret = match with_timeout(self.fetch()).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(Unread::Absent)) => {
                let message = format!(
                    "there is no Secret {}/{}; create it with the keys {CLIENT_ID} and {CLIENT_SECRET}",
                    self.namespace, self.name
                );
                return Err(CredentialError::NotFound { message });
            }
            Ok(Err(Unread::Unavailable(why))) => return Err(self.unavailable(&why)),
            Err(timeout) => return Err(self.unavailable(&timeout.to_string())),
        };
        credentials_of(&self.namespace, &self.name, &secret.data.unwrap_or_default())
    }

    /// Reads the Secret and parses it here. `Api::get` would log an answer that it cannot parse, and so the values. No
    /// error contains anything of an answer.
    async fn fetch(&self) -> Result<Secret, Unread> {
        let unavailable = |why: &str| Unread::Unavailable(why.to_owned());
        let path = Secret::url_path(&(), Some(&self.namespace));
        let request = Request::new(path)
            .get(&self.name, &GetParams::default())
            .map_err(|_| unavailable("the name cannot be asked for"))?;
        let answer = match self.client.request_stream(request).await {
            Ok(answer) => answer,
            Err(kube::Error::Api(error)) if error.code == 404 => return Err(Unread::Absent),
            Err(kube::Error::Api(error)) if error.code == 403 => {
                return Err(unavailable("403: the controller lacks the right to get it"));
            }
            Err(kube::Error::Api(error)) => return Err(Unread::Unavailable(error.code.to_string())),
            Err(_) => return Err(unavailable("no answer")),
        };
        let mut body = Vec::new();
        let read = answer.take(MAX_ANSWER_BYTES as u64 + 1).read_to_end(&mut body).await;
        let body = SecretSlice::from(body);
        match read {
            Err(_) => Err(unavailable("the answer broke off")),
            Ok(length) if length > MAX_ANSWER_BYTES => Err(unavailable("the answer is too large")),
            Ok(_) => serde_json::from_slice(body.expose_secret())
                .map_err(|_| unavailable("the answer is not a Secret")),
        }
    }

    fn unavailable(&self, why: &str) -> CredentialError {
        let message =
            format!("Secret {}/{} could not be read from the API server ({why})", self.namespace, self.name);
        CredentialError::Unavailable { message }
    }
}

/// The credentials in the data of a Secret.
///
/// # Errors
/// A key is missing, or its value cannot be used. The error names the Secret and the key, and no value.
pub fn credentials_of(
    namespace: &str,
    name: &str,
    data: &BTreeMap<String, ByteString>,
) -> Result<Credentials, CredentialError> {
    let invalid =
        |what: String| CredentialError::Invalid { message: format!("Secret {namespace}/{name}: {what}") };
    let value = |key: &str| {
        let value = data.get(key).ok_or_else(|| invalid(format!("the key {key} is missing; add it")))?;
        let unusable =
            |what: &str| invalid(format!("the value of {key} {what}; store it as the platform showed it"));
        let text = std::str::from_utf8(&value.0).map_err(|_| unusable("is not text"))?;
        stored_value(text).map(str::to_owned).map_err(unusable)
    };
    let client_id = value(CLIENT_ID)?;
    Ok(Credentials { client_id, client_secret: value(CLIENT_SECRET)?.into() })
}

#[cfg(test)]
mod tests;
