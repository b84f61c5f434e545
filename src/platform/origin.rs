//! The origin of a platform: scheme, host and port.

use std::fmt;

use serde::{Serialize, Serializer};

/// One platform: scheme, lower-case host, and port unless it is the scheme's own.
///
/// Two connections talk to the same platform exactly when their origins are equal, whatever their
/// credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(String);

/// A text that is no origin. The message names it (without user-info) and says the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(String);

impl Origin {
    /// Reads a data-centre URL such as `https://eu2-cloud.acronis.com`.
    ///
    /// # Errors
    /// [`InvalidUrl`] for a scheme other than `http` and `https`, user-info, a path beyond `/`, a query, a
    /// fragment, and a host that is empty, international, ends with a dot, or is written in any other form
    /// than the plain one.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let parsed = url::Url::parse(url).map_err(|error| InvalidUrl(error.to_string()))?;
        Ok(Self(parsed.origin().ascii_serialization()))
    }

    /// The origin as text, such as `https://eu2-cloud.acronis.com`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
