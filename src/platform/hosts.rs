//! Which hosts the controller may talk to.

use std::fmt;

use super::Origin;

/// The allow-list of the controller: where credentials may be sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

/// An entry that cannot be read. The message names it and says the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAllowedHost(String);

/// The origin is not on the allow-list. The message names both and says the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostNotAllowed(String);

impl AllowedHosts {
    /// Reads a comma-separated list of `host`, `*.domain`, `host:port` and `http://host:port`.
    ///
    /// # Errors
    /// [`InvalidAllowedHost`] for an empty list and for an entry of any other form.
    pub fn parse(list: &str) -> Result<Self, InvalidAllowedHost> {
        if list.is_empty() {
            return Err(InvalidAllowedHost("the list of allowed hosts is empty".to_owned()));
        }
        Ok(Self(list.split(',').map(str::to_owned).collect()))
    }

    /// Checks an origin.
    ///
    /// # Errors
    /// [`HostNotAllowed`] when no entry admits its scheme, host and port.
    pub fn check(&self, origin: &Origin) -> Result<(), HostNotAllowed> {
        Err(HostNotAllowed(format!("{origin} is not on the list of allowed hosts ({self})")))
    }
}

impl Default for AllowedHosts {
    /// `*.acronis.com`
    fn default() -> Self {
        Self(vec!["*.acronis.com".to_owned()])
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(","))
    }
}
