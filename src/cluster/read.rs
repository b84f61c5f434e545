//! The reads from Kubernetes: one object, within a timeout.

use std::{fmt::Debug, time::Duration};

use futures::TryFutureExt;
use kube::{Api, Client, Resource, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{Key, explain};

/// The timeout of one read.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The controller lacks the right to `get` the object.
    #[error("{0}")]
    Forbidden(#[source] kube::Error),
    /// The API server answered with an object that this version cannot read. A newer one may have written it.
    #[error("{0}")]
    Unreadable(#[source] serde_json::Error),
    /// The request failed, or the API server answered with an error.
    #[error("{0}")]
    Unavailable(#[source] kube::Error),
    /// The API server did not answer in time.
    #[error("no answer within {} s", READ_TIMEOUT.as_secs())]
    Timeout,
}

impl ReadError {
    /// Whether a repeat may succeed with nothing corrected.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout)
    }

    /// The error with its causes, for a log line.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::Forbidden(error) | Self::Unavailable(error) => explain(error),
            Self::Unreadable(_) | Self::Timeout => self.to_string(),
        }
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "Forbidden",
            Self::Unreadable(_) => "Unreadable",
            Self::Unavailable(_) => "Unavailable",
            Self::Timeout => "Timeout",
        }
    }
}

/// Reads an object from the API server, past every cache. `None`: no object has this name.
///
/// # Errors
/// Why it could not be read.
pub async fn read<K>(client: &Client, key: &Key) -> Result<Option<K>, ReadError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), key.namespace());
    in_time(api.get_opt(key.name())).await
}

/// Adds the timeout to a read.
///
/// # Errors
/// Why it failed.
pub async fn in_time<T>(read: impl Future<Output = kube::Result<T>>) -> Result<T, ReadError> {
    match with_timeout(read).await? {
        Ok(found) => Ok(found),
        Err(kube::Error::Api(error)) if error.code == 403 => {
            Err(ReadError::Forbidden(kube::Error::Api(error)))
        }
        Err(kube::Error::SerdeError(error)) => Err(ReadError::Unreadable(error)),
        Err(error) => Err(ReadError::Unavailable(error)),
    }
}

/// Adds the timeout to a read that has errors of its own. The time counts from this call.
///
/// # Errors
/// Only [`ReadError::Timeout`].
pub fn with_timeout<T>(read: impl Future<Output = T>) -> impl Future<Output = Result<T, ReadError>> {
    tokio::time::timeout(READ_TIMEOUT, read).map_err(|_| ReadError::Timeout)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    async fn category(read: impl Future<Output = kube::Result<()>>) -> &'static str {
        in_time(read).await.map_or_else(|error| error.category(), |()| "None")
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_read_has_a_stable_category() {
        let refused = |code: u16| {
            let status = Status::failure("no", "Refused").with_code(code);
            std::future::ready(Err(kube::Error::Api(status.boxed())))
        };
        assert_eq!(category(std::future::ready(Ok(()))).await, "None");
        assert_eq!(category(refused(403)).await, "Forbidden");
        assert_eq!(category(refused(500)).await, "Unavailable");
        let foreign = serde_json::from_str::<u8>("true").unwrap_err();
        assert_eq!(category(std::future::ready(Err(kube::Error::SerdeError(foreign)))).await, "Unreadable");
        assert_eq!(category(std::future::pending()).await, "Timeout");
    }
}
