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

/// A value as the platform showed it, without the trailing line break that `echo` and editors leave.
///
/// # Errors
/// What is wrong with it, as in "is empty".
pub fn stored_value(text: &str) -> Result<&str, &'static str> {
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err("is empty");
    }
    if text.chars().any(char::is_control) {
        return Err("contains a control character");
    }
    Ok(text)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials { .. }")
    }
}
