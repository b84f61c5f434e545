//! The URL of the proxy to the platform.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// The URL of a proxy. It may hold a password, so it cannot be printed.
#[derive(Clone)]
pub struct ProxyUrl(SecretString);

/// The text is not the URL of a proxy. The message does not quote it, because it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the URL of a proxy: {0}. Write it as http://proxy.example:3128")]
pub struct InvalidProxy(&'static str);

impl ProxyUrl {
    /// Reads the URL of a proxy, with user and password in it or without.
    ///
    /// # Errors
    /// [`InvalidProxy`] for what is no URL, or no proxy that can be used.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy("it cannot be read"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidProxy("its scheme is neither http nor https"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidProxy("it has a path, a query or a fragment"));
        }
        reqwest::Proxy::all(url.as_str()).map_err(|_| InvalidProxy("it cannot be used"))?;
        Ok(Self(SecretString::from(url.as_str())))
    }

    /// The URL, password and all.
    pub(in crate::platform) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProxyUrl { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_url_nor_the_refusal_of_one_shows_a_password() {
        let url = ProxyUrl::parse("http://user:hunter2@proxy.example:3128").unwrap();
        assert_eq!(url.expose(), "http://user:hunter2@proxy.example:3128/");
        assert!(!format!("{url:?}").contains("hunter2"));
        for text in [
            "",
            "user:hunter2@proxy.example",
            "http://user:hunter2@",
            "http://user:hunter2@a b",
            "socks5://user:hunter2@proxy.example:1080",
            "http://user:hunter2@proxy.example/path",
            "http://proxy.example/?hunter2",
            "http://proxy.example/#hunter2",
        ] {
            let error = ProxyUrl::parse(text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && shown.contains("http://proxy.example:3128"), "{shown}");
        }
    }
}
