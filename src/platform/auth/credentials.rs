//! Where the client's credentials come from.

use std::fmt;

use futures::future::BoxFuture;
use secrecy::SecretString;

/// The credentials of an API client. They belong to one data centre.
#[derive(Clone)]
pub struct Credentials {
    /// The client id, a UUID.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretString,
}

/// Provides the credentials of one connection.
///
/// It is called for every token fetch, so that a rotated Secret works without a restart.
pub trait CredentialSource: Send + Sync {
    /// The credentials as they are now.
    ///
    /// # Errors
    /// [`CredentialError`] says whether a person has to act. Its message is shown to users, so it must name
    /// the Secret and the key, and never contain a value.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialError>>;
}

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The Secret does not exist.
    #[error("{message}")]
    NotFound {
        /// A sentence for the user.
        message: String,
    },
    /// The Secret lacks a key, or a value is empty or not text.
    #[error("{message}")]
    Invalid {
        /// A sentence for the user.
        message: String,
    },
    /// The Kubernetes API server did not answer.
    #[error("{message}")]
    Unavailable {
        /// A sentence for the user.
        message: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials { .. }")
    }
}
