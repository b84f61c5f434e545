//! Credentials from a Secret, read with `get` at every token fetch and never kept.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client};

use crate::platform::{CredentialError, CredentialSource, Credentials};

const CLIENT_ID: &str = "clientId";
const CLIENT_SECRET: &str = "clientSecret";

const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// One Secret, in the connection's own namespace.
pub(super) struct SecretCredentials {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl CredentialSource for SecretCredentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>> {
        self.read().boxed()
    }
}

impl SecretCredentials {
    async fn read(&self) -> Result<Credentials, CredentialError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let unavailable = |why: String| CredentialError::Unavailable {
            message: format!(
                "Secret {}/{} could not be read from the API server ({why})",
                self.namespace, self.name
            ),
        };
        let read = tokio::time::timeout(READ_TIMEOUT, api.get_opt(&self.name)).await;
        let secret = match read {
            Ok(Ok(Some(secret))) => secret,
            Ok(Ok(None)) => {
                let message = format!(
                    "there is no Secret {}/{}; create it with the keys {CLIENT_ID} and {CLIENT_SECRET}",
                    self.namespace, self.name
                );
                return Err(CredentialError::NotFound { message });
            }
            Ok(Err(kube::Error::Api(error))) => {
                return Err(unavailable(format!("{} {}", error.code, error.reason)));
            }
            Ok(Err(_)) => return Err(unavailable("no answer".to_owned())),
            Err(_) => return Err(unavailable(format!("no answer within {} s", READ_TIMEOUT.as_secs()))),
        };
        let data = secret.data.unwrap_or_default();
        let client_id = self.text(CLIENT_ID, data.get(CLIENT_ID))?;
        let client_secret = self.text(CLIENT_SECRET, data.get(CLIENT_SECRET))?;
        Ok(Credentials { client_id, client_secret: client_secret.into() })
    }

    /// One value. A trailing newline, as `echo` and editors leave it, is dropped.
    fn text(&self, key: &str, value: Option<&ByteString>) -> Result<String, CredentialError> {
        let invalid = |what: &str| CredentialError::Invalid {
            message: format!("Secret {}/{}: {what}", self.namespace, self.name),
        };
        let value = value.ok_or_else(|| invalid(&format!("the key {key} is missing; add it")))?;
        let text = std::str::from_utf8(&value.0).map_err(|_| {
            invalid(&format!("the value of {key} is not text; store it as the platform showed it"))
        })?;
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            return Err(invalid(&format!("the value of {key} is empty; store it as the platform showed it")));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid(&format!(
                "the value of {key} contains a control character; store it as the platform showed it"
            )));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests;
